"""`gossip` as though every peer were alone in its network: `python -m cli.bench.elsewhere run ...`

Peers of one machine hear one another by mDNS and reach one another's signalling port. Here neither is had, so that two
of them meet through libp2p or not at all; data channels are left as they are. For the bench only.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from ledger.errors import LinkError

WHY = "kept apart, for the bench"


async def nobody(*_: Any, **__: Any) -> NoReturn:
    raise LinkError("no way there", why=WHY)


def keep_apart() -> None:
    """In this process, from now on: no mDNS, and no offer by HTTP."""
    from gossip.transport import discovery, webrtc

    discovery.listen = nobody  # type: ignore[attr-defined]
    webrtc.exchange = nobody  # type: ignore[attr-defined]


if __name__ == "__main__":
    from cli.app import main

    if sys.argv[1:2] in (["run"], ["join"]):
        keep_apart()
    main()
