"""Peers with privacy budgets in a whole swarm: what they have spent is on record, and a policy can ask for it."""

from __future__ import annotations

from gossip.sim import Scenario, SimSwarm
from ledger.entry import Data, Update
from ledger.replica import Replica

LIMIT = "policy = 1\n[update.epsilon_milli]\nmax = 3000\n"
CLAIMED = "policy = 1\n[data.privacy]\npresent = 1\n[data.epsilon_milli]\nmax = 8000\n"


def lived(policy: str, epsilon: dict[int, tuple[int, int]]) -> tuple[SimSwarm, Replica]:
    swarm = SimSwarm(Scenario(peers=3, seconds=30.0, seed=5, policy=policy, epsilon=epsilon))
    report = swarm.run()
    assert report.drained
    assert len(set(report.model_hashes.values())) == 1, f"seed {report.seed}"
    book = swarm.peers[0].book
    assert book is not None
    return swarm, book.replica


def updates(replica: Replica, peer: str) -> list[tuple[int, bool]]:
    """(epsilon spent, whether it counts) of each update of a peer."""
    counts = {(log, seq) for log, seq, *_ in replica.updates}
    entries = [(seq, replica.entry(peer, seq)) for seq in range(replica.size(peer))]
    return [(entry.epsilon, (peer, seq) in counts) for seq, entry in entries if isinstance(entry, Update)]


def test_a_policy_leaves_out_what_has_spent_too_much_and_only_that() -> None:
    swarm, replica = lived(LIMIT, {1: (8_000, 500), 2: (2_000, 500)})
    one, two = (updates(replica, swarm.peers[number].self_id) for number in (1, 2))
    assert [epsilon for epsilon, _ in one] == [500 * (number + 1) for number in range(len(one))]
    assert all(counts is (epsilon <= 3_000) for epsilon, counts in one)
    assert len(one) > 6
    assert two == [(500, True), (1_000, True), (1_500, True), (2_000, True)], "its budget is spent, and it observes"
    (data,) = [e for seq in range(5) if isinstance(e := replica.entry(swarm.peers[2].self_id, seq), Data)]
    assert (data.privacy.epsilon, data.privacy.delta) == (2_000, 100_000)


def test_a_policy_can_ask_for_a_claim() -> None:
    swarm, replica = lived(CLAIMED, {1: (8_000, 500), 2: (9_000, 500)})
    shown = [{counts for _, counts in updates(replica, peer.self_id)} for peer in swarm.peers]
    assert shown == [{False}, {True}, {False}], "nothing is claimed; 8; 9"
