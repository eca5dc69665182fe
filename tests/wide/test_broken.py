"""A libp2p that is there and does not load: said once, with what to do, and not tried again."""

from __future__ import annotations

import sys

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

from gossip.wide.config import WideConfig
from ledger.errors import LinkError
from tests.wide.bare import until, wide

pytestmark = pytest.mark.usefixtures("no_thread_left")


async def test_a_libp2p_that_does_not_load_is_off_for_good_and_dials_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gossip.wide.engine", None)  # as if what it imports were not there
    async with wide(WideConfig((), (), "127.0.0.1")) as node:
        await until(lambda: node.report()["state"] == "off", "it gives up")
        text = node.report()["text"]
        assert text.startswith("libp2p does not load: ModuleNotFoundError: ")
        assert "--force" in text
        assert "\n" not in text
        assert node.kept.said == [], "it is the node that says it"
        await until(node._bridge._ended.is_set, "the thread ends")
        for ask in (node.exchange(b"k" * 32, b"offer"), node.open(b"k" * 32)):
            with pytest.raises(LinkError, match="libp2p does not load"):
                await ask
