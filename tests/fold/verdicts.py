"""A golden swarm in which everything that can be judged happens, and true verdicts on all of it.

    ann      public data, half of them labelled wrongly, opened to bob; a delta that is the founder's, byte for byte
    bob      public data that are ann's; a delta much like the founder's; opens nothing that cyd asks for
    cyd      an update of too many steps, on too few records
    founder  publishes first; its policy is number 1

Golden.story is what is true of it, worked out here without the code that an audit uses. Tests change one thing in one
verdict, and look what an audit says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hmac import digest

import numpy as np

from ledger.delta import decode
from ledger.entry import Challenge, Data, Hash, Judgement, Measured, Reading, Scores, Verdict
from ledger.opening import chosen, public_salt
from ledger.replica import Checked
from tests.fold.judging import Decision
from tests.fold.public import announce, answer, challenge
from tests.fold.toy import CHAIN, Peer, Swarm

POLICY = """policy = 1
[data.records]
min = 200
[update.steps]
max = 100
[opened.records]
min = 20
[opened.malformed]
max = 0
[opened.wrong_labels_permille]
max = 100
[opened.duplicates_permille]
max = 0
on_fail = "quarantine"
[opened.unanswered]
max = 0
[crossed.copied]
max = 0
[crossed.cosine_permille]
max = 900
on_fail = "quarantine"
[crossed.overlap_permille]
max = 500
[holdout.harm_permille]
max = 10
[labels.ad]
toy = "abababababababababababababababababababababababababababababababab"
"""

ROWS = [(f"https://ann.example/{number}".encode(), b"ad" if number % 2 else b"benign") for number in range(40)]
SLOPE = np.linspace(-0.1, 0.1, 16)
BENT = SLOPE + np.tile([0.01, -0.02], 8)
HARM = Measured(
    on="holdout", given=Scores(examples=50, tp=20, fp=6, fn=4), without=Scores(examples=50, tp=24, fp=2, fn=0)
)


def inspector(records: Sequence[tuple[bytes, bytes]]) -> Mapping[str, int]:
    """A reader of these rows, to whom every one is an ad."""
    sound = [value for key, value in records if key.startswith(b"https://")]
    return {
        "opened.records": len(records), "opened.malformed": len(records) - len(sound),
        "opened.wrong_labels_permille": 1000 * sum(value != b"ad" for value in sound) // max(1, len(sound)),
    }  # fmt: skip


def reader_only(records: Sequence[tuple[bytes, bytes]]) -> Mapping[str, int]:
    """The same without lists."""
    return {name: value for name, value in inspector(records).items() if "labels" not in name}


@dataclass(frozen=True)
class Said:
    """One judgement before it is written."""

    judge: str
    about: str
    seqs: tuple[int, ...]
    decision: Decision
    readings: tuple[tuple[str, int, int], ...] = ()
    measured: tuple[Measured, ...] = ()
    basis: Hash = ""  # that in force, if not said
    leaf: Hash = ""  # of the last of `seqs`, if not said

    def changed(self, **what: object) -> Said:
        return replace(self, **what)  # type: ignore[arg-type]

    def reading(self, value: int | None = None, limit: int | None = None, rule: str = "") -> Said:
        """With its first reading changed."""
        (name, was, bound), *rest = self.readings
        first = (rule or name, was if value is None else value, bound if limit is None else limit)
        return self.changed(readings=(first, *rest))


@dataclass
class Golden:
    swarm: Swarm
    seqs: dict[str, tuple[int, ...]]
    story: dict[str, Said] = field(default_factory=dict)

    def say(self, said: Said) -> Checked:
        judge = self.swarm[said.judge]
        about = self.swarm[said.about]
        judgement = Judgement(
            peer=about.id, seqs=list(said.seqs), hash=said.leaf or judge.replica.leaf(about.id, said.seqs[-1]),
            decision=said.decision, readings=[Reading(rule=r, value=v, limit=m) for r, v, m in said.readings],
            measured=list(said.measured),
        )  # fmt: skip
        basis = said.basis or judge.replica.policy_now().hash
        return judge.write(Verdict(**CHAIN, basis=basis, judgements=[judgement]))


def small_data(peer: Peer, records: int) -> int:
    checked = peer.write(
        Data(
            **CHAIN, root="cd" * 32, records=records, labels={}, duplicates=0, features="toy-1", zone="private",
            sources=[],
        )
    )  # fmt: skip
    return checked.seq


def golden() -> Golden:
    """Everything has happened, everybody holds it, and nobody has said a word."""
    swarm = Swarm(["ann", "bob", "cyd"])
    founder, ann, bob, cyd = (swarm[name] for name in ("founder", "ann", "bob", "cyd"))
    early = ann.publish(SLOPE**2)
    founder.ask_for(POLICY)
    swarm.exchange()
    for peer in (founder, ann, bob, cyd):
        peer.learns_from = small_data(peer, 300)
    first = founder.publish(SLOPE)
    swarm.exchange()
    shown = announce(ann, ROWS)
    swarm.exchange()
    rival = announce(bob, ROWS[:30])
    copied = ann.publish_blob(founder.blobs[first.entry.delta])  # type: ignore[union-attr]
    like = bob.publish(BENT)
    swarm.exchange()
    one = challenge(bob, ann, shown.seq, number=20)
    two = challenge(cyd, bob, rival.seq)
    ann.fetch(bob)
    answer(ann, shown, one)
    swarm.exchange()
    bob.publish(SLOPE**2)  # goes on, and answers nothing
    cyd.learns_from = small_data(cyd, 150)
    many = [cyd.publish(SLOPE, steps=steps).seq for steps in (120, 5000)]
    swarm.exchange()
    seqs = {
        "early": (early.seq,), "shown": (shown.seq,), "rival": (rival.seq,), "copied": (copied.seq,),
        "like": (like.seq,),
        "asked": (two.seq,), "many": tuple(many), "first": (first.seq,),
    }  # fmt: skip
    assert isinstance(one.entry, Challenge)
    picked = chosen(one.entry.signature, len(ROWS), 20)
    ordered = sorted(ROWS, key=lambda row: digest(public_salt(swarm.swarm), row[0], "sha256"))
    wrong = 1000 * sum(ordered[index][1] != b"ad" for index in picked) // 20
    return Golden(swarm, seqs, true_of(seqs, wrong, alike(swarm, founder, first, like)))


def alike(swarm: Swarm, holder: Peer, *updates: Checked) -> int:
    """The cosine of two deltas in permille, in plain fractions of a thousand by floating point."""
    fold = holder.fold
    assert fold is not None
    a, b = (np.zeros(fold.parameters), np.zeros(fold.parameters))
    for vector, checked in zip((a, b), updates, strict=True):
        for index, value in decode(swarm.founder.blobs[checked.entry.delta], fold.parameters).terms():  # type: ignore[union-attr]
            vector[index] = value
    return int(1000 * (a @ b) / np.sqrt((a @ a) * (b @ b)))


def true_of(seqs: Mapping[str, tuple[int, ...]], wrong: int, like: int) -> dict[str, Said]:
    """One verdict of each kind, all of them true."""
    refused = (("data.records.min", 150, 200), ("update.steps.max", 5000, 100))
    return {
        "refused": Said("ann", "cyd", seqs["many"], "refused", refused),
        "labels": Said("bob", "ann", seqs["shown"], "condemned", (("opened.wrong_labels_permille.max", wrong, 100),)),
        "silent": Said("cyd", "bob", seqs["rival"], "condemned", (("opened.unanswered.max", 1, 0),)),
        "copied": Said(
            "bob", "ann", seqs["copied"], "condemned",
            (("crossed.copied.max", 1, 0), ("crossed.cosine_permille.max", 1000, 900)),
        ),
        "like": Said("founder", "bob", seqs["like"], "quarantined", (("crossed.cosine_permille.max", like, 900),)),
        "overlap": Said("ann", "bob", seqs["rival"], "condemned", (("crossed.overlap_permille.max", 1000, 500),)),
        "harm": Said("cyd", "ann", seqs["early"], "condemned", (("holdout.harm_permille.max", 160, 10),), (HARM,)),
        "scored": Said("cyd", "founder", seqs["first"], "scored", (), (HARM,)),
    }  # fmt: skip
