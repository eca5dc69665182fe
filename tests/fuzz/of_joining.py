"""What strangers say to be let in, and what a person types or writes down to let somebody in."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Final

from zeroconf.asyncio import AsyncServiceInfo

from cli import moments
from gossip import ids
from gossip.limits import Limits
from gossip.node import allowlist
from gossip.transport import card, code, knocking
from gossip.transport.discovery import SERVICE, read_shout
from gossip.transport.open_codes import OpenCodes
from ledger.errors import RemoteError
from tests.fuzz.of_files import _invite
from tests.fuzz.of_network import KEY
from tests.fuzz.target import Target, file

CODE: Final = code.Code(7, b"\x3c\x3b")


def _luck(seed: int) -> code.Luck:
    return Random(seed).randbytes


@cache
def _exchange() -> tuple[bytes, bytes, bytes, bytes]:
    """All that two machines say: question, answer, proof, box."""
    asking = code.Asking(CODE, _luck(1))
    answering = code.Answering(CODE, code.read(asking.ask(), code.Ask), _luck(2))
    proof = asking.confirm(answering.answer)
    return asking.ask(), answering.answer, proof, answering.box(_invite().text)


def _asked(data: bytes) -> None:
    """The inviter: silence for whatever is wrong. A fresh one each time, for three wrong proofs burn a code."""
    codes = OpenCodes(_luck(3))
    made = codes.open(_invite().text, uses=1, until=100.0, now=1.0)
    if made.number != CODE.number:
        codes._open[CODE.number] = codes._open.pop(made.number)
    answer = codes.ask(data, "127.0.0.1", 2.0)
    box = codes.confirm(data, "127.0.0.1", 2.0)
    assert box is None
    if answer is None:
        raise RemoteError("silence")


def _proved(data: bytes) -> None:
    """A proof: read, and held against the one that is due."""
    said = code.read(data, code.Confirm)
    answering = code.Answering(CODE, code.read(_exchange()[0], code.Ask), _luck(2))
    if not answering.is_proof(bytes.fromhex(said.proof)):
        raise RemoteError("silence")


def _answered(data: bytes) -> None:
    code.Asking(CODE, _luck(1)).confirm(data)


@cache
def _asking() -> code.Asking:
    asking = code.Asking(CODE, _luck(1))
    asking.confirm(_exchange()[1])
    return asking


def _boxed(data: bytes) -> None:
    knocking._verified(_asking().open(data))


def _card(data: bytes) -> None:
    knocking._verified(card.read(data))


def _card_asked(data: bytes) -> None:
    if card.answer(data, "lists", _invite().text) is None:
        raise RemoteError("silence")


def _shout(data: bytes) -> None:
    info = AsyncServiceInfo(SERVICE, f"x.{SERVICE}", port=4100, properties=data, addresses=[bytes([127, 0, 0, 1])])
    if read_shout(info, ("code", "7"), ("127.0.0.1",)) is None:
        raise RemoteError("no shout for us")


# ------------------------------------------------------------------ a person's


def _typed(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    code.looks_like_code(text)
    assert code.Code.parse(text).text == "-".join(text.split()).lower()


def _id(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    ids.is_one(text)
    value, kind = ids.read_either(text)
    assert ids.read(text, kind or "peer") == value


def _span(data: bytes) -> None:
    moments.lasting(moments.seconds(data.decode("utf-8", "replace")))


def _day(data: bytes) -> None:
    moments.end(moments.start_of(data.decode("utf-8", "replace"), 1.0))


def _allowlist(data: bytes) -> None:
    """Read as a running node does, when the file has changed."""
    one = allowlist.AllowFile(file(data, "allowed"))
    one.refresh()
    assert len(one.keys) <= allowlist.MAX_KEYS


def _limits(data: bytes) -> None:
    Limits.read(file(data, "limits.toml"))


TARGETS: Final = (
    Target("code-ask", _asked, lambda: [_exchange()[0]],
           ("gossip.transport.code.read", "gossip.transport.open_codes"), slow=True),
    Target("code-answer", _answered, lambda: [_exchange()[1]], ("gossip.transport.code.read",), slow=True),
    Target("code-confirm", _proved, lambda: [_exchange()[2]], ("gossip.transport.code.read",), slow=True),
    Target("code-box", _boxed, lambda: [_exchange()[3]], ("gossip.transport.code.Asking.open",), slow=True),
    Target("card", _card, lambda: [card.answer(card.ask("lists"), "lists", _invite().text) or b""],
           ("gossip.transport.card.read",), slow=True),
    Target("card-ask", _card_asked, lambda: [card.ask("lists")], ("gossip.transport.card",)),
    Target("shout", _shout, lambda: [b"\x06code=7"], ("gossip.transport.discovery.read_shout",), words=(b"code=7",)),
    Target("code", _typed, lambda: [b"7-crossover-clockwork", b"7 crossover clockwork"],
           ("gossip.transport.code.Code.parse",), own=True),
    Target(
        "id", _id, lambda: [*(ids.checked("5d" * 32, kind).encode() for kind in ids.CALLED), b"5d" * 32],
        ("gossip.ids.read_either", "gossip.ids.read"), own=True,
    ),
    Target("span", _span, lambda: [b"10m", b"30d"], ("cli.moments",), own=True),
    Target("day", _day, lambda: [b"2027-01-31"], ("cli.moments",), own=True),
    Target(
        "allowlist", _allowlist, lambda: [f"# ours\n{KEY.public.hex()} trainer\n".encode()],
        ("gossip.node.allowlist.parse",), words=(b" until 2027-01-31", b" until 0001-01-01", b"#", b"auditor"),
        own=True, slow=True,
    ),
    Target(
        "limits", _limits, lambda: [b"frames_per_s = 400\ndisk_bytes = 8_589_934_592\n"],
        ("gossip.limits.Limits.parse", "gossip.limits.Limits.read"), own=True, slow=True,
        words=(b"links = 0x", b"f" * 5_000, b"\n[", b"= inf", b'"""', b"a.b.c = 1\n", b"links = "),
    ),
)  # fmt: skip
