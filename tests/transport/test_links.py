"""The contract of a link, for every pair of carriers that this interpreter has."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.transport.conformance import LinkContract, Links
from tests.transport.joining import KINDS, joined


@pytest.fixture(params=KINDS, ids="-".join)
async def links(request: pytest.FixtureRequest) -> AsyncIterator[Links]:
    async with joined(request.param) as pair:
        yield pair


class TestEveryKindOfLink(LinkContract):
    """See conformance.py."""
