"""What we have found and not yet said, and the saying of it: one `verdict` entry now and then.

    Finding --add--> waiting --at most every verdict_s--> Verdict, of at most 32 judgements

Why not at once: an entry costs some 500 bytes whatever it holds, and a peer that publishes a thousand bad updates must
not make a thousand entries grow in everybody's log. Findings of one peer that give the same reasons are one judgement,
with the worst value of each.

Bounds kept here, for what one other peer does: in a verdict 4 judgements about it, each of 256 entries at most, the
condemnations first; in all MAX_ABOUT refusals, MAX_ABOUT quarantines, and MAX_ABOUT condemnations, ever. Each by
itself: a refusal is what everybody decides alike without us, and who collects refusals would else wear us out before it
does what only we can say. Beyond that we are silent, and say once to our person that an admin should look at it. Scores
do not count: of these there is one for 16 updates and receiver (holdout.py). What was said is read back from the own
log after a restart, and so is when.

It refuses to know how anything was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gossip.peer.author import chain
from gossip.peer.inspection.office import Decision, Finding, Office
from ledger.chain import LogId, peer_of
from ledger.entry import AnyEntry, Judgement, PeerId, Reading, Verdict

MAX_IN_ONE: Final = 32  # judgements
MAX_ABOUT_IN_ONE: Final = 4  # of them about one peer
MAX_SEQS: Final = 256  # entries in one judgement, as the format has it; 5 to 9 bytes each
MAX_BYTES: Final = 40 * 1024  # of one verdict, estimated: an entry has 63 KiB
MAX_ABOUT: Final = 256  # judgements about one peer of each kind but scores, as long as the own log lasts
MAX_WAITING: Final = 1024  # findings: what does not fit is not said
GATHER_S: Final = 2.0  # at most, from a first finding to the entry: others may come with it

_URGENCY: Final[Mapping[Decision, int]] = {"condemned": 0, "quarantined": 1, "scored": 1, "refused": 2}

Group = tuple[LogId, Decision, tuple[str, ...], int]


class Docket:
    """Findings on their way into the own log."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._waiting: list[Finding] = []
        self._due: float | None = None
        self._said_at = 0.0  # the time of the last verdict
        self._about: dict[tuple[PeerId, Decision], int] = {}
        self._silent: set[tuple[PeerId, Decision]] = set()  # asked, never iterated
        self.is_last = False  # nothing new begins in this run: what is here is said without waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def learn(self, entry: AnyEntry) -> None:
        """An entry of the own log was written, or read back."""
        if isinstance(entry, Verdict):
            self._said_at = max(self._said_at, float(entry.time))
            for judgement in entry.judgements:
                kind = (judgement.peer, judgement.decision)
                self._about[kind] = self._about.get(kind, 0) + 1

    def add(self, finding: Finding, now: float) -> None:
        if self._has_room(finding) and not self._is_worn(finding):
            self._waiting.append(finding)
            if self._due is None:
                pause = self._office.luck.uniform(0.1, 1.0) * GATHER_S
                self._due = max(now + pause, self._said_at + self._office.config.verdict_s)

    def _has_room(self, finding: Finding) -> bool:
        """Refusals leave half of it to what nobody else says."""
        if finding.decision == "refused":
            return sum(1 for one in self._waiting if one.decision == "refused") < MAX_WAITING // 2
        return len(self._waiting) < MAX_WAITING

    def _is_worn(self, finding: Finding) -> bool:
        """Whether we have said so much about that peer that we say no more."""
        peer, decision = kind = peer_of(finding.log), finding.decision
        if decision == "scored" or self._about.get(kind, 0) < MAX_ABOUT:
            return False
        if kind not in self._silent:
            self._silent.add(kind)
            self._office.out.note(
                "trouble",
                text=f"this peer's log says {MAX_ABOUT} times that what peer {peer[:8]} does is {decision}, and no "
                "more than that: an admin should ask it what is wrong",
            )
        return True

    def tick(self, now: float) -> None:
        """Say what is due."""
        if self._due is None:
            return
        due = min(self._due, now) if self.is_last else self._due
        if now < due:
            self._office.later(due)
            return
        if not self._office.may_speak:
            self._office.later(now + self._office.config.verdict_s)
            return
        self._say(now)

    def _say(self, now: float) -> None:
        fields = self._office.author.draft()
        if not fields.complete:  # more is new than one entry can cite: training, or the next try, writes some of it
            self._due = now + self._office.config.verdict_s
            self._office.later(self._due)
            return
        self._waiting.sort(key=lambda finding: _URGENCY[finding.decision])
        basis = self._waiting[0].basis
        groups: dict[Group, list[Finding]] = {}
        rest: list[Finding] = []
        about: dict[PeerId, int] = {}
        room = MAX_BYTES
        for finding in self._waiting:
            if not self._still_holds(finding):
                continue
            group, peer = _group(finding, groups), peer_of(finding.log)
            size = _size(finding, is_new=group not in groups)
            if finding.basis != basis or size > room:
                rest.append(finding)
            elif group in groups:
                self._join(groups[group], finding, rest)
                room -= size
            elif len(groups) < MAX_IN_ONE and about.get(peer, 0) < MAX_ABOUT_IN_ONE:
                about[peer] = about.get(peer, 0) + 1
                groups[group] = [finding]
                room -= size
            else:
                rest.append(finding)
        judgements = [self._judgement(found) for found in groups.values()]
        self._waiting, self._due = rest, None
        if judgements:
            self._office.author.write(fields, Verdict(**chain(fields), basis=basis, judgements=judgements), now)
        if rest:
            self._due = now + self._office.config.verdict_s
            self._office.later(self._due)

    def _join(self, found: list[Finding], finding: Finding, rest: list[Finding]) -> None:
        """The same of further entries. A refusal names some: all of them are left out, whoever says so."""
        if sum(len(one.seqs) for one in found) + len(finding.seqs) <= MAX_SEQS:
            found.append(finding)
        elif finding.decision != "refused":
            rest.append(finding)

    def _still_holds(self, finding: Finding) -> bool:
        """Not what enough others have said meanwhile, or what is of a log that proofs speak of now."""
        office = self._office
        if not office.is_alien(finding.log) or self._is_worn(finding):
            return False
        return not (finding.concurs and all(office.replica.condemned(finding.log, seq) for seq in finding.seqs))

    def _judgement(self, found: list[Finding]) -> Judgement:
        first = found[0]
        seqs = sorted({seq for finding in found for seq in finding.seqs})
        worst: dict[str, Reading] = {}
        for reading in (reading for finding in found for reading in finding.readings):
            known = worst.get(reading.rule)
            if known is None or _is_worse(reading, known):
                worst[reading.rule] = reading
        return Judgement(
            peer=peer_of(first.log), seqs=seqs, hash=self._office.replica.tree(first.log).leaf(seqs[-1]).hex(),
            decision=first.decision, readings=list(worst.values()), measured=list(first.measured),
        )  # fmt: skip


def _is_worse(reading: Reading, known: Reading) -> bool:
    return abs(reading.value - reading.limit) > abs(known.value - known.limit)


def _group(finding: Finding, groups: Mapping[Group, object]) -> Group:
    """What is said together. What was measured is a judgement of its own."""
    names = tuple(reading.rule for reading in finding.readings)
    return finding.log, finding.decision, names, 1 + len(groups) if finding.measured else 0


def _size(finding: Finding, *, is_new: bool) -> int:
    """Of what a finding adds to a verdict, at most."""
    reasons = sum(len(reading.rule) + 50 for reading in finding.readings) + 320 * len(finding.measured)
    return 9 * len(finding.seqs) + (300 + reasons if is_new else 0)
