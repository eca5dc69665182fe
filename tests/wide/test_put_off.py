"""libp2p's imports that nobody here uses wait until somebody does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gossip.wide.put_off import put_off
from tests.wide.conftest import NO_LIBP2P


def told(code: str) -> list[str]:
    """What a new Python says."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_a_module_that_was_put_off_is_there_once_somebody_uses_it() -> None:
    said = told(
        "import sys\n"
        "from gossip.wide.put_off import put_off\n"
        "put_off(('wave', 'no_such_module'))\n"
        "import wave\n"
        "print(hasattr(wave, '__file__'), 'no_such_module' in sys.modules)\n"
        "from wave import Wave_read\n"
        "print(wave.Wave_read is Wave_read, sys.modules['wave'].Wave_read is Wave_read, hasattr(wave, 'nothing'))\n"
    )
    assert said == ["False", "False", "True", "True", "False"]


def test_what_is_imported_already_stays_as_it_is() -> None:
    before = sys.modules["subprocess"]
    put_off(("subprocess",))
    assert sys.modules["subprocess"] is before


def test_going_beyond_the_network_loads_no_http_client_for_certificates_that_nobody_wants() -> None:
    pytest.importorskip("libp2p", reason=NO_LIBP2P)
    said = told(
        "import asyncio, sys\n"
        "from gossip.wide.config import WideConfig\n"
        "from gossip.wide.wide import Wide\n"
        "from ledger.keys import PrivateKey\n"
        "class Nobody:\n"
        "    def tell(self, text): print(text)\n"
        "async def main():\n"
        "    wide = Wide(PrivateKey.from_seed(bytes(32)), WideConfig((), (), '127.0.0.1'), Nobody())\n"
        "    await wide.start()\n"
        "    while wide.report()['state'] == 'starting':\n"
        "        await asyncio.sleep(0.05)\n"
        "    await wide.close()\n"
        "asyncio.run(main())\n"
        "print('libp2p.host.basic_host' in sys.modules)\n"
        "unused = ('httpx._client', 'requests.models', 'psutil._common')\n"
        "print([name for name in unused if name in sys.modules])\n"
    )
    assert said == ["True", "[]"]
