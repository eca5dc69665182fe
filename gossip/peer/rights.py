"""Who may send which frame: one table, asked by a frame's first byte before anything of it is read.

        Digest Have Want Entries WantBlob Piece Lacks Vouch Differs Trace Rows Tally Latest WantParts Parts Lead Bundled Lease Rendezvous
stranger   x     x    x      x       x       x     x     x      x      x    x     x     x        x       x    x      x     x       x
out        x     x    x      x       x       x     x     x      x      x    x     x     x        x       x    x      x     x       x
guest      +     +    +      +       +       x     x     .      x      +    x     .     x        +       x    .      .     .       .
inviter    +     +    +      +       +       +     +     .      +      +    +     .     +        +       +    +      +     .       +
members    +     +    +      +       +       +     +     +      +      +    +     +     +        +       +    +      +     +       +

    stranger: its link ends    out: revoked, or expired    guest: let in, no member yet
    inviter: dialled, and unknown    members: of any role

    +  heard     .  passed over unread     x  no honest peer of that standing sends it: the link ends

A guest fetches what it needs to become a member: what there is (Digest, Have), entries, what they cite (Trace), the
blobs that everybody may have, the model of a final snapshot (WantParts); and it gives its own enrol entry. It is never
asked for others' entries, blobs and models, so it has no Piece, Lacks, Differs, Rows, Latest or Parts to answer with.
What it may already know of itself and we do not yet, that it was let in elsewhere, makes a member's Vouch, Tally, Lead,
Bundled, Lease and Rendezvous come early: these are passed over, as are an inviter's Vouch, Tally and Lease, which mean
nothing before we know who is a member; its Rendezvous, which it sends once, waits until we do.

Members of every role hold the ledger, pass it on and are drawn as witnesses, so all of them send all frames; what a
role may *write* is another table (ledger/roles.py). Rules kept here: denied unless listed, also of standings and tags
that do not exist. It refuses to know what frames hold, and how somebody came by its standing.
"""  # noqa: E501 - the table is as wide as there are kinds

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

from gossip.wire.frames import (
    BUNDLED_TAG,
    DIFFERS_TAG,
    DIGEST_TAG,
    ENTRIES_TAG,
    HAVE_TAG,
    LACKS_TAG,
    LATEST_TAG,
    LEAD_TAG,
    LEASE_TAG,
    PACKED_TAG,
    PARTS_TAG,
    PIECE_TAG,
    RENDEZVOUS_TAG,
    ROWS_TAG,
    TALLY_TAG,
    TRACE_TAG,
    VOUCH_TAG,
    WANT_BLOB_TAG,
    WANT_PARTS_TAG,
    WANT_TAG,
)

Standing = Literal["stranger", "out", "guest", "inviter", "observer", "relay", "trainer", "auditor", "admin"]


class Right(Enum):
    """What becomes of a frame."""

    HEARD = "+"
    PASSED_OVER = "."
    DENIED = "x"


TAGS: Final[dict[str, tuple[bytes, ...]]] = {
    "Digest": (DIGEST_TAG,), "Have": (HAVE_TAG,), "Want": (WANT_TAG,), "Entries": (ENTRIES_TAG, PACKED_TAG),
    "WantBlob": (WANT_BLOB_TAG,), "Piece": (PIECE_TAG,), "Lacks": (LACKS_TAG,), "Vouch": (VOUCH_TAG,),
    "Differs": (DIFFERS_TAG,), "Trace": (TRACE_TAG,), "Rows": (ROWS_TAG,), "Tally": (TALLY_TAG,),
    "Latest": (LATEST_TAG,), "WantParts": (WANT_PARTS_TAG,), "Parts": (PARTS_TAG,),
    "Lead": (LEAD_TAG,), "Bundled": (BUNDLED_TAG,), "Lease": (LEASE_TAG,),
    "Rendezvous": (RENDEZVOUS_TAG,),
}  # fmt: skip
"""The columns. A Packed message is an Entries message and nothing else (codec.py)."""

UNKNOWN: Final = "unknown"

_ASK: Final = "Digest Have Want Entries WantBlob Trace WantParts"
_ANSWER: Final = "Piece Lacks Differs Rows Latest Parts"
_COSIGN: Final = "Vouch Tally"
_LEAD: Final = "Lead Bundled"
_LEND: Final = "Lease"
_MEET: Final = "Rendezvous"

_HEARD: Final[dict[Standing, str]] = {
    "stranger": "",
    "out": "",
    "guest": _ASK,
    "inviter": f"{_ASK} {_ANSWER} {_LEAD} {_MEET}",
    "observer": f"{_ASK} {_ANSWER} {_COSIGN} {_LEAD} {_LEND} {_MEET}",
    "relay": f"{_ASK} {_ANSWER} {_COSIGN} {_LEAD} {_LEND} {_MEET}",
    "trainer": f"{_ASK} {_ANSWER} {_COSIGN} {_LEAD} {_LEND} {_MEET}",
    "auditor": f"{_ASK} {_ANSWER} {_COSIGN} {_LEAD} {_LEND} {_MEET}",
    "admin": f"{_ASK} {_ANSWER} {_COSIGN} {_LEAD} {_LEND} {_MEET}",
}
_PASSED_OVER: Final[dict[Standing, str]] = {
    "guest": f"{_COSIGN} {_LEAD} {_LEND} {_MEET}",
    "inviter": f"{_COSIGN} {_LEND}",
}


def called(message: bytes) -> str:
    """The kind of a message, by its first byte; UNKNOWN of what is none."""
    return next((kind for kind, tags in TAGS.items() if message[:1] in tags), UNKNOWN)


def _row(standing: Standing) -> dict[bytes, Right]:
    row: dict[bytes, Right] = {}
    for kinds, right in ((_HEARD[standing], Right.HEARD), (_PASSED_OVER.get(standing, ""), Right.PASSED_OVER)):
        for kind in kinds.split():
            row.update(dict.fromkeys(TAGS[kind], right))
    return row


RIGHTS: Final[dict[str, dict[bytes, Right]]] = {standing: _row(standing) for standing in _HEARD}


def right(standing: str, message: bytes) -> Right:
    """What becomes of a message by somebody of that standing."""
    return RIGHTS.get(standing, {}).get(message[:1], Right.DENIED)
