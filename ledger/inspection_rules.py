"""The rules of what data show: sketches, challenges, openings, and accusations of openings that are false.

    bert  challenge   peer anna, data entry 3, 59 records, signed        anna's log   3 data  ...  17 opening  ...
    anna  opening     of bert's challenge; the blob goes to bert
    cleo  accuse      anna's opening at 17, with that blob: it does not lead to the root of entry 3
                      --> whichever branch of anna's log holds that data entry is void from 3 on

Rules kept here (the word is InvalidEntry.rule):
    sketch     that a data entry names: held before the entry comes in, and the first leaves of its tree (sketch.py)
    challenge  by a member, of another's data entry in its past, which is public and lets the challenger have records
               opened (by role or by id); signed with the challenger's key in force
    opening    by the author of that data entry, of a challenge in its past; not once more what it has opened just now
    accuse     of an opening in the past, of data that are public to all: else nobody could check it; and, once the
               blob is held, an opening that is false for every challenge that it may answer

An opening's blob gates nothing: whoever need not see the records decides without them. So it is no claim that what
was opened is any good, or that there is such a blob at all: that is for receivers to judge.

It refuses to know what records mean, and who receives what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from ledger.canonical import encode_entry, entry_hash
from ledger.chain import Charge, InvalidEntry, Log, LogId, Tip
from ledger.charter import Charter, Outcome, Past, branches_of, data_at
from ledger.entry import Accuse, Challenge, Data, Opening
from ledger.errors import RemoteError
from ledger.keys import verify
from ledger.opening import challenge_text, verify_answer, verify_sketch
from ledger.standing import Branch
from ledger.state import CHECKS_HELD
from ledger.tail import NeedsHistory


def check_sketch(log: LogId, entry: Data, blob: bytes) -> None:
    """What is decided about a sketch by everybody: RemoteError if `blob` is not the one that the entry names,
    InvalidEntry if it is, and not of that data set."""
    if sha256(blob).hexdigest() != entry.sketch:
        raise RemoteError("a sketch is not what its entry names", why=f"expected SHA-256 {entry.sketch}")
    if len(blob) != entry.sketch_bytes:
        why = f"says {entry.sketch_bytes} bytes, its sketch has {len(blob)}"
        raise InvalidEntry(log, entry.seq, "sketch", why)
    try:
        verify_sketch(blob, entry)
    except RemoteError as error:
        raise InvalidEntry(log, entry.seq, "sketch", str(error)) from None


def check_challenge(charter: Charter, tip: Tip, own: Log, entry: Challenge) -> Outcome:
    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "challenge", why)

    if entry.peer == tip.peer:
        raise wrong("is of its author's own data")
    branches = branches_of(tip, own)
    data = next((data for _, data in _data_of(branches, entry)), None)
    if data is None:
        raise wrong("names no data entry that its author has seen")
    if data.zone != "public":
        raise wrong("is of private data")
    if data.opens and tip.peer not in data.opens and _roles(tip, branches).isdisjoint(data.opens):
        raise wrong("is of data whose records are not opened to its author")
    text = challenge_text(charter.swarm, tip.peer, entry.hash, entry.count)
    if not verify(tip.key, bytes.fromhex(entry.signature), text):
        raise wrong("is not signed with its author's key")
    return Outcome(tip)


def _roles(tip: Tip, branches: Iterable[Branch]) -> set[str]:
    """Every role in which the author was let in; if an admin did so, what sponsors said is nothing."""
    house = tip.admitted[tip.peer].house
    said = [one for log, size in branches for one in log.admissions if one.peer == tip.peer and one.seq < size]
    return {one.role for one in said if bool(one.house) is bool(house)}


def check_opening(tip: Tip, own: Log, entry: Opening) -> Outcome:
    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "opening", why)

    branches = branches_of(tip, own)
    if not any(True for _ in _asked(branches, (own, tip.size), entry)):
        for log, _ in branches:
            if log.peer == entry.peer and log.base is not None and entry.challenge < log.base.challenges:
                raise NeedsHistory(log.id, f"entry {entry.challenge}, if that is a challenge")
        raise wrong("answers no challenge of its author's data that it has seen")
    answered = own.openings[-CHECKS_HELD:]  # a bound, so that a replica opened from a state decides alike
    if any((other.peer, other.challenge) == (entry.peer, entry.challenge) for _, other in answered):
        raise wrong("answers a challenge again")
    return Outcome(tip)


def check_accused(tip: Tip, past: Past, entry: Accuse) -> Outcome:
    """The rules of an accusation of an opening, but for those of its blob (`find_false`)."""

    def wrong(why: str) -> InvalidEntry:
        return InvalidEntry(tip.log, tip.size, "accuse", why)

    openings = _accused(tip, past, entry)
    if not openings:
        raise wrong(f"entry {entry.index} of that log is no opening of these records that its author has seen")
    if any(data.opens for _, _, asked in openings for data, _ in asked):
        raise wrong("is of data that not everybody may see")
    return Outcome(tip, blob=entry.evidence)


def find_false(charter: Charter, tip: Tip, past: Past, entry: Accuse, blob: bytes) -> Charge:
    """What an opening that is false proves. InvalidEntry if it is none: the accuser's fault."""
    charges: list[Charge] = []
    for log, opening, asked in _accused(tip, past, entry):
        if all(_is_false(charter, opening, data, challenge, blob) for data, challenge in asked):
            seq = min(data.seq for data, _ in asked)
            charges.append(Charge(entry.peer, seq, ((log.tree.leaf(seq), b""),)))
    if not charges:
        raise InvalidEntry(tip.log, entry.seq, "accuse", "what was opened is what its data entry commits to")
    return min(charges)  # (of several branches each may have one: everybody takes the same)


def is_false(charter: Charter, past: Past, log: Log, opening: Opening, blob: bytes) -> bool:
    """Whether an admitted opening, whose blob this is, is false for every challenge that it may answer."""
    asked = answered_by(past, log, opening)
    return all(_is_false(charter, opening, data, challenge, blob) for data, challenge in asked)


def answered_by(past: Past, log: Log, opening: Opening) -> list[tuple[Data, Challenge]]:
    """What an admitted opening may answer, each with the data entry that it asks about: nearly always one."""
    return list(_asked(_past_of(past.logs, log, opening.seq), (log, opening.seq), opening))


# ------------------------------------------------------------------ what belongs together


def _is_false(charter: Charter, opening: Opening, data: Data, challenge: Challenge, blob: bytes) -> bool:
    try:
        verify_answer(blob, opening, data, charter.swarm, challenge)
    except RemoteError:
        return True
    return False


def _data_of(branches: Iterable[Branch], challenge: Challenge) -> Iterator[tuple[Log, Data]]:
    """The data entry that a challenge names, on each of these branches that has it."""
    lost: NeedsHistory | None = None
    found = False
    for log, size in branches:
        if log.peer != challenge.peer:
            continue
        try:
            data = data_at(log, size, challenge.data)
        except NeedsHistory as error:
            lost = error
            continue
        if data is not None and entry_hash(encode_entry(data)) == challenge.hash:
            found = True
            yield log, data
    if lost is not None and not found:
        raise lost


def _asked(branches: Iterable[Branch], own: Branch, opening: Opening) -> Iterator[tuple[Data, Challenge]]:
    """What an opening in the log `own` may answer: challenges at that index, on whichever branch of that log."""
    told: list[Challenge] = []
    for log, size in branches:
        for seq, challenge in log.challenges:
            if (log.peer, seq) != (opening.peer, opening.challenge) or seq >= size or challenge in told:
                continue
            told.append(challenge)
            for _, data in _data_of((own,), challenge):
                yield data, challenge


def _accused(tip: Tip, past: Past, entry: Accuse) -> list[tuple[Log, Opening, list[tuple[Data, Challenge]]]]:
    """The openings that an accusation may mean, each with what it may answer in its own past."""
    found: list[tuple[Log, Opening, list[tuple[Data, Challenge]]]] = []
    for log, size in branches_of(tip, past.require()):
        if log.peer != entry.peer or entry.index >= size:
            continue
        if log.base is not None and entry.index < log.base.openings:
            raise NeedsHistory(log.id, f"entry {entry.index}, if that is an opening")
        for seq, opening in log.openings:
            if (seq, opening.opened) == (entry.index, entry.evidence):
                asked = list(_asked(_past_of(past.logs, log, seq), (log, seq), opening))
                found.append((log, opening, asked))
    return found


def _past_of(logs: Mapping[LogId, Log], log: Log, seq: int) -> list[Branch]:
    """Every branch in the past of an admitted entry, as far as it has seen it."""
    return [(other, size) for other in logs.values() if (size := log.seen_at(seq, other))]
