"""What machines say of one another, an auditor finds to be true: two programs for one definition, in whole swarms."""

from __future__ import annotations

from typing import Any

import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.sim import ToyTrainer
from ledger.audit import Anchors, AuditOptions, Report, audit
from ledger.fold import PlainArithmetic
from ledger.shown import NOT_HERE
from tests.sim.bundles import contents_of
from tests.sim.test_inspection import BAD, lived

REFUSING = "policy = 1\n[data.public]\nmin = 1\n[data.records]\nmin = 100\n"
ALIKE = 'policy = 1\n[crossed.cosine_permille]\nmax = 990\non_fail = "quarantine"\n'
HARMFUL = "policy = 1\n[holdout.harm_permille]\nmax = 10\n"


def looked_at(*, plain: bool = False, **scenario: Any) -> Report:
    """An audit of what the founder holds after a life; it has the lists that everybody has."""
    swarm, _ = lived(**scenario)
    contents = contents_of(swarm)
    assert isinstance(swarm.trainer, ToyTrainer)
    inspect = swarm.trainer.inspect
    options = AuditOptions(inspectors=lambda genesis, policy: inspect)
    anchors = Anchors(swarm=contents.swarm)
    if plain:
        report = audit(contents, PlainArithmetic(), anchors, options)
    else:
        report = audit(contents, NumpyArithmetic(), anchors, options)
    assert report.findings == ()
    assert report.model_hash == contents.model_hash
    return report


@pytest.mark.parametrize(
    ("scenario", "decision"),
    [
        ({"public": (0, 1, 2, 3), "policy": REFUSING}, "refused"),
        ({"faults": {BAD: "copies"}}, "condemned"),
        ({"faults": {BAD: "copies"}, "policy": ALIKE}, "quarantined"),
        ({"public": (3, BAD), "faults": {BAD: "mute"}, "seconds": 24.0}, "condemned"),
    ],
    ids=["refused", "copies", "alike", "mute"],
)
def test_every_verdict_of_an_honest_machine_is_recomputed_and_true(scenario: dict[str, Any], decision: str) -> None:
    checks = looked_at(**scenario).checks
    assert checks.judgements == checks.true > 0
    assert {looked.judgement.decision for looked in checks.looked} == {decision}


def test_likeness_is_the_same_in_plain_integers() -> None:
    checks = looked_at(faults={BAD: "copies"}, policy=ALIKE, plain=True).checks
    assert checks.judgements == checks.true > 0


def test_records_that_a_verdict_rests_on_are_kept_and_looked_at_again() -> None:
    """By whoever condemned: so the bundle of one who did has them."""
    checks = looked_at(public=(BAD,), flipped={BAD: 0.5}).checks
    assert checks.true > 0
    assert checks.true + checks.unchecked == checks.judgements
    assert dict(checks.reasons) in ({}, {NOT_HERE: checks.unchecked})
    (opened,) = checks.opened
    assert 0 < opened.shown <= opened.records
    assert 0 < opened.wrong < opened.shown


def test_what_was_measured_on_own_rows_is_an_opinion_whose_counts_agree_with_what_it_says() -> None:
    checks = looked_at(faults={BAD: "harms"}, policy=HARMFUL, seconds=30.0).checks
    assert checks.judgements == checks.opinions > 0
    assert any(looked.judgement.decision == "condemned" for looked in checks.looked)
