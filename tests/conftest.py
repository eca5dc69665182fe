"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

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
