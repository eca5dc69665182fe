"""An auditor's command starts at once, and needs neither arrays nor a network to do so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import exits
from cli.children import own_environment, own_program
from tests.cli.test_ledger import a_swarm, gossip, stored

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


def test_an_auditors_install_reads_everything(tmp_path: Path) -> None:
    """Without numpy, which the base install has not: lineage, without, prove and the page, in plain integers."""
    place = stored(tmp_path / "peer", a_swarm())
    gossip("ledger", "bundle", "--dir", str(place), "--out", str(tmp_path / "bundle"))
    code = "import sys; sys.modules['numpy'] = None; from cli.app import main; sys.argv[0] = 'gossip'; main()"
    bundle, swarm = str(tmp_path / "bundle"), a_swarm().swarm
    for words, said in (
        (("ledger", "verify", bundle, "--swarm", swarm, "--html", str(tmp_path / "page.html")), "CLEAN"),
        (("ledger", "lineage", bundle), "sum of  18 updates"),
        (("ledger", "without", bundle, "cedar"), "leaves   6 of 18 updates"),
        (("ledger", "prove", "cedar/3", bundle), "c2sp.org/tlog-proof@v1"),
    ):
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=False)
        assert done.returncode == exits.OK, done.stderr
        assert said in done.stdout
    assert "recomputed with plain integers" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="NOT CHECKED WITHOUT A NETWORK: there is no unshare here")
def test_verify_help_needs_no_network() -> None:
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("NOT CHECKED WITHOUT A NETWORK: this machine allows no namespaces")
    command = [*alone, *own_program(*VERIFY_HELP)]
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=False)
    assert done.returncode == exits.OK, done.stderr
    assert "BUNDLE" in done.stdout
