"""A ledger in which peers judge one another all the time, to measure what looking at verdicts again costs an audit.

One update in sixteen is somebody else's, copied; three peers condemn each of those, with its likeness to the original:
so an audit compares every one with the newest updates of everybody. That is what three receivers write for a policy
that asks for copies and likeness, and far more than any honest swarm has.
"""

from __future__ import annotations

from random import Random
from typing import Final

from ledger.delta import Delta, encode
from ledger.entry import Judgement, Reading, Update, Verdict
from tests.fold.toy import CHAIN, Peer, Swarm

PEERS: Final = 8
UPDATES: Final = 800
JUDGES: Final = 3
POLICY: Final = "policy = 1\n[crossed.copied]\nmax = 0\n[crossed.cosine_permille]\nmax = 990\n"


def judged_swarm() -> tuple[Swarm, int]:
    """The swarm, and how many judgements are in it."""
    luck = Random(1)
    swarm = Swarm([f"peer{number}" for number in range(PEERS - 1)])
    swarm.founder.ask_for(POLICY)
    swarm.exchange()
    names, blobs, judged = list(swarm.peers), dict[str, bytes](), 0
    for number in range(UPDATES):
        name = luck.choice(names)
        originals = [other for other in blobs if other != name]
        if number % 16 == 15 and originals:
            original = luck.choice(originals)
            swarm.exchange(name, original)
            seq = swarm[name].publish_blob(blobs[original]).seq
            swarm.exchange()
            judges = luck.sample([other for other in names if other != name], JUDGES)
            for judge in judges:
                condemn(swarm[judge], swarm[name], seq)
            judged += JUDGES
        else:
            values = tuple(luck.randint(-127, 127) for _ in range(16))
            blobs[name] = encode(Delta(16, None, (-12,), values))
            swarm[name].publish_blob(blobs[name])
        if luck.random() < 0.5:
            swarm.exchange(name, luck.choice([other for other in names if other != name]))
    swarm.exchange()
    return swarm, judged


def condemn(judge: Peer, author: Peer, seq: int) -> None:
    assert isinstance(judge.replica.entry(author.id, seq), Update)
    readings = [
        Reading(rule="crossed.copied.max", value=1, limit=0),
        Reading(rule="crossed.cosine_permille.max", value=1000, limit=990),
    ]
    judgement = Judgement(
        peer=author.id, seqs=[seq], hash=judge.replica.leaf(author.id, seq), decision="condemned", readings=readings,
        measured=[],
    )  # fmt: skip
    judge.write(Verdict(**CHAIN, basis=judge.replica.policy_now().hash, judgements=[judgement]))
