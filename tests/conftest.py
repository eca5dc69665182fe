"""What every test may ask for."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.thorough import THOROUGH

# Speed is for `make bench`: a busy machine must not fail a property. A failure prints how to replay it.
settings.register_profile("gossip", deadline=None, print_blob=True)
settings.register_profile(THOROUGH, settings.get_profile("gossip"), max_examples=1000)
settings.load_profile("gossip")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the checkout; tests that ask for it carry the marker `shared`."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"NOT RUN: no development data at {SHARED_DATA} (tests marked `shared` need it)")
    return SHARED_DATA


@pytest.fixture(scope="session", autouse=True)
def commands_built_once() -> Iterator[None]:
    """Typer's runner builds the tree of all commands at every call: a tenth of a second, two thousand times."""
    if find_spec("typer") is None:  # where newer interpreters try the transport alone
        yield
        return
    import typer.main

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("typer.testing._get_command", cache(typer.main.get_command))
        yield


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked: whoever looks for a name or an address beyond this machine's own sockets fails the test."""

    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked")

    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        connect(self, address) if self.family == socket.AF_UNIX else refused()

    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refused)
    monkeypatch.setattr(socket.socket, "connect", local)
    monkeypatch.setattr(socket.socket, "sendto", refused)
