"""libp2p is an extra. Without it everything here that needs it is skipped, says so, and is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.wide.forgotten import forget

ENDS_S = 10.0
NO_LIBP2P = "NOT RUN: libp2p is an extra (make wide)"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line of its own, as a skipped room is easily taken for a tested one."""
    if find_spec("libp2p") is None:
        terminalreporter.section("libp2p is missing: tests/wide ran only in part", yellow=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """py-libp2p forgets sockets, and the collector may come by while a test is under way."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Of all that a test began, libp2p's own threads included; nor a socket."""
    before = set(threading.enumerate())
    yield
    forget()
    kept = ("trio", "asyncio")  # what both keep for a while, for whatever is asked of them next, or for a child to end
    left = [each for each in set(threading.enumerate()) - before if not each.name.lower().startswith(kept)]
    for each in left:  # one that has been told to end is at its end a moment later
        each.join(ENDS_S)
    assert [each.name for each in left if each.is_alive()] == []


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Ports that nobody listens on, for who must know its own before it listens."""
    import socket

    def free() -> int:
        with socket.socket() as made:
            made.bind(("127.0.0.1", 0))
            port: int = made.getsockname()[1]
            return port

    return free
