"""Files for the tests of data quality: a sound set of requests, and what can be planted in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cli.model import read_declaration
from gossip.training.spec import ModelSpec

SPEC = ModelSpec.parse(read_declaration(None, None)[0])
NUMBERS = ModelSpec.parse(
    json.dumps(
        {
            "model": 1, "features": {"kind": "numbers/1", "columns": 2}, "classes": ["setosa", "iris"],
            "layers": [{"kind": "dense", "units": 2}], "optimiser": {"kind": "sgd", "rate": 0.1}, "batch": 2,
            "local_steps": 1,
        }
    )
)  # fmt: skip
LIST = "! Title: Fields\n! Version: 7\n! Licence: CC BY-SA 4.0\n||ads.test^\n! a remark\n\n||px.test^\n"
_LABELS = ("ad", "tracker", "benign")


def requests(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Sound rows, all different, and nearly so, too."""
    return [
        {
            "page": f"https://site{_letters(number % 40)}.test/", "url": f"https://cdn.test/{_letters(number)}.js",
            "type": "script", "label": _LABELS[number % 3], "third_party": True,
        }
        for number in range(start, start + count)
    ]  # fmt: skip


def write(path: Path, rows: Iterable[dict[str, Any] | str]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def _letters(number: int) -> str:
    """Numbers without digits, which would be masked."""
    return "".join(chr(97 + int(digit)) for digit in str(number))
