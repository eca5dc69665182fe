"""A machine with nothing but loopback (a laptop offline, a bare namespace): everything still works.

Runs the tests of this folder that open links and find peers again, inside a network namespace of their own with
only `lo`. Needs Linux and the right to make namespaces; where that is missing, it says so and skips.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]

# Inside the namespace: bring lo up (SIOCSIFFLAGS, as `ip link set lo up` does), look around, run the tests.
INSIDE = """
import fcntl, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
import ifaddr
addresses = [str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips]
assert addresses and all(a.startswith("127.") or "::1" in a for a in addresses), addresses
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def namespace() -> list[str]:
    """The command that runs another in a fresh network namespace, or skip."""
    program = shutil.which("unshare")
    for options in (["-n"], ["-r", "-n"]):
        if program and subprocess.run([program, *options, "true"], capture_output=True).returncode == 0:
            return [program, *options]
    pytest.skip("NOT RUN: no network namespace can be made here, so loopback-only machines were not tried")


def test_links_and_discovery_without_any_network() -> None:
    tests = ["test_webrtc.py", "test_discovery.py", "test_links.py::TestEveryKindOfLink::test_is_a_link"]
    command = [*namespace(), sys.executable, "-c", INSIDE, "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    run = subprocess.run(
        [*command, *(str(ROOT / "tests" / "transport" / test) for test in tests)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    print(run.stdout.splitlines()[-1])
