"""One swarm of the table with real machines: sixteen peers in virtual time, four of them hostile.

Real frames, signatures, ledgers, folds, verdicts and quorums; only the network is simulated (gossip/sim).
"""

from __future__ import annotations

from gossip.config import PeerConfig
from gossip.sim import Scenario
from tests.attack import setting
from tests.attack.hostile import PROGRAMS, HostileSwarm, honest
from tests.attack.setting import Outcome

# What fills a simulated minute and has nothing to do with the figures is rarer: news are told anyway, and nobody dies.
CALM = PeerConfig(links=4, digest_s=30.0, relay_s=0.3, vouch_s=600.0, vouch_entries=1000)


def swarm(
    attack: str, split: str, seed: int, *, judged: bool, rounds: int = setting.ROUNDS,
    constants: dict[str, int] | None = None, are_false_judges: bool = False,
) -> HostileSwarm:  # fmt: skip
    """Ready to run. False judges who run no attack publish what they have learned."""
    scenario = Scenario(
        peers=setting.PEERS, seconds=1.02 * setting.ROUND_S * rounds, round_s=setting.ROUND_S, seed=seed, witnesses=0,
        policy=setting.JUDGED if judged else setting.OPEN, eta=setting.ETA, norm0=setting.NORM0,
        density=setting.DENSITY, constants={"kappa": setting.KAPPA, **(constants or {})}, config=CALM,
    )  # fmt: skip
    who = setting.HOSTILE if are_false_judges else setting.hostile_of(attack)
    programs = dict.fromkeys(who, PROGRAMS[attack] if attack else honest)
    trainer = setting.digits(attack, split, seed)
    return HostileSwarm(scenario, trainer, programs, setting.wanted(seed), are_false_judges=are_false_judges)


def run(attack: str, split: str, seed: int, *, judged: bool, are_false_judges: bool = False) -> Outcome:
    return outcome(swarm(attack, split, seed, judged=judged, are_false_judges=are_false_judges))


def outcome(world: HostileSwarm) -> Outcome:
    """Let it happen. The swarm must end with one history and one model, whoever attacks."""
    report = world.run()
    assert report.models_equal, f"seed {report.seed}"
    assert report.accuracy is not None
    book = world.peers[0].book
    assert book is not None
    hostile = {world.peers[index].self_id for index in world.hostile}
    published = {log: book.replica.branches.get(log).folded[-1] for log in book.replica.heads()}
    first: dict[str, int] = {}
    for at_s, index, kind, fields in world.notes:
        if index == 0 and kind == "condemned" and fields["peer"] in hostile:
            first.setdefault(fields["peer"], int(at_s / world.scenario.round_s) + 1)
    counting = dict.fromkeys(published, 0)
    for log, _, _, _ in book.replica.updates:
        counting[log] += 1
    return Outcome(
        report.accuracy,
        hostile_out=sum(not counting[log] for log in hostile),
        innocent=sum(published[log] - counting[log] for log in published if log not in hostile),
        out_from=tuple(sorted(first.values())),
    )
