"""What scoring a whole capture came to, beside its groups: counts, and how sure they are.

    for chunk in scored: summary.add(chunk)

Filled on the way, so that a capture of any length needs no second look. It refuses to know captures' formats and
terminals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gossip.advisor.scored import Scored


@dataclass(slots=True)
class Summary:
    """Of all requests so far."""

    requests: int = 0
    to_block: int = 0
    pages: int = 0  # reach the threshold as well, and are never to block
    listed: int = 0  # a list blocks them, whatever the model says
    excepted: int = 0  # a list has an exception for them
    open: int = 0  # to block, and no list has a word on them
    passed: int = 0  # a list blocks them, and the model would not
    by_list: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Iterable[Scored]) -> None:
        """Count some requests more."""
        for row in rows:
            self.requests += 1
            self.to_block += row.to_block
            self.pages += row.block and not row.to_block
            self.open += row.is_open
            self.excepted += bool(row.excepted_by)
            if row.listed_by:
                self.listed += 1
                self.passed += not row.block
                self.by_list.update(row.listed_by)
