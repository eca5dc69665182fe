"""`python -m tests.wide.far WORDS`: gossip on a machine whose network carries nothing but libp2p.

Several such machines on one loopback are as far from one another as on two continents: no mDNS is heard, and no
address of an invite leads anywhere. What is left is what the story is about.
"""

from __future__ import annotations

from typing import NoReturn

from cli.app import main
from gossip.transport import discovery, webrtc
from ledger.errors import LinkError


async def no_way(host: str, port: int, offer: bytes, path: str = "") -> NoReturn:
    raise LinkError(f"cannot reach {host}:{port}", why="no route to host")


def nobody(*record: object) -> None:
    """A record of mDNS, in which nothing is read."""


if __name__ == "__main__":
    webrtc.exchange = no_way
    discovery.read_record = nobody
    main()
