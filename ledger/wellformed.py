"""What one entry shows about itself: the shape of hashes, ranges, the order of lists, fields that exclude one another.

Why it exists: most of what is wrong with an entry can be said before anything else is looked up, and by anybody. A
field that breaks a rule here makes the entry none, wherever it stands (of a genesis: genesis.py).

Rules kept here: integers within 0..2^53 - 1, exact in a browser's double; each list has one order; lengths are bounded
by what they name. It refuses to know spelling (canonical.py) and what entries mean together (rules.py).

These checks run once per entry of an audit, 60,000 a second: hashes are matched together by one expression, and
integers are compared in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

import msgspec

from ledger.entry import (
    FORMAT_VERSION,
    GRID_ONE,
    MAX_EVIDENCE_BYTES,
    MAX_OPENING_BYTES,
    MAX_SKETCH_BYTES,
    Accuse,
    Anchor,
    AnyEntry,
    Challenge,
    Data,
    Enrol,
    Entry,
    Finality,
    Genesis,
    Member,
    Opening,
    PolicyChange,
    Recover,
    Revoke,
    Role,
    Rotate,
    Snapshot,
    Update,
    Verdict,
)
from ledger.errors import RemoteError
from ledger.genesis import check_genesis

MAX_INTEGER: Final = (1 << 53) - 1
MAX_OPENS: Final = 16  # roles and peers that a data entry names
MAX_JUDGEMENTS: Final = 64  # in one verdict
MAX_JUDGED: Final = 256  # entries judged together
MAX_CHALLENGED: Final = 256  # records in one opening
MAX_NAME_CHARS: Final = 64  # names are for people; a longer one only breaks tables

_HASHES = re.compile(r"[0-9a-f]{64}(?: [0-9a-f]{64})*").fullmatch
_is_hash = re.compile(r"[0-9a-f]{64}").fullmatch
_is_signature = re.compile(r"[0-9a-f]{128}").fullmatch
_ROLES: Final = frozenset(get_args(Role))


def kind_of(entry: Entry) -> str:
    return str(entry.__struct_config__.tag)


def check_entry(entry: AnyEntry) -> None:
    """RemoteError if the entry alone shows that nobody may take it."""
    if entry.v != FORMAT_VERSION:
        raise RemoteError(
            "an entry is of another format version", why=f"v is {entry.v}, this program knows {FORMAT_VERSION}"
        )
    _natural(entry, "seq", entry.seq)
    _natural(entry, "time", entry.time)
    if (entry.prev == "") != (entry.seq == 0):
        raise _wrong(entry, "prev", "empty at seq 0 and nowhere else")
    _hashes(entry, "prev, heads or meets", *([entry.prev] if entry.seq else ()), entry.heads, *entry.meets)
    _versions(entry, "seen", entry.seen, least=1)
    if isinstance(entry, Genesis):
        if entry.swarm or entry.seq:
            raise _wrong(entry, "swarm", "a genesis is entry 0 and its own swarm")
    else:
        _hashes(entry, "swarm", entry.swarm)
    _CHECKS[type(entry)](entry)


def _check_genesis(entry: Genesis) -> None:
    _text(entry, "name", entry.name)
    _text(entry, "task", entry.task)
    _hashes(entry, "seed, policy, admins or witnesses", entry.seed, entry.policy, *entry.admins, *entry.witnesses)
    check_genesis(entry)


def _check_enrol(entry: Enrol) -> None:
    _hashes(entry, "key, next or sponsor", entry.key, entry.next, *([entry.sponsor] if entry.sponsor else ()))
    _text(entry, "name", entry.name)


def _check_member(entry: Member) -> None:
    _hashes(entry, "peer", entry.peer)
    _natural(entry, "expires", entry.expires)


def _check_revoke(entry: Revoke) -> None:
    _hashes(entry, "peer", entry.peer)
    _natural(entry, "since", entry.since)


def _check_judged(entry: Data) -> None:
    """A part of `labels`: one spelling for none of them, which is to leave the field out."""
    if not entry.judgements:
        raise _wrong(entry, "judged", "left out where nothing is judged")
    for label, count in entry.judgements.items():
        _within(entry, "judged", count, 1, entry.labels.get(label, 0))


def _check_data(entry: Data) -> None:
    _hashes(entry, "root or sources", entry.root, *(source.sha256 for source in entry.sources if source.sha256))
    _natural(entry, "records", entry.records)
    _within(entry, "conflicts", entry.conflicts, 0, entry.records)
    _within(entry, "duplicates", entry.duplicates, 0, entry.records)
    for label, count in entry.labels.items():
        if not label.isascii():
            raise _wrong(entry, "labels", "a label is not ASCII")
        _within(entry, "labels", count, 0, entry.records)
    if entry.judged is not msgspec.UNSET:
        _check_judged(entry)
    for field, text in (("generator", entry.generator), ("suffixes", entry.suffixes)):
        _text(entry, field, text)
    if entry.opens != sorted(set(entry.opens)) or len(entry.opens) > MAX_OPENS:
        raise _wrong(entry, "opens", f"at most {MAX_OPENS} roles and peer ids, sorted, each once")
    if not all(name in _ROLES or _is_hash(name) for name in entry.opens):
        raise _wrong(entry, "opens", "roles and peer ids")
    if entry.zone != "public" and (entry.opens or entry.sketch):
        raise _wrong(entry, "zone", "what is private is opened to nobody and has no sketch")
    if entry.opens and entry.sketch:
        raise _wrong(entry, "sketch", "what only some may see has none: everybody who takes the entry reads it")
    if entry.zone == "public" and not entry.opens and entry.records and not entry.sketch:
        raise _wrong(entry, "sketch", "what everybody may see has one: without it no copy of it would be noticed")
    if entry.sketch:
        _hashes(entry, "sketch", entry.sketch)
        _within(entry, "sketch_bytes", entry.sketch_bytes, 1, MAX_SKETCH_BYTES)
    elif entry.sketch_bytes:
        raise _wrong(entry, "sketch_bytes", "0 where there is no sketch")
    _natural(entry, "privacy", entry.privacy.epsilon)
    _natural(entry, "privacy", entry.privacy.delta)
    if bool(entry.privacy.epsilon) is not bool(entry.privacy.delta):
        raise _wrong(entry, "privacy", "an epsilon without a delta, or the other way round, promises nothing")


def _check_update(entry: Update) -> None:
    _hashes(entry, "delta", entry.delta)
    _natural(entry, "bytes", entry.bytes)
    _within(entry, "data", entry.data, 0, entry.seq)
    _natural(entry, "steps", entry.steps)
    _natural(entry, "examples", entry.examples)
    _natural(entry, "norm", entry.norm)
    _within(entry, "weight", entry.weight, 0, GRID_ONE)
    _natural(entry, "epsilon", entry.epsilon)
    scores = entry.scores
    _natural(entry, "scores", scores.examples)
    for count in (scores.tp, scores.fp, scores.fn):
        _within(entry, "scores", count, 0, scores.examples)
    _versions(entry, "view", entry.view, least=0)
    if entry.view:
        seen = dict(entry.seen)
        for index, size in entry.view:
            if size >= seen.get(index, MAX_INTEGER):
                raise _wrong(entry, "view", "names only logs of which less than `seen` was in the view")


def _check_snapshot(entry: Snapshot) -> None:
    _hashes(entry, "model or state", entry.model, entry.state)
    _natural(entry, "updates", entry.updates)


def _check_accuse(entry: Accuse) -> None:
    _hashes(entry, "peer or evidence", entry.peer, entry.evidence)
    _natural(entry, "index", entry.index)
    _within(entry, "bytes", entry.bytes, 1, MAX_EVIDENCE_BYTES if entry.charge == "fork" else MAX_OPENING_BYTES)


def _check_rotate(entry: Rotate) -> None:
    _hashes(entry, "key or next", entry.key, entry.next)


def _check_recover(entry: Recover) -> None:
    _hashes(entry, "key or next", entry.key, entry.next)
    _within(entry, "since", entry.since, 0, entry.seq)


def _check_final(entry: Finality) -> None:
    _within(entry, "snapshot", entry.snapshot, 0, entry.seq - 1)


def _check_anchor(entry: Anchor) -> None:
    _within(entry, "size", entry.size, 1, entry.seq)
    _hashes(entry, "token", entry.token)
    _natural(entry, "bytes", entry.bytes)


def _check_policy(entry: PolicyChange) -> None:
    _within(entry, "number", entry.number, 1, MAX_INTEGER)
    _hashes(entry, "policy", entry.policy)
    _within(entry, "policy_bytes", entry.policy_bytes, 1, MAX_INTEGER)


def _check_verdict(entry: Verdict) -> None:
    _hashes(entry, "basis", entry.basis)
    _within(entry, "judgements", len(entry.judgements), 1, MAX_JUDGEMENTS)
    for judgement in entry.judgements:
        _hashes(entry, "judgements", judgement.peer, judgement.hash)
        _within(entry, "judgements", len(judgement.seqs), 1, MAX_JUDGED)
        before = -1
        for seq in judgement.seqs:
            _within(entry, "judgements", seq, before + 1, MAX_INTEGER)
            before = seq
        for reading in judgement.readings:
            _text(entry, "judgements", reading.rule)
            _natural(entry, "judgements", reading.value)
            _natural(entry, "judgements", reading.limit)
        for scores in (scores for measured in judgement.measured for scores in (measured.given, measured.without)):
            _natural(entry, "judgements", scores.examples)
            for count in (scores.tp, scores.fp, scores.fn):
                _within(entry, "judgements", count, 0, scores.examples)
        scored = judgement.decision == "scored"
        if scored == bool(judgement.readings) or not (judgement.readings or judgement.measured):
            raise _wrong(entry, "judgements", "a decision has its reasons, and scores alone decide nothing")


def _check_challenge(entry: Challenge) -> None:
    _hashes(entry, "peer or hash", entry.peer, entry.hash)
    _natural(entry, "data", entry.data)
    _within(entry, "count", entry.count, 1, MAX_CHALLENGED)
    if not _is_signature(entry.signature):
        raise _wrong(entry, "signature", "128 lower-case hex digits")


def _check_opening(entry: Opening) -> None:
    _hashes(entry, "peer or opened", entry.peer, entry.opened)
    _natural(entry, "challenge", entry.challenge)
    _within(entry, "opened_bytes", entry.opened_bytes, 1, MAX_OPENING_BYTES)


_CHECKS: Final[dict[type, Callable[[Any], None]]] = {
    Genesis: _check_genesis,
    Enrol: _check_enrol,
    Member: _check_member,
    Revoke: _check_revoke,
    Data: _check_data,
    Update: _check_update,
    Snapshot: _check_snapshot,
    Accuse: _check_accuse,
    Rotate: _check_rotate,
    Recover: _check_recover,
    Finality: _check_final,
    Anchor: _check_anchor,
    PolicyChange: _check_policy,
    Verdict: _check_verdict,
    Challenge: _check_challenge,
    Opening: _check_opening,
}


def _hashes(entry: Entry, field: str, *values: str) -> None:
    """Each value is 64 lower-case hex digits. The length rules out one value that spells two."""
    joined = " ".join(values)
    if len(joined) != 65 * len(values) - 1 or not _HASHES(joined):
        raise _wrong(entry, field, "a hash is 64 lower-case hex digits")


def _versions(entry: Entry, field: str, pairs: Sequence[tuple[int, int]], *, least: int) -> None:
    before = -1
    for index, size in pairs:
        if not before < index <= MAX_INTEGER:
            raise _wrong(entry, field, "roster indices rise")
        if not least <= size <= MAX_INTEGER:
            raise _wrong(entry, field, f"sizes are at least {least}")
        before = index


def _natural(entry: Entry, field: str, value: int) -> None:
    if not 0 <= value <= MAX_INTEGER:
        raise _wrong(entry, field, "outside 0..2^53-1")


def _within(entry: Entry, field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise _wrong(entry, field, f"outside {least}..{most}")


def _text(entry: Entry, field: str, value: str) -> None:
    if len(value) > MAX_NAME_CHARS:
        raise _wrong(entry, field, f"longer than {MAX_NAME_CHARS} characters")


def _wrong(entry: Entry, field: str, why: str) -> RemoteError:
    return RemoteError(f"an entry of kind {kind_of(entry)} has a wrong {field}", why=why)
