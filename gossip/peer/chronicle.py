"""Who is who, and what came last: names, keys and members as the admitted entries tell them, and the words for people.

    entry admitted --learn--> names, keys, members        --tell--> notes, and the last lines of the live view

It decides nothing: roles and keys in force are the replica's (ledger/replica.py). A name proves nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from gossip.peer.against import Against, gone_of, say_gone
from gossip.peer.outbox import Outbox
from gossip.peer.status import Looked, TailLine, refusals_of, told
from ledger.chain import LogId, peer_of
from ledger.entry import (
    GRID_ONE,
    AnyEntry,
    Challenge,
    Data,
    Enrol,
    Member,
    Opening,
    PeerId,
    Recover,
    Revoke,
    Rotate,
    Update,
    Verdict,
)
from ledger.policy_words import say_breach
from ledger.replica import Checked, Replica

TAIL: Final = 8  # entries shown to people


class Chronicle:
    """What one peer has heard, as people want to know it. `own` is this peer."""

    def __init__(self, own: PeerId, replica: Replica, out: Outbox) -> None:
        self._own = own
        self._replica = replica
        self._out = out
        self.names: dict[PeerId, str] = {}
        self.keys: dict[bytes, PeerId] = {}  # of everybody enrolled, members or not
        self.members: set[PeerId] = set()  # counted and asked, never iterated but to be sorted
        self.revoked: set[PeerId] = set()  # likewise
        self.merged = 0
        self.first_merge_at: float | None = None
        self.tail: deque[TailLine] = deque(maxlen=TAIL)
        self.looked = Looked()
        self._against = Against(own, replica)
        self._refused: set[tuple[PeerId, int, tuple[str, ...]]] = set()  # told once: whose, data entry, rules
        self._gone: dict[LogId, set[int]] = {}  # updates that are not in the model, as a majority wants it

    @property
    def refusals(self) -> tuple[str, ...]:
        """What others have against own entries, in plain words, newest last."""
        return self._against.lines

    def name(self, peer: PeerId | None) -> str:
        return self.names.get(peer_of(peer), "") if peer else ""

    def learn(self, log: LogId, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        match entry:
            case Enrol():
                self.names[log] = entry.name
                self.keys.setdefault(bytes.fromhex(entry.key), log)
                if log == self._replica.founder:
                    self.members.add(log)
            case Rotate() | Recover():
                self.keys[bytes.fromhex(entry.key)] = log
            case Member() | Revoke():
                is_out = self._replica.is_revoked(entry.peer)
                (self.revoked if is_out else self.members).add(entry.peer)
                (self.members if is_out else self.revoked).discard(entry.peer)
            case Challenge():
                self.looked.asked += peer_of(log) == self._own
                self.looked.asked_of_us += entry.peer == self._own
            case Opening():
                self.looked.shown += entry.peer == self._own
                self.looked.shown_by_us += peer_of(log) == self._own
            case Data() if log == self._own:
                self._against.announced(entry.seq)
            case Verdict():
                self._count(log, entry)
            case _:
                pass

    def merge(self, checked: Checked, now: float) -> None:
        """Another peer's update entered the model."""
        self.merged += 1
        if self.first_merge_at is None:
            self.first_merge_at = now
        weight = (checked.weight or 0) / GRID_ONE
        self._out.note("merged", peer=checked.log, name=self.name(checked.log), seq=checked.seq, weight=weight)

    def refuse(self, checked: Checked) -> None:
        """The policy leaves another peer's update out. `again`: the same was told of an update of those data."""
        entry = checked.entry
        if not checked.refused or not isinstance(entry, Update):
            return
        first = checked.refused[0]
        about = (peer_of(checked.log), entry.data, tuple(breach.rule for breach in checked.refused))
        whose = self.name(checked.log) or checked.log[:8]
        reasons = "; ".join(map(say_breach, checked.refused))
        self._out.note(
            "refused", peer=checked.log, name=self.name(checked.log), seq=checked.seq, rule=first.rule,
            value=first.value, limit=first.limit, again=about in self._refused,
            text=f"{whose}'s update (entry {checked.seq}) is left out: {reasons}",
            readings=[{"rule": one.rule, "value": one.value, "limit": one.limit} for one in checked.refused],
        )  # fmt: skip
        self._refused.add(about)

    def tell(self, checked: Checked) -> None:
        """An entry was admitted just now: say so."""
        entry, log = checked.entry, checked.log
        kind = str(entry.__struct_config__.tag)
        is_out = self._is_out(checked)
        self.tail.append(TailLine(log, self.name(log), checked.seq, kind, told(checked, self.names, is_out=is_out)))
        self._out.note("entry", peer=log, name=self.name(log), seq=checked.seq, kind=kind, text=self.tail[-1].text)
        match entry:
            case Member():
                self._out.note("admitted", peer=entry.peer, name=self.name(entry.peer), role=entry.role, by=log)
            case Rotate() | Recover():
                since = {"since": entry.since} if isinstance(entry, Recover) else {}
                self._out.note("rotated", peer=log, name=self.name(log), seq=checked.seq, key=entry.key, **since)
            case Verdict():
                self._tell_verdict(checked, entry)
            case Update() if is_out:  # what was told of its data grows, and is not told again
                if log == self._own:
                    known = self._gone.get(log) or gone_of(self._replica, log)  # (none known after a restart)
                    self._gone[log] = known | {checked.seq}
                    self._against.gone(self._say_gone(log))
                else:
                    self._gone.setdefault(log, set()).add(checked.seq)
            case _:
                pass

    def _is_out(self, checked: Checked) -> bool:
        """Whether an update is condemned as it comes: by what was said of its data."""
        return checked.weight is not None and self._replica.condemned(checked.log, checked.seq)

    # -------------------------------------------------------------- verdicts

    def _count(self, log: LogId, verdict: Verdict) -> None:
        if peer_of(log) == self._own:
            self.looked.given += sum(judgement.decision != "scored" for judgement in verdict.judgements)
        for judgement in verdict.judgements:
            if judgement.peer == self._own and judgement.decision != "scored":
                self.looked.received += 1
                self._against.count(peer_of(log), judgement)

    def _tell_verdict(self, checked: Checked, verdict: Verdict) -> None:
        """Each refusal with its values and limits; of own entries also how many say so by now."""
        for judgement in verdict.judgements:
            if judgement.decision == "scored":
                continue
            is_own = judgement.peer == self._own
            text = self._against.say(judgement) if is_own else refusals_of(
                judgement, is_own=False, judges=1, name=self.name(judgement.peer)
            )  # fmt: skip
            self._out.note(
                "verdict", peer=checked.log, name=self.name(checked.log), seq=checked.seq, about=judgement.peer,
                about_name=self.name(judgement.peer), seqs=list(judgement.seqs), decision=judgement.decision,
                own=is_own, text=text, readings=[
                    {"rule": reading.rule, "value": reading.value, "limit": reading.limit}
                    for reading in judgement.readings
                ],
            )  # fmt: skip

    def left(self, terms: list[tuple[LogId, int]]) -> None:
        """These updates left the model because of a verdict."""
        by_log: dict[LogId, set[int]] = {}
        for log, seq in terms:
            if seq not in self._gone.get(log, ()):
                by_log.setdefault(log, set()).add(seq)
        for log, seqs in sorted(by_log.items()):
            self._gone.setdefault(log, set()).update(seqs)
            mine = peer_of(log) == self._own
            text = self._say_gone(log)
            self._out.note("condemned", peer=peer_of(log), name=self.name(log), seqs=sorted(seqs), own=mine, text=text)
            if mine:
                self._against.gone(text)

    def _say_gone(self, log: LogId) -> str:
        """All of a log that is out."""
        peer = peer_of(log)
        name = "" if peer == self._own else self.name(log) or log[:8]
        return say_gone(self._replica, log, name, self._gone[log], len(self.members - {peer}))
