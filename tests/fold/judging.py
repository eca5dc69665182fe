"""Lives of a toy swarm in which peers judge one another: rightly, wrongly, twice, on two branches, and too late.

Helpers of test_condemned.py and vectors.py. What is judged is random: condemnation is arithmetic, whatever the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Final, Literal

from ledger.entry import Data, Judgement, Measured, Reading, Scores, Update, Verdict
from ledger.replica import Checked, LogId, fork_of, peer_of
from tests.fold.stories import random_blob
from tests.fold.toy import CHAIN, POLICY, Peer, Swarm

Decision = Literal["scored", "refused", "quarantined", "condemned"]

WHY: Final = [Reading(rule="holdout.harm_permille.max", value=160, limit=20)]
SCORED: Final = Measured(
    on="holdout", given=Scores(examples=50, tp=20, fp=6, fn=4), without=Scores(examples=50, tp=24, fp=2, fn=0)
)
HARM: Final = POLICY + "\n[holdout.harm_permille]\nmax = 20\n"  # by which that is a reason


def judgement(judge: Peer, log: LogId, seqs: Sequence[int], decision: Decision = "condemned") -> Judgement:
    """Of entries that the judge holds."""
    scored = decision == "scored"
    return Judgement(
        peer=peer_of(log), seqs=list(seqs), hash=judge.replica.leaf(log, seqs[-1]), decision=decision,
        readings=[] if scored else WHY, measured=[SCORED],
    )  # fmt: skip


def verdict(judge: Peer, *judgements: Judgement) -> Checked:
    return judge.write(Verdict(**CHAIN, basis=judge.replica.policy_now().hash, judgements=list(judgements)))


def condemn(judge: Peer, author: Peer | LogId, *seqs: int) -> Checked:
    log = author if isinstance(author, str) else author.id
    return verdict(judge, judgement(judge, log, seqs))


def condemn_by(judges: Iterable[Peer], author: Peer, *seqs: int) -> None:
    for judge in judges:
        condemn(judge, author, *seqs)


def of_kind(peer: Peer, log: LogId, kind: type) -> list[int]:
    size = peer.replica.size(log)
    return [seq for seq in range(fork_of(log), size) if isinstance(peer.replica.entry(log, seq), kind)]


def judge_somebody(luck: Random, judge: Peer) -> bool:
    """Write a verdict on some updates, or a data entry, of somebody that the judge knows; often as another has."""
    said = [
        item[2]
        for log in judge.replica.heads()
        if peer_of(log) != judge.id
        for item in judge.replica.judgements(log)
        if peer_of(item[0]) != judge.id
    ]
    if said and luck.random() < 0.7:
        verdict(judge, luck.choice(said))
        return True
    logs = [log for log in judge.replica.heads() if peer_of(log) != judge.id and of_kind(judge, log, Update)]
    if not logs:
        return False
    log = luck.choice(sorted(logs))
    updates, data = of_kind(judge, log, Update), of_kind(judge, log, Data)
    found = []
    for _ in range(luck.choice([1, 1, 2])):
        if data and luck.random() < 0.35:
            seqs = [luck.choice(data)]
        else:
            first = luck.randrange(len(updates))
            seqs = updates[first : first + luck.choice([1, 1, 2, 4])]
        decision: Decision = "condemned" if luck.random() < 0.85 else luck.choice(["quarantined", "scored", "refused"])
        found.append(judgement(judge, log, seqs, decision))
    verdict(judge, *found)
    return True


def judged_swarm(seed: int, *, events: int = 60, copies: bool = True) -> Swarm:
    """Five trainers and an auditor who judge; two of them are copied, logs are accused, snapshots become final.

    The founder, ann and bob hear everything in the end.
    """
    luck = Random(f"judged {seed}")
    witnesses = ["founder", "ann", "bob"]
    swarm = Swarm(["ann", "bob", "cyd", "dan"], witnesses=witnesses)
    swarm.join("eva", role="auditor")
    swarm.exchange()
    honest = [swarm[name] for name in witnesses]
    others: dict[str, list[Peer]] = {name: [swarm[name]] for name in ("cyd", "dan", "eva")}
    for event in range(events):
        if copies and event in (events // 4, events // 2):
            name = luck.choice(["cyd", "cyd", "dan", "eva"])
            twin = luck.choice(others[name]).twin()
            others[name].append(twin)
            match luck.randrange(5):
                case 0:
                    twin.rotate()
                case 1:
                    twin.recover(since=luck.randint(1, twin.replica.size(twin.id)))
        everybody = [*honest, *(twin for twins in others.values() for twin in twins)]
        if event in (2 * events // 5, 3 * events // 4):
            for other in everybody:
                honest[event % 3].fetch(other)
        peer = luck.choice(everybody)
        trains = peer.name != "eva"
        match luck.randrange(12):
            case 0 | 1 | 2 | 3:
                peer.fetch(luck.choice([other for other in everybody if other.id != peer.id]))
            case 4 | 5 | 6 | 7 if peer.replica.draft(peer.id).complete:  # else what it judges may not fit in one entry
                judge_somebody(luck, peer)
            case 8 if luck.random() < 0.7:
                author = luck.choice(honest)
                snapshot = author.snapshot().seq
                for witness in honest:
                    if witness is not author and luck.random() < 0.6:
                        witness.fetch(author)
                rest = [other for other in honest if other is not author]
                if luck.random() < 0.6 and all(author.replica.enrolled(other.id) for other in rest):
                    author.write_final_if_met(snapshot, rest)
            case 9 if trains and luck.random() < 0.5:
                peer.learns_from = luck.choice([None, peer.announce_data().seq])
            case _ if trains:
                blob = random_blob(luck, 16, exponent=luck.choice([-11, -10, -7]))
                view = peer.replica.heads() if luck.random() < 0.5 else peer.views
                peer.publish_blob(blob, view=view, steps=5000 if luck.random() < 0.06 else 10)
                peer.views = peer.replica.heads()
    for other in [twin for twins in others.values() for twin in twins]:
        for peer in honest:
            peer.fetch(other)
    swarm.exchange(*witnesses)
    assert POLICY.endswith("max = 1000\n")
    return swarm


def housed_swarm(seed: int, *, events: int = 60) -> Swarm:
    """Two members let guests in, who publish, judge and hear late of one another; an admin lets some in as well, and
    one of them out. In the end everybody holds everything, and the founder snapshots it."""
    luck = Random(f"housed {seed}")
    swarm = Swarm(["ann", "bob", "cyd"], guests=4)
    due = [("ann", "gus"), ("bob", "hal"), ("ann", "ida"), ("ann", "jon"), ("bob", "kim")]
    for event in range(events):
        if due and event % 6 == 2:
            sponsor, name = due.pop(0)
            swarm.join(name, by=sponsor, role=luck.choice(["trainer", "trainer", "trainer", "observer"]))
        name = luck.choice(sorted(swarm.peers))
        peer = swarm[name]
        member = peer.replica.membership(peer.id)
        assert member is not None
        if event == 3 * events // 5 and swarm.founder.replica.enrolled(swarm["gus"].id):
            swarm.founder.fetch(swarm["ann"])
            swarm.founder.let_in(swarm["gus"])
        match luck.randrange(10):
            case 0 | 1 | 2:
                peer.fetch(swarm[luck.choice([other for other in sorted(swarm.peers) if other != name])])
            case 3 | 4 if member.role != "observer":
                judge_somebody(luck, peer)
            case 5 if luck.random() < 0.4:
                peer.snapshot()
            case _ if member.trains and of_kind(peer, peer.id, Data):
                peer.publish_blob(random_blob(luck, 16, exponent=luck.choice([-11, -10, -7])))
    swarm.exchange()
    swarm.founder.snapshot()
    swarm.exchange()
    return swarm
