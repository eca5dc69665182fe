"""Members that sign two histories, one for each half of a divided swarm: what everybody holds after the halves meet."""

from __future__ import annotations

import pytest

from gossip.sim import Crash, Cut, Scenario, SimReport, SimSwarm, Twin
from ledger.chain import peer_of
from ledger.entry import Accuse, PeerId

HEAL = 16.0
HALVES = Scenario(peers=6, seconds=26, settle_s=40, seed=1, cuts=(Cut(6.0, HEAL, (0, 1, 2)),))


def run(**what: object) -> tuple[SimSwarm, SimReport]:
    swarm = SimSwarm(Scenario(**{**{name: getattr(HALVES, name) for name in HALVES.__dataclass_fields__}, **what}))  # type: ignore[arg-type]
    return swarm, swarm.run()


def accusations(swarm: SimSwarm) -> dict[PeerId, list[Accuse]]:
    """What is on record against each, as the first honest peer holds it."""
    book = swarm.honest[0].book
    assert book is not None
    found: dict[PeerId, list[Accuse]] = {}
    for log, size in book.replica.heads().items():
        for seq in range(size if peer_of(log) == log else 0):
            entry = book.replica.entry(log, seq)
            if isinstance(entry, Accuse):
                found.setdefault(entry.peer, []).append(entry)
    return found


def branches(swarm: SimSwarm, peer: PeerId) -> set[int]:
    """How many branches of a log the honest peers hold."""
    return {len(other.book.replica.strands(peer)) for other in swarm.honest if other.book is not None}


def healed(swarm: SimSwarm, report: SimReport) -> None:
    """All honest peers hold the same entries, branches included, and the same model, and are at peace."""
    assert report.heads_equal, f"seed {report.seed}"
    assert report.models_equal, f"seed {report.seed}"
    assert report.drained, f"seed {report.seed}"
    for peer in swarm.honest:
        assert peer.machine is not None
        status = peer.machine.status()
        assert status.missing == 0
        assert {link.peer for link in status.links} >= {other.self_id for other in swarm.honest if other is not peer}
        own = [at for at, index, kind, _ in swarm.notes if kind == "published" and index == peer.index]
        assert max(own) > HEAL + 3.0  # training goes on
    honest = {peer.self_id for peer in swarm.honest}
    hurt = [fields for _, _, kind, fields in swarm.notes if kind == "refused" and fields.get("peer") in honest]
    assert hurt == []


@pytest.mark.parametrize("forker", [2, 4])
@pytest.mark.parametrize("until", [15.9, None], ids=["gone", "still here"])
def test_a_fork_is_proven_soon_after_the_halves_meet_and_everybody_agrees(forker: int, until: float | None) -> None:
    swarm, report = run(twins=(Twin(forker, 6.1, until),), cuts=(Cut(6.0, HEAL, tuple({0, 1, 2, 6} - {forker})),))
    healed(swarm, report)
    liar = swarm.peers[forker].self_id
    assert branches(swarm, liar) == {2}
    charges = accusations(swarm)
    assert set(charges) == {liar}
    assert swarm.honest[0].book is not None
    assert swarm.honest[0].book.replica.accused_at(liar) == min(entry.index for entry in charges[liar])
    met = min(
        at for at, i, kind, f in swarm.notes if kind == "link_up" and at >= HEAL and _crosses(swarm, i, f["peer"])
    )
    proven = min(at for at, _, kind, _ in swarm.notes if kind == "forked")
    assert proven - met < 0.2  # four messages of at most 30 ms, and the digest's turn


def _crosses(swarm: SimSwarm, index: int, peer: str) -> bool:
    (side,) = [cut.side for cut in swarm.scenario.cuts]
    others = {other.self_id: other.index for other in swarm.honest}
    return peer in others and (index in side) != (others[peer] in side)


def test_one_branch_that_is_a_part_of_the_other_accuses_nobody() -> None:
    """The twin never comes to write anything of its own."""
    swarm, report = run(twins=(Twin(2, 14.5, 15.9),))
    healed(swarm, report)
    assert accusations(swarm) == {}
    assert branches(swarm, swarm.peers[2].self_id) == {1}
    assert not [kind for _, _, kind, _ in swarm.notes if kind == "forked"]


def test_three_branches() -> None:
    cuts = (Cut(6.0, HEAL, (0, 1, 3)), Cut(6.0, HEAL, (2, 6)))
    swarm, report = run(cuts=cuts, twins=(Twin(3, 6.05, 15.9), Twin(3, 6.1)))
    healed(swarm, report)
    assert branches(swarm, swarm.peers[3].self_id) == {3}


def test_two_forkers_that_believe_each_other() -> None:
    """In each half one machine of each: they cite one another's branches, and honest peers cite both."""
    swarm, report = run(cuts=(Cut(6.0, HEAL, (0, 1, 4, 7)),), twins=(Twin(4, 6.05), Twin(2, 6.05, 15.9)))
    healed(swarm, report)
    assert set(accusations(swarm)) == {swarm.peers[2].self_id, swarm.peers[4].self_id}
    assert branches(swarm, swarm.peers[2].self_id) == branches(swarm, swarm.peers[4].self_id) == {2}


def test_with_loss_and_an_observer_that_alone_holds_the_other_branch() -> None:
    """Who writes nothing holds entries that nobody cites: it cites them, so that all come to hold them."""
    swarm, report = run(
        peers=4, observers=(3,), cuts=(Cut(6.0, HEAL, (0, 1, 2)),), twins=(Twin(2, 6.1, 15.9),), seed=2, loss=0.05
    )
    assert report.heads_equal
    assert report.models_equal
    assert report.drained
    assert branches(swarm, swarm.peers[2].self_id) == {2}


def test_who_comes_late_or_comes_back_learns_of_both_branches() -> None:
    swarm, report = run(
        peers=7, late={6: 20.0}, crashes=(Crash(1, 18.0, 2.0), Crash(4, 16.4, 3.0)), twins=(Twin(2, 6.1, 15.9),)
    )
    healed(swarm, report)
    assert branches(swarm, swarm.peers[2].self_id) == {2}


def test_who_was_shown_its_other_branch_says_so_once_and_writes_no_more() -> None:
    swarm, _ = run(twins=(Twin(2, 6.1),))
    for index in (2, 6):
        said = [(at, f["text"]) for at, i, kind, f in swarm.notes if i == index and kind == "trouble"]
        (told,) = [(at, text) for at, text in said if "two histories" in str(text)]
        assert "join again as a new peer" in str(told[1])
        written = [at for at, i, kind, _ in swarm.notes if i == index and kind in ("published", "snapshot")]
        assert max(written) < told[0]


def test_the_same_seed_gives_the_same_trace_with_forks_too() -> None:
    assert run(twins=(Twin(2, 6.1),))[1].trace == run(twins=(Twin(2, 6.1),))[1].trace
