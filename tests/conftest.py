"""What every test may ask for."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Speed is for `make bench`: a busy machine must not fail a property. A failure prints how to replay it.
settings.register_profile("gossip", deadline=None, print_blob=True)
settings.load_profile("gossip")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the checkout; tests that ask for it carry the marker `shared`."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"NOT RUN: no development data at {SHARED_DATA} (tests marked `shared` need it)")
    return SHARED_DATA


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
