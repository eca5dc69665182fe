"""The licence of a data set, as its owner names it: an SPDX licence expression, or "" for none named.

    CC-BY-4.0        MPL-2.0 AND (MIT OR Apache-2.0)        LicenseRef-ours

It goes into the data entry, for everybody to count (`gossip ledger lineage`). It is a claim: whether SPDX lists it, and
whether it is true, nobody here knows. Checked are its letters and its length, so that it stays one word for one thing.
"""

from __future__ import annotations

import re
from typing import Final

from ledger.errors import LocalError

MAX_CHARS: Final = 120  # of an expression; the longest licence that SPDX lists has 40
_WORD: Final = r"\(*[A-Za-z0-9][A-Za-z0-9.:+-]*\)*"  # of SPDX 3, annex B: ids, references, operators and brackets
_EXPRESSION: Final = re.compile(rf"(?:{_WORD}(?: {_WORD})*)?")


def check_licence(text: str) -> str:
    """The text, if it can be an SPDX expression. LocalError if not."""
    if len(text) > MAX_CHARS or not _EXPRESSION.fullmatch(text) or text.count("(") != text.count(")"):
        raise LocalError(
            "this cannot be a licence's name", why=f"an SPDX expression of at most {MAX_CHARS} characters is expected",
            next_step="name it as https://spdx.org/licenses does: --licence CC-BY-4.0",
        )  # fmt: skip
    return text
