"""`gossip` as though every peer were alone in its network: `python -m cli.bench.elsewhere run ...`

Peers of one machine hear one another by mDNS and reach one another's signalling port. Here neither is had, so that two
of them meet through libp2p or not at all; data channels are left as they are. For the bench only. Nothing is imported
earlier than `gossip` would: what is cut off is cut off when its module comes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final, NoReturn

from ledger.errors import LinkError

WHY: Final = "kept apart, for the bench"
CUT: Final = {"gossip.transport.discovery": "listen", "gossip.transport.webrtc": "exchange"}


async def nobody(*_: Any, **__: Any) -> NoReturn:
    raise LinkError("no way there", why=WHY)


class _Apart(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:  # fmt: skip
        spec = PathFinder.find_spec(fullname, path, target) if fullname in CUT else None
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def and_cut(module: ModuleType) -> None:
            run(module)
            setattr(module, CUT[fullname], nobody)

        spec.loader.exec_module = and_cut  # type: ignore[method-assign]
        return spec


def keep_apart() -> None:
    """In this process, from now on: no mDNS, and no offer by HTTP."""
    sys.meta_path.insert(0, _Apart())


if __name__ == "__main__":
    from cli.app import main

    if sys.argv[1:2] in (["run"], ["join"]):
        keep_apart()
    main()
