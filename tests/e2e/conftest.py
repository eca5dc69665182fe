"""Real processes. Each story gets machines with homes of their own, and whatever is left of them is ended after it.

At most two stories run at once, however many workers pytest has: each module belongs to one of two groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.machines import Machine, machine_park


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """`machine("anna")`: a machine, with `inside=network.enter` in a network of its own."""
    with machine_park(tmp_path) as make:
        yield make
