"""What libp2p, trio and multiaddr have to say goes nowhere: people get our own lines.

py-libp2p logs every failed dial with a traceback, and Python prints what no handler takes. One of its modules
(swarm_connection.py) speaks to the root logger, which thereby gets a handler it did not have, for every library of
the process. Nobody else's logging is touched, and whoever sets a handler on "libp2p" gets all of it.
"""

from __future__ import annotations

import importlib
import logging
from typing import Final

_SPEAKERS: Final = ("libp2p", "multiaddr", "trio", "anyio_service", "asyncio_service", "async_service")
_TO_THE_ROOT: Final = ("libp2p.network.connection.swarm_connection", "libp2p.tools.utils")


def quieten() -> None:
    """Before libp2p is imported, and once more after."""
    for name in _SPEAKERS:
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.propagate = False


def keep_off_the_root() -> None:
    """After libp2p is imported: the modules that call logging.debug() and the like get a logger in its place."""
    for name in _TO_THE_ROOT:
        module = importlib.import_module(name)
        if getattr(module, "logging", None) is logging:
            module.logging = logging.getLogger(name)  # type: ignore[attr-defined]  # it has the same five methods
