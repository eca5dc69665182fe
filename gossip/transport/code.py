"""A code that a person types, `7-crossover-clockwork`, and how two machines turn it into a ticket.

    joiner                                    inviter
      | -- number, element X ---------------->  |      POST /gossip/1/code
      | <------ element Y, session -----------  |
      | -- session, proof of the words ------>  |      POST /gossip/1/confirm
      | <------ the ticket, sealed -----------  |

Why: a ticket is too long to say, and a code short enough to be guessed by a machine: two words are 16 bits. With SPAKE2
(Abdalla and Pointcheval 2005, on the curve of Ed25519) whoever listens has nothing to try words against, and whoever
takes part tries one guess. The joiner proves first: what a guess could be checked with does not leave the inviter
before, so each guess costs a try (open_codes.py counts them). An evil inviter learns whether *its* guess was right, one
for each knock.

    keys    HKDF-SHA256 of SPAKE2's key, info = context, 64 bytes: 32 to prove with, 32 to seal with
    context "gossip/code/1\\n" | number u16 | X 32 | Y 32 | session 16
    proof   HMAC-SHA256(first key, context)
    box     ChaCha20-Poly1305(second key, nonce 0, the ticket's text, associated data: context); one message per key

Pure: bytes in, bytes out, luck as an argument. Both machines are good for one exchange. Everything the far end can do
wrong is RemoteError. It refuses to know networks, clocks, and how many tries there are. Field by field: docs/wire.md;
tests/vectors/code.json has one exchange.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gossip.transport import words
from gossip.transport.hexed import exactly
from ledger import canonical
from ledger.errors import LocalError, RemoteError
from ledger.keys import check_public

ASK_PATH: Final = "/gossip/1/code"
CONFIRM_PATH: Final = "/gossip/1/confirm"
MAX_NUMBER: Final = 999
SECRET_BYTES: Final = 2  # two words
SESSION_BYTES: Final = 16
ELEMENT_BYTES: Final = 32
MAX_BODY_BYTES: Final = 4_096
MAX_SEALED_CHARS: Final = 1_900  # of a ticket's text, so that its box in hex fits a body
DOMAIN: Final = b"gossip/code/1\n"
JOINER, INVITER = b"gossip joiner", b"gossip inviter"  # SPAKE2's names of its sides
_ONCE: Final = bytes(12)  # the nonce: each key seals one message
_CODE: Final = re.compile(r"([1-9][0-9]{0,2})-([A-Za-z]{2,16}-[A-Za-z]{2,16})", re.ASCII)

Luck = Callable[[int], bytes]  # os.urandom, or what a test makes up


@dataclass(frozen=True, slots=True)
class Code:
    """What the inviter's screen shows and the joiner types. `number` says where to ask, the words are the secret."""

    number: int  # 1..MAX_NUMBER
    secret: bytes

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MAX_NUMBER or len(self.secret) != SECRET_BYTES:
            raise LocalError("a code of other parts than a number and two words")

    def __repr__(self) -> str:
        return f"Code({self.number}-...)"  # never the words

    @property
    def text(self) -> str:
        return f"{self.number}-{words.say(self.secret)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The code that a person typed, in capitals or not, with spaces for hyphens; LocalError with advice."""
        match = _CODE.fullmatch("-".join(text.split()))
        if match is None:
            raise LocalError(
                f"{text[:40]!r} is no code", why="a code is a number and two words",
                next_step="type it like 7-crossover-clockwork",
            )  # fmt: skip
        return cls(int(match[1]), words.read(match[2]))


def looks_like_code(text: str) -> bool:
    """Whether a person meant a code, rather than a ticket or a name."""
    return re.match(r"\s*[0-9]+[-\s]", text.rstrip(), re.ASCII) is not None


# ------------------------------------------------------------------ what crosses the network


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    element: str  # hex, as all byte strings here
    number: int


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    element: str
    session: str


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    proof: str
    session: str


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    box: str


_M = TypeVar("_M", Ask, Answer, Confirm, Box)


def read(data: bytes, kind: type[_M]) -> _M:
    """One message, in its one spelling; RemoteError."""
    message = canonical.decode(data, kind, limit=MAX_BODY_BYTES, what="a message about a code")
    match message:
        case Ask(element, number):
            exactly(element, ELEMENT_BYTES)
            if not 1 <= number <= MAX_NUMBER:
                raise RemoteError("no number of a code")
        case Answer(element, session):
            exactly(element, ELEMENT_BYTES)
            exactly(session, SESSION_BYTES)
        case Confirm(proof, session):
            exactly(proof, 32)
            exactly(session, SESSION_BYTES)
        case Box(box):
            exactly(box, len(box) // 2)
    return message


# ------------------------------------------------------------------ the two sides


class Asking:
    """The joiner's side: ask, confirm, open, in this order and once."""

    def __init__(self, code: Code, luck: Luck = os.urandom) -> None:
        from spake2 import SPAKE2_A

        self._code = code
        self._spake = SPAKE2_A(code.text.encode(), idA=JOINER, idB=INVITER, entropy_f=luck)
        self._own: bytes = self._spake.start()[1:]  # without the letter of its side: the path says whose it is
        self._keys: _Keys | None = None

    def ask(self) -> bytes:
        return canonical.encode(Ask(self._own.hex(), self._code.number))

    def confirm(self, data: bytes) -> bytes:
        """Given the inviter's answer: the proof that we know the words."""
        answer = read(data, Answer)
        theirs, session = bytes.fromhex(answer.element), bytes.fromhex(answer.session)
        shared = _finish(self._spake, b"B", theirs)
        self._keys = _Keys.of(shared, self._code.number, self._own, theirs, session)
        return canonical.encode(Confirm(self._keys.proof.hex(), answer.session))

    def open(self, data: bytes) -> str:
        """The ticket's text, from somebody who knows the words, too. RemoteError: it is not, or a byte was changed."""
        if self._keys is None:
            raise LocalError("a box before the answer")
        box = bytes.fromhex(read(data, Box).box)
        try:
            text = ChaCha20Poly1305(self._keys.seal).decrypt(_ONCE, box, self._keys.context)
            return text.decode("ascii")
        except (InvalidTag, UnicodeDecodeError) as error:
            raise RemoteError("the far end does not know the words of this code") from error


class Answering:
    """The inviter's side of one exchange: what it answers, the proof it waits for, the box it then hands out."""

    def __init__(self, code: Code, data: Ask, luck: Luck = os.urandom) -> None:
        from spake2 import SPAKE2_B

        theirs = bytes.fromhex(data.element)
        spake = SPAKE2_B(code.text.encode(), idA=JOINER, idB=INVITER, entropy_f=luck)
        own: bytes = spake.start()[1:]
        self.session = luck(SESSION_BYTES)
        self._keys = _Keys.of(_finish(spake, b"A", theirs), code.number, theirs, own, self.session)
        self.answer = canonical.encode(Answer(own.hex(), self.session.hex()))

    def is_proof(self, proof: bytes) -> bool:
        """Whether the joiner has proven that it knows the words."""
        return hmac.compare_digest(self._keys.proof, proof)

    def box(self, text: str) -> bytes:
        """The ticket, for whoever gave the proof. LocalError if it is too long."""
        if len(text) > MAX_SEALED_CHARS:
            raise LocalError("a ticket too long for a code", next_step="name fewer addresses")
        sealed = ChaCha20Poly1305(self._keys.seal).encrypt(_ONCE, text.encode("ascii"), self._keys.context)
        return canonical.encode(Box(sealed.hex()))


@dataclass(frozen=True, slots=True)
class _Keys:
    context: bytes
    proof: bytes
    seal: bytes

    @classmethod
    def of(cls, shared: bytes, number: int, joiner: bytes, inviter: bytes, session: bytes) -> Self:
        context = DOMAIN + number.to_bytes(2, "little") + joiner + inviter + session
        both = HKDF(SHA256(), 64, salt=None, info=context).derive(shared)
        return cls(context, hmac.digest(both[:32], context, "sha256"), both[32:])


def _finish(spake: Any, side: bytes, element: bytes) -> bytes:
    """SPAKE2's key. The library refuses zero and elements outside the prime-order group, but reads second spellings and
    what is not on the curve in ways of its own: so what Ed25519 refuses as a key never gets there."""
    from spake2 import SPAKEError

    check_public(element)
    try:
        shared: bytes = spake.finish(side + element)
    except (SPAKEError, ValueError) as error:
        raise RemoteError("an element that no honest peer sends", why=str(error)) from error
    return shared
