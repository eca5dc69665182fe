"""Sketches and openings to be taken, and one of each way to be wrong: tests/vectors/openings.json.

python -m tests.ledger.opening_vectors      writes it anew

Made by the plain second implementation. Signatures are Ed25519 over the challenge's text, by the key 01...01; what is
wrong is wrong in one point, and leads to the root wherever that is possible.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.ledger import plain_openings as plain
from tests.ledger.plain_openings import Claims, Row

VECTORS: Final = Path(__file__).resolve().parent.parent / "vectors" / "openings.json"
SWARM: Final = "2a" * 32
CHALLENGER: Final = "c4" * 32
DATA: Final = "da" * 32
SALT: Final = plain.salt_of(SWARM)

Made = tuple[str, Claims, int, bytes]  # what, claims, count, blob


def signature(count: int) -> str:
    """Of a challenge of that many records."""
    text = f"gossip/challenge/1\n{SWARM}\n{CHALLENGER}\n{DATA}\n{count}\n"
    return Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).sign(text.encode()).hex()


def records(count: int, copies: int = 0, conflicts: int = 0) -> list[tuple[bytes, bytes]]:
    rows = [(b"https://news.example/\0https://ads%d.example/x.js\0script" % i, b'["ad",true]') for i in range(count)]
    return rows + rows[:copies] + [(key, b'["benign",true]') for key, _ in rows[:conflicts]]


def leaves_of(rows: list[Row]) -> list[bytes]:
    return [plain.leaf(SALT, row) for row in rows]


def opened(rows: list[Row], count: int) -> bytes:
    indices = plain.picks(signature(count), len(rows), count)
    return plain.opening(leaves_of(rows), dict(enumerate(rows)), indices)


def right() -> Iterator[Made]:
    for what, rows, count in (
        ("the only record", records(1), 1),
        ("one of two", records(2), 1),
        ("all of three", records(3), 59),
        ("five of a hundred", records(100), 5),
        ("copies and a contradiction", records(4, copies=3, conflicts=2), 9),
        ("an empty key and an empty value", [(b"", b""), (b"", b"x"), (b"x", b"")], 3),
    ):
        tree = plain.ordered(SALT, rows)
        yield what, plain.claims_of(SALT, tree), count, opened(tree, count)


def wrong() -> Iterator[tuple[str, Made]]:
    """The word that both implementations find for it, and the opening."""
    count = 3
    honest = plain.ordered(SALT, records(20))
    claims, blob = plain.claims_of(SALT, honest), opened(honest, count)
    indices = plain.picks(signature(count), 20, count)
    leaves = leaves_of(honest)
    others = [(index + 1) % 20 for index in indices]
    yield "root", ("the root of other data", replace(claims, root="ab" * 32), count, blob)
    yield "root", ("a tree of nineteen, said to be of twenty", _short(honest, count), count, blob)
    yield "root", ("a record of another value", claims, count, _swapped(honest, indices, value=b'["benign",true]'))
    yield "root", ("a record that is at another index", claims, count, _moved(honest, indices))
    yield "root", ("a leaf under a salt of the author's own", *_salted(count))
    yield "other", ("others than were asked for", claims, count, _at(honest, others))
    yield "other", ("as many as were asked for by another challenge", claims, count, opened(honest, 4))
    yield "short", ("without its last byte", claims, count, blob[:-1])
    yield "short", ("a key of four gigabytes", claims, count, blob[:29] + b"\xff" * 4 + blob[33:])
    yield "short", ("nothing but its first line", claims, count, blob[:17])
    yield "long", ("with a byte more", claims, count, blob + b"\0")
    yield "form", ("empty", claims, count, b"")
    yield "form", ("of another version", claims, count, blob.replace(b"opening/1", b"opening/2"))
    yield "form", ("of a data set of nothing", replace(claims, records=0), count, blob)
    twice = [honest[0], honest[0], *honest[1:]]
    yield "order", ("one record in two leaves that are equal", _claimed(twice), 21, _all(twice))
    mixed = [honest[1], honest[0], *honest[2:]]
    yield "order", ("two leaves out of order", _claimed(mixed), 20, _all(mixed))
    copied = plain.ordered(SALT, records(4, copies=2))
    yield "copies", ("copies that were not claimed", replace(_claimed(copied), duplicates=0), 6, _all(copied))
    assert leaves == sorted(leaves)


def _claimed(rows: list[Row]) -> Claims:
    return plain.claims_of(SALT, rows)


def _all(rows: list[Row]) -> bytes:
    return opened(rows, len(rows))


def _at(rows: list[Row], indices: list[int]) -> bytes:
    return plain.opening(leaves_of(rows), dict(enumerate(rows)), indices)


def _short(rows: list[Row], count: int) -> Claims:
    """What is asked for is there, but the tree ends sooner."""
    assert 19 not in plain.shown(plain.picks(signature(count), 20, count), 20)
    return replace(_claimed(rows[:19]), records=20)


def _swapped(rows: list[Row], indices: list[int], value: bytes) -> bytes:
    shown = dict(enumerate(rows))
    shown[indices[1]] = shown[indices[1]]._replace(value=value)
    return plain.opening(leaves_of(rows), shown, indices)


def _moved(rows: list[Row], indices: list[int]) -> bytes:
    shown = dict(enumerate(rows))
    shown[indices[0]] = shown[(indices[0] + 7) % 20]
    return plain.opening(leaves_of(rows), shown, indices)


def _salted(count: int) -> tuple[Claims, int, bytes]:
    rows = plain.ordered(b"\x07" * 32, records(20))
    leaves = [plain.leaf(b"\x07" * 32, row) for row in rows]
    claims = plain.claims_of(b"\x07" * 32, rows)
    return claims, count, plain.opening(leaves, dict(enumerate(rows)), plain.picks(signature(count), 20, count))


def sketches() -> Iterator[tuple[str, str, Claims, bytes]]:
    """(the word for what is wrong or "", what, claims, sketch)."""
    few, many = ([plain.leaf(SALT, row) for row in plain.ordered(SALT, records(n))] for n in (5, 300))
    blob, whole = plain.sketch(few), plain.sketch(many)
    claims, claims_many = Claims(plain.root(few).hex(), 5), Claims(plain.root(many).hex(), 300)
    yield "", "all of five", claims, blob
    yield "", "the first 256 of 300", claims_many, whole
    yield "root", "the root of other data", replace(claims, root="ab" * 32), blob
    yield "root", "another leaf", claims, blob[:-1] + bytes([blob[-1] ^ 1])
    yield "form", "four leaves, said to be of five", claims, blob[:-64]
    yield "form", "five leaves, said to be of four", replace(claims, records=4), blob
    yield "form", "of another version", claims, blob.replace(b"sketch/1", b"sketch/2")
    yield "form", "of nothing", replace(claims, records=0), blob[:16]
    yield "form", "a byte more", claims, blob + b"\0"
    unsorted, doubled = [few[1], few[0], *few[2:]], [few[0], few[0], *few[2:]]
    yield "order", "two leaves out of order", Claims(plain.root(unsorted).hex(), 5), plain.sketch(unsorted)
    yield "order", "a leaf twice", Claims(plain.root(doubled).hex(), 5), plain.sketch(doubled)


def spelled() -> str:
    """The text of the file."""
    rows: list[dict[str, Any]] = []
    for what, claims, count, blob in right():
        found = plain.read_opening(blob, claims, SWARM, signature(count), count)
        shown = [[index, key.hex(), value.hex(), repeats] for index, key, value, repeats in found]
        rows.append({"as": "opening", "wrong": "", **_row(what, claims, blob, count), "opens": shown})
    for word, (what, claims, count, blob) in wrong():
        rows.append({"as": "opening", "wrong": word, **_row(what, claims, blob, count)})
    for word, what, claims, blob in sketches():
        rows.append({"as": "sketch", "wrong": word, **_row(what, claims, blob)})
    head = json.dumps({"spec": "gossip openings/1", "swarm": SWARM, "challenger": CHALLENGER, "data": DATA})[:-1]
    lines = ",\n".join(json.dumps(row) for row in rows)
    return f'{head}, "vectors": [\n{lines}\n]}}\n'


def _row(what: str, claims: Claims, blob: bytes, count: int = 0) -> dict[str, Any]:
    asked = {"count": count, "signature": signature(count)} if count else {}
    return {"what": what, **asdict(claims), **asked, "blob": blob.hex()}


def published(form: str) -> list[Any]:
    """The vectors of one kind, each with its name, for pytest.mark.parametrize."""
    rows = json.loads(VECTORS.read_text("utf-8"))["vectors"]
    return [pytest.param(row, id=row["what"]) for row in rows if row["as"] == form]


if __name__ == "__main__":
    VECTORS.write_text(spelled(), encoding="utf-8")
