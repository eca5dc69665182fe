"""Who is who, and what came last: names, keys and members as the admitted entries tell them, and the words for people.

    entry admitted --learn--> names, keys, members        --tell--> notes, and the last lines of the live view

It decides nothing: roles and keys in force are the replica's (ledger/replica.py). A name proves nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from gossip.peer.outbox import Outbox
from gossip.peer.status import Looked, TailLine, refusals_of, told
from ledger.chain import LogId, peer_of
from ledger.entry import (
    GRID_ONE,
    AnyEntry,
    Challenge,
    Enrol,
    Member,
    Opening,
    PeerId,
    Recover,
    Rotate,
    Verdict,
)
from ledger.policy_words import say_breach
from ledger.replica import Checked, Replica

TAIL: Final = 8  # entries shown to people
TOLD: Final = 4  # refusals of own updates and data shown to people


class Chronicle:
    """What one peer has heard, as people want to know it. `own` is this peer."""

    def __init__(self, own: PeerId, replica: Replica, out: Outbox) -> None:
        self._own = own
        self._replica = replica
        self._out = out
        self.names: dict[PeerId, str] = {}
        self.keys: dict[bytes, PeerId] = {}  # of everybody enrolled, members or not
        self.members: set[PeerId] = set()  # counted and asked, never iterated but to be sorted
        self.merged = 0
        self.first_merge_at: float | None = None
        self.tail: deque[TailLine] = deque(maxlen=TAIL)
        self.refusals: deque[str] = deque(maxlen=TOLD)
        self.looked = Looked()
        self._judges: dict[tuple[int, str], dict[PeerId, None]] = {}  # of own entries: who said so, by decision
        self._gone: set[tuple[LogId, int]] = set()  # updates that were told to have left the model

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
            case Member():
                self.members.add(entry.peer)
            case Challenge():
                self.looked.asked += peer_of(log) == self._own
                self.looked.asked_of_us += entry.peer == self._own
            case Opening():
                self.looked.shown += entry.peer == self._own
                self.looked.shown_by_us += peer_of(log) == self._own
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
        """The policy leaves another peer's update out."""
        for breach in checked.refused:
            self._out.note(
                "refused", peer=checked.log, name=self.name(checked.log), seq=checked.seq, rule=breach.rule,
                value=breach.value, limit=breach.limit, text=f"left out by the policy: {say_breach(breach)}",
            )  # fmt: skip

    def tell(self, checked: Checked) -> None:
        """An entry was admitted just now: say so."""
        entry, log = checked.entry, checked.log
        kind = str(entry.__struct_config__.tag)
        self.tail.append(TailLine(log, self.name(log), checked.seq, kind, told(checked, self.names)))
        self._out.note("entry", peer=log, name=self.name(log), seq=checked.seq, kind=kind, text=self.tail[-1].text)
        match entry:
            case Member():
                self._out.note("admitted", peer=entry.peer, name=self.name(entry.peer), role=entry.role, by=log)
            case Rotate() | Recover():
                since = {"since": entry.since} if isinstance(entry, Recover) else {}
                self._out.note("rotated", peer=log, name=self.name(log), seq=checked.seq, key=entry.key, **since)
            case Verdict():
                self._tell_verdict(checked, entry)
            case _:
                pass

    # -------------------------------------------------------------- verdicts

    def _count(self, log: LogId, verdict: Verdict) -> None:
        if peer_of(log) == self._own:
            self.looked.given += sum(judgement.decision != "scored" for judgement in verdict.judgements)
        for judgement in verdict.judgements:
            if judgement.peer == self._own and judgement.decision != "scored":
                self.looked.received += 1
                for seq in judgement.seqs:
                    self._judges.setdefault((seq, judgement.decision), {})[peer_of(log)] = None

    def _tell_verdict(self, checked: Checked, verdict: Verdict) -> None:
        """Each refusal with its values and limits; of own entries also how many say so by now."""
        for judgement in verdict.judgements:
            if judgement.decision == "scored":
                continue
            is_own = judgement.peer == self._own
            judges = self._judges.get((judgement.seqs[-1], judgement.decision), {}) if is_own else {checked.log: None}
            text = refusals_of(judgement, is_own=is_own, judges=len(judges), name=self.name(judgement.peer))
            self._out.note(
                "verdict", peer=checked.log, name=self.name(checked.log), seq=checked.seq, about=judgement.peer,
                about_name=self.name(judgement.peer), seqs=list(judgement.seqs), decision=judgement.decision,
                own=is_own, text=text, readings=[
                    {"rule": reading.rule, "value": reading.value, "limit": reading.limit}
                    for reading in judgement.readings
                ],
            )  # fmt: skip
            if is_own:
                self.refusals.append(text)

    def left(self, terms: list[tuple[LogId, int]]) -> None:
        """These updates left the model because of a verdict."""
        by_log: dict[LogId, list[int]] = {}
        for log, seq in terms:
            if (log, seq) not in self._gone:
                self._gone.add((log, seq))
                by_log.setdefault(log, []).append(seq)
        for log, seqs in sorted(by_log.items()):
            mine = peer_of(log) == self._own
            whose = "this peer's own" if mine else f"{self.name(log) or log[:8]}'s"
            which = f"update {seqs[0]}" if len(seqs) == 1 else f"{len(seqs)} updates"
            text = f"a majority condemned {whose} {which}: taken out of the model"
            self._out.note("condemned", peer=peer_of(log), name=self.name(log), seqs=sorted(seqs), own=mine, text=text)
            if mine:
                self.refusals.append(text)


__all__ = ["TAIL", "Chronicle"]
