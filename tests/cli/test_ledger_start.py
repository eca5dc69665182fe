"""An auditor's command starts at once, and needs neither arrays nor a network to do so."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import pytest

from cli import exits
from cli.children import own_environment, own_program

VERIFY_HELP = ("ledger", "verify", "--help")
# What costs a start most, measured: pydantic 0.1 s, the demo's screen and its statistics 0.05 s.
NOT_NEEDED = {
    "numpy",
    "jax",
    "aiortc",
    "aiolibdatachannel",
    "asyncio",
    "pydantic",
    "cli.play",
    "cli.live",
    "cryptography",
}
WITHIN_S = 0.3


def test_verify_help_loads_nothing_that_it_does_not_show() -> None:
    code = """if True:
        import sys
        from cli.app import app
        try:
            app(sys.argv[1:])
        finally:
            sys.stderr.write(" ".join(sys.modules))
    """
    command = [sys.executable, "-c", code, *VERIFY_HELP]
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=True)
    loaded = set(done.stderr.split())
    assert "cli.ledger" in loaded  # the check sees what was loaded
    assert not loaded & NOT_NEEDED


def test_verify_help_comes_within_the_time_promised() -> None:
    """The shortest of five: this machine is busy with other tests, the promise is of one that is not."""
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run(own_program(*VERIFY_HELP), capture_output=True, env=own_environment(), check=True)
        took.append(time.perf_counter() - begun)
        if took[-1] < WITHIN_S:
            return
    pytest.fail(f"the quickest of {len(took)} starts took {min(took):.2f} s")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="NOT CHECKED WITHOUT A NETWORK: there is no unshare here")
def test_verify_help_needs_no_network() -> None:
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("NOT CHECKED WITHOUT A NETWORK: this machine allows no namespaces")
    command = [*alone, *own_program(*VERIFY_HELP)]
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=False)
    assert done.returncode == exits.OK, done.stderr
    assert "BUNDLE" in done.stdout
