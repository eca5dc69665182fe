"""Judges held to their word: each kind of verdict, true, and then with one thing in it that is not so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from struct import unpack_from
from typing import Final

import numpy as np
import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from ledger.audit import Anchors, AuditOptions, Report, audit
from ledger.bundle import BundleContents
from ledger.entry import Hash, Judgement, Measured, Opening, Reading, Scores, Update, Verdict
from ledger.fold import PlainArithmetic
from ledger.looked import Checks
from ledger.recheck import Recheck
from ledger.replica import Checked
from ledger.shown import NO_LISTS, NO_READER, NOT_HERE, Inspectors
from tests.fold.bundles import contents_of
from tests.fold.public import announce, answer, challenge, records
from tests.fold.toy import CHAIN, POLICY, Peer, Swarm
from tests.fold.verdicts import POLICY as STRICT
from tests.fold.verdicts import Golden, Said, golden, inspector, reader_only

CHANGE = np.linspace(-0.1, 0.1, 16)


def looked_at(
    swarm: Swarm, contents: BundleContents | None = None, *,
    inspectors: Inspectors | None = lambda genesis, policy: inspector, parameters: int = 1 << 20, plain: bool = False,
) -> Report:  # fmt: skip
    swarm.exchange()
    options = AuditOptions(parameters=parameters, inspectors=inspectors)
    sums = PlainArithmetic() if plain else NumpyArithmetic()
    return audit(contents or contents_of(swarm), sums, Anchors(swarm=swarm.swarm), options)


def without(contents: BundleContents, name: Hash) -> BundleContents:
    keep: Callable[..., bytes | None] = lambda digest, limit=0: None if digest == name else contents.blob(digest)  # noqa: E731
    return replace(contents, blob=keep, blobs=lambda: [digest for digest in contents.blobs() if digest != name])


def found(report: Report) -> list[tuple[str, str, int]]:
    return [(finding.rule, finding.log, finding.index) for finding in report.findings]


def counts(checks: Checks) -> tuple[int, int, int, int]:
    return checks.true, checks.false, checks.opinions, checks.unchecked


# ------------------------------------------------------------------ what is true


@pytest.mark.parametrize("plain", [False, True])
def test_true_verdicts_of_each_kind_are_recomputed_and_true_in_any_arithmetic(plain: bool):
    story = golden()
    for said in story.story.values():
        story.say(said)
    report = looked_at(story.swarm, plain=plain)
    assert (report.verdict, report.findings) == ("clean", ())
    assert counts(report.checks) == (6, 0, 2, 0)
    assert report.checks.judgements == 8
    assert report.checks.reasons == (("measured on rows of its judge", 2),)
    assert {looked.status for looked in report.checks.looked if looked.judgement.decision == "refused"} == {"true"}
    assert len(report.checks.looked) == 7  # scores alone are counted, and not told one by one


def test_several_judgements_in_one_verdict_are_each_looked_at_and_one_finding_names_it():
    story = golden()
    bob, about = story.swarm["bob"], story.swarm["ann"]
    (seq,) = story.seqs["copied"]

    def of(value: int) -> Judgement:
        readings = [Reading(rule="crossed.copied.max", value=value, limit=0)]
        leaf = bob.replica.leaf(about.id, seq)
        return Judgement(peer=about.id, seqs=[seq], hash=leaf, decision="condemned", readings=readings, measured=[])

    basis = bob.replica.policy_now().hash
    written = bob.write(Verdict(**CHAIN, basis=basis, judgements=[of(1), of(2), of(3)]))
    report = looked_at(story.swarm)
    assert found(report) == [("verdict", bob.id, written.seq)]
    assert "says crossed.copied.max 2, the entries give 1" in report.findings[0].detail
    assert "(and 1 more judgements in it are false)" in report.findings[0].detail
    assert counts(report.checks) == (1, 2, 0, 0)


# ------------------------------------------------------------------ what is not

REPEATS: Final = ("opened.duplicates_permille.max", 50, 0)
REFUSED: Final = (("data.records.min", 150, 200), ("update.steps.max", 5000, 100))
FAKE = "ef" * 32
OTHER_ROWS = Measured(
    on="holdout", given=Scores(examples=50, tp=20, fp=6, fn=4), without=Scores(examples=40, tp=24, fp=2, fn=0)
)

LIES: Final[dict[str, tuple[str, Callable[[Said, Golden], Said], str]]] = {
    "a refusal one off": ("refused", lambda said, _: said.reading(151), "min 151, the updates give 150"),
    "a refusal with the lesser value": (
        "refused", lambda said, _: said.changed(readings=(REFUSED[0], ("update.steps.max", 120, 100))),
        "says update.steps.max 120, the updates give 5000",
    ),
    "a breach left out": ("refused", lambda said, _: said.changed(readings=REFUSED[:1]), "leaves out that update"),
    "a breach made up": (
        "refused", lambda said, _: said.changed(readings=(*REFUSED, ("opened.malformed.max", 1, 0))),
        "for opened.malformed.max, which it keeps",
    ),
    "another limit": ("refused", lambda said, _: said.reading(limit=201), "min is 201, it is 200"),
    "an update that the policy let in": (
        "refused", lambda said, story: said.changed(about="founder", seqs=story.seqs["first"]), "which it keeps",
    ),
    "a refusal of a data entry": (
        "refused", lambda said, story: said.changed(about="bob", seqs=story.seqs["rival"]), "which is no update",
    ),
    "an older policy for a refusal": (
        "refused", lambda said, story: said.changed(basis=story.swarm.founder.replica.genesis.policy), "in its past",
    ),
    "a policy that nobody knows": ("copied", lambda said, _: said.changed(basis=FAKE), "was not in force in its past"),
    "an older policy without that rule": (
        "copied", lambda said, story: said.changed(basis=story.swarm.founder.replica.genesis.policy),
        "a rule that its policy does not have",
    ),
    "scores by a policy that nobody knows": ("scored", lambda said, _: said.changed(basis=FAKE), "was not in force"),
    "a rule twice": ("labels", lambda said, _: said.changed(readings=said.readings * 2), "names a rule twice"),
    "wrong labels one off": ("labels", lambda said, _: said.reading(said.readings[0][1] + 1), "give "),
    "wrong labels of what was not opened": (
        "labels", lambda said, story: said.changed(about="bob", judge="cyd", seqs=story.seqs["rival"]),
        "of which nobody had opened records",
    ),
    "malformed records that are not": (
        "labels", lambda said, _: said.changed(readings=(("opened.malformed.max", 2, 0),)), "gives 0",
    ),
    "a false opening that is true": (
        "labels", lambda said, _: said.changed(readings=(("opened.invalid", 1, 0),)), "opened.invalid 1",
    ),
    "copies within that are none": (
        "labels", lambda said, _: said.changed(decision="quarantined", readings=(REPEATS,)), "gives 0",
    ),
    "silence of who was never asked": (
        "silent", lambda said, story: said.changed(about="ann", seqs=(story.swarm["ann"].learns_from or 0,)),
        "and there is none",
    ),
    "a copy that is none": (
        "copied", lambda said, story: said.changed(about="bob", judge="ann", seqs=story.seqs["like"]), "gives 0",
    ),
    "a copy blamed on who was first": (
        "copied", lambda said, story: said.changed(about="founder", seqs=story.seqs["first"]), "gives 0",
    ),
    "a copied data set": (
        "copied", lambda said, story: said.changed(about="ann", seqs=story.seqs["shown"]), "which is no update",
    ),
    "a likeness one off": ("like", lambda said, _: said.reading(said.readings[0][1] + 1), ", the entries give "),
    "a likeness within the limit": ("like", lambda said, _: said.reading(900), "which breaks nothing"),
    "a condemnation for what is only marked": (
        "like", lambda said, _: said.changed(decision="condemned"), "condemns what its policy only marks",
    ),
    "a mark for what is condemned": (
        "overlap", lambda said, _: said.changed(decision="quarantined"), "only marks what its policy refuses",
    ),
    "a condemnation for what all decide": (
        "labels", lambda said, story: said.changed(
            about="cyd", seqs=story.seqs["many"], readings=REFUSED[1:]), "by which everybody decides alike",
    ),
    "another limit of an opinion": ("overlap", lambda said, _: said.reading(limit=499), "max is 499, it is 500"),
    "an overlap one off": ("overlap", lambda said, _: said.reading(999), "gives 1000"),
    "an overlap of who was first": (
        "overlap", lambda said, story: said.changed(about="ann", judge="bob", seqs=story.seqs["shown"]),
        "nothing to compare",
    ),
    "a harm that its counts do not show": ("harm", lambda said, _: said.reading(161), "its own counts give 160"),
    "a harm without counts": ("harm", lambda said, _: said.changed(measured=()), "shows no counts"),
    "counts of other rows": ("harm", lambda said, _: said.changed(measured=(OTHER_ROWS,)), "counts of different rows"),
    "a rule made up": (
        "overlap", lambda said, _: said.reading(rule="data.colour.max"), "a rule that its policy does not have",
    ),
    "the number asked for as a bound": (
        "overlap", lambda said, _: said.reading(rule="opened.records.min", value=0, limit=20), "which only says how",
    ),
    "an entry that is no update": (
        "overlap", lambda said, _: said.changed(seqs=(0,)), "neither an update nor a data entry",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_one_thing_that_is_not_so_is_a_finding_that_names_log_and_index(lie: str):
    kind, change, words = LIES[lie]
    story = golden()
    said = change(story.story[kind], story)
    written = story.say(said)
    report = looked_at(story.swarm)
    assert found(report) == [("verdict", written.log, written.seq)]
    assert written.log == story.swarm[said.judge].id
    assert words in report.findings[0].detail
    assert report.findings[0].file.startswith(f"logs/{written.log}/")
    assert counts(report.checks) == (0, 1, 0, 0)


def test_who_looks_at_nothing_finds_none_of_these(monkeypatch: pytest.MonkeyPatch):
    """The control: it is this look that finds them, and nothing else."""
    monkeypatch.setattr(Recheck, "_judgement", lambda *_: ("true", ""))
    story = golden()
    for kind, change, _ in list(LIES.values())[:6]:
        story.say(change(story.story[kind], story))
    assert looked_at(story.swarm).findings == ()


# ------------------------------------------------------------------ by whom, of which branch, when


def test_a_verdict_on_one_branch_of_a_log_is_held_to_that_branch():
    """Cyd signs twice: 5000 steps here, 120 there. What is true of one is false of the other."""
    swarm = Swarm(["ann", "cyd"])
    ann, cyd = swarm["ann"], swarm["cyd"]
    swarm.founder.ask_for(STRICT)
    swarm.exchange()
    twin = cyd.twin()
    one, two = cyd.publish(CHANGE, steps=5000), twin.publish(CHANGE, steps=120)
    ann.fetch(cyd)
    ann.fetch(twin)
    strands = ann.replica.strands(cyd.id)
    at = {update_of(ann.replica.entry(log, one.seq)).steps: ann.replica.leaf(log, one.seq) for log in strands}
    leaves = [at[update_of(checked.entry).steps] for checked in (one, two)]
    assert leaves[0] != leaves[1]
    story = Golden(swarm, {})
    for leaf, steps, is_true in ((leaves[0], 5000, True), (leaves[1], 120, True), (leaves[1], 5000, False)):
        reading = (("data.records.min", 100, 200), ("update.steps.max", steps, 100))
        written = story.say(Said("ann", "cyd", (one.seq,), "refused", reading, leaf=leaf))
        swarm.founder.fetch(ann)
        report = audit(contents_of(swarm), PlainArithmetic(), Anchors(swarm=swarm.swarm))
        assert (("verdict", ann.id, written.seq) in found(report)) is not is_true
    assert [finding.rule for finding in report.findings] == ["verdict"]
    assert "says update.steps.max 5000, the updates give 120" in report.findings[0].detail


def test_a_policy_that_the_judge_had_not_seen_in_force_is_none_to_judge_by():
    """One of two admins has asked for it; then the other; then the judge hears of that."""
    swarm = Swarm(["ann", "bob", "cyd"], admins=["ann"], threshold=2)
    story = Golden(swarm, {})
    swarm.founder.ask_for(STRICT)
    first = swarm.founder.publish(CHANGE)
    swarm.exchange()
    copied = swarm["cyd"].publish_blob(swarm.founder.blobs[update_of(first.entry).delta])
    swarm.exchange("bob", "cyd")
    wanted = Said("bob", "cyd", (copied.seq,), "condemned", (("crossed.copied.max", 1, 0),), basis=sha(STRICT))
    early = story.say(wanted)
    assert swarm["ann"].ask_for(STRICT)
    unheard = story.say(wanted)
    swarm.exchange()
    story.say(wanted)
    report = looked_at(swarm)
    assert found(report) == [("verdict", swarm["bob"].id, seq) for seq in (early.seq, unheard.seq)]
    assert counts(report.checks) == (1, 2, 0, 0)


def test_a_judge_may_name_a_policy_that_another_has_replaced():
    """Verdicts are written some time after what they are about was looked at."""
    story = golden()
    basis = story.swarm.founder.replica.policy_now().hash
    story.swarm.founder.ask_for(POLICY)
    story.swarm.exchange()
    story.say(story.story["overlap"].changed(basis=basis))
    story.say(story.story["refused"].changed(basis=basis))  # in the past of these updates it still holds
    assert counts(looked_at(story.swarm).checks) == (2, 0, 0, 0)


def test_an_answer_on_record_makes_silence_the_judges_own_word():
    """It may have come after the judge lost patience, and before it wrote that down; or its records never came."""
    swarm, ann, shown, wanted = asked()
    ann.publish(CHANGE)
    swarm.exchange()
    story = Golden(swarm, {})
    silent = Said("bob", "ann", (shown,), "condemned", (("opened.unanswered.max", 1, 0),))
    story.say(silent)
    swarm.exchange()
    assert counts(looked_at(swarm).checks) == (1, 0, 0, 0)
    answer(ann, announce(ann, records(40)), wanted)
    swarm.exchange()
    story.say(silent)
    assert counts(looked_at(swarm).checks) == (1, 0, 1, 0)


def test_who_has_written_nothing_since_is_not_silent():
    swarm, _, shown, _ = asked()
    written = Golden(swarm, {}).say(Said("bob", "ann", (shown,), "condemned", (("opened.unanswered.max", 1, 0),)))
    report = looked_at(swarm)
    assert found(report) == [("verdict", swarm["bob"].id, written.seq)]
    assert "gives 0" in report.findings[0].detail


def test_any_of_several_openings_that_the_judge_had_seen_may_be_meant_and_no_later_one():
    swarm = Swarm(["ann", "bob", "cyd"])
    swarm.founder.ask_for(STRICT)
    swarm.exchange()
    ann, story = swarm["ann"], Golden(swarm, {})
    rows = [(key, b"ad" if number < 20 else b"benign") for number, (key, _) in enumerate(records(40))]
    shown = announce(ann, rows)
    swarm.exchange()
    values = []
    for asker, number in (("bob", 7), ("cyd", 11)):
        wanted = challenge(swarm[asker], swarm["ann"], shown.seq, number=number)
        swarm.exchange()
        given = answer(ann, shown, wanted)
        if asker == "bob":
            swarm.exchange()
        picked = story_of(swarm, given, shown.seq)
        values.append(1000 * sum(value != b"ad" for value in picked) // number)
    assert values[0] != values[1]
    first, second = values
    early = Said("bob", "ann", (shown.seq,), "condemned", (("opened.wrong_labels_permille.max", second, 100),))
    too_early = story.say(early)  # bob has not seen cyd's answer
    swarm.exchange()
    story.say(early)
    story.say(early.reading(first))
    report = looked_at(swarm)
    assert found(report) == [("verdict", swarm["bob"].id, too_early.seq)]
    assert counts(report.checks) == (2, 1, 0, 0)


# ------------------------------------------------------------------ what cannot be told


def test_records_that_are_not_here_leave_verdicts_on_them_unchecked_and_the_audit_clean():
    story = golden()
    for kind in ("labels", "overlap"):
        story.say(story.story[kind])
    story.swarm.exchange()
    contents = contents_of(story.swarm)
    (opening,) = [entry for entry in entries(story.swarm.founder) if isinstance(entry, Opening)]
    report = looked_at(story.swarm, without(contents, opening.opened))
    assert (report.verdict, counts(report.checks)) == ("clean", (1, 0, 0, 1))
    assert report.checks.reasons == ((NOT_HERE, 1),)


def test_even_a_false_verdict_is_not_called_so_where_the_records_are_not_here():
    story = golden()
    story.say(story.story["labels"].reading(999))
    story.swarm.exchange()
    contents = contents_of(story.swarm)
    (opening,) = [entry for entry in entries(story.swarm.founder) if isinstance(entry, Opening)]
    assert counts(looked_at(story.swarm, without(contents, opening.opened)).checks) == (0, 0, 0, 1)
    assert counts(looked_at(story.swarm).checks) == (0, 1, 0, 0)


@pytest.mark.parametrize(
    ("inspectors", "why"),
    [(None, NO_READER), (lambda genesis, policy: None, NO_READER), (lambda genesis, policy: reader_only, NO_LISTS)],
)
def test_without_the_lists_labels_are_unchecked_and_all_else_is_not(inspectors: Inspectors | None, why: str):
    story = golden()
    for kind in ("labels", "overlap", "silent"):
        story.say(story.story[kind])
    report = looked_at(story.swarm, inspectors=inspectors)
    assert counts(report.checks) == (2, 0, 0, 1)
    assert report.checks.reasons == ((why, 1),)


def test_records_that_only_few_may_have_are_in_no_bundle_and_verdicts_on_them_are_unchecked():
    swarm = Swarm(["ann", "bob"])
    swarm.founder.ask_for(STRICT)
    swarm.exchange()
    shown = announce(swarm["ann"], records(40), opens=["trainer"])
    swarm.exchange()
    wanted = challenge(swarm["bob"], swarm["ann"], shown.seq)
    swarm["ann"].fetch(swarm["bob"])
    answer(swarm["ann"], shown, wanted, rows=records(40, "eve"))
    swarm.exchange()
    Golden(swarm, {}).say(Said("bob", "ann", (shown.seq,), "condemned", (("opened.invalid", 1, 0),)))
    report = looked_at(swarm)
    assert (report.findings, counts(report.checks)) == ((), (0, 0, 0, 1))
    (opened,) = report.checks.opened
    assert (opened.opens, opened.answered, opened.here) == (("trainer",), 1, 0)


def test_a_model_too_large_to_fold_leaves_likeness_unchecked_and_copies_are_told_by_hash():
    story = golden()
    story.say(story.story["like"])
    story.say(story.story["copied"].changed(readings=story.story["copied"].readings[:1]))
    assert counts(looked_at(story.swarm, parameters=1).checks) == (1, 0, 0, 1)


def test_a_delta_that_is_missing_leaves_likeness_unchecked():
    story = golden()
    story.say(story.story["like"])
    story.swarm.exchange()
    lost = update_at(story, "first").delta
    report = looked_at(story.swarm, without(contents_of(story.swarm), lost))
    assert (report.verdict, counts(report.checks)) == ("inconclusive", (0, 0, 0, 1))


def test_an_audit_compares_so_much_for_one_verdict_and_says_where_it_stopped(monkeypatch: pytest.MonkeyPatch):
    story = golden()
    story.say(story.story["copied"])
    monkeypatch.setattr("ledger.comparing.MAX_WORK", 2)
    report = looked_at(story.swarm)
    assert counts(report.checks) == (0, 0, 0, 1)
    assert report.checks.reasons == (("names more than an audit compares for one verdict", 1),)


def test_repeating_what_is_true_leaves_no_less_work_for_what_is_not(monkeypatch: pytest.MonkeyPatch):
    """A false judgement after sixty copies of a true one, each with other reasons beside it."""
    story = golden()
    bob, about = story.swarm["bob"], story.swarm["ann"]
    (copied,), (early,) = story.seqs["copied"], story.seqs["early"]

    def of(seq: int, *more: Reading) -> Judgement:
        readings = [Reading(rule="crossed.copied.max", value=1, limit=0), *more]
        leaf = bob.replica.leaf(about.id, seq)
        return Judgement(peer=about.id, seqs=[seq], hash=leaf, decision="condemned", readings=readings, measured=[])

    beside = Reading(rule="crossed.cosine_permille.max", value=1000, limit=900)
    said = [*[of(copied), of(copied, beside)] * 30, of(early)]
    written = bob.write(Verdict(**CHAIN, basis=bob.replica.policy_now().hash, judgements=said))
    monkeypatch.setattr("ledger.comparing.MAX_WORK", 30)
    report = looked_at(story.swarm)
    assert found(report) == [("verdict", bob.id, written.seq)]
    assert counts(report.checks) == (60, 1, 0, 0)


# ------------------------------------------------------------------ what decides the model, and on what grounds


def condemned_by(story: Golden, kind: str, *judges: str) -> Checks:
    for judge in judges:
        story.say(story.story[kind].changed(judge=judge))
    report = looked_at(story.swarm)
    assert report.findings == ()
    assert (report.verdict == "inconclusive") is bool(report.checks.struck_unchecked)
    return report.checks


def test_what_is_out_of_the_model_is_counted_by_what_holds_that():
    assert struck(condemned_by(golden(), "copied", "bob", "cyd")) == (0, 0, 0)  # two of four: no quorum
    assert struck(condemned_by(golden(), "copied", "bob", "cyd", "founder")) == (1, 0, 0)
    assert struck(condemned_by(golden(), "harm", "bob", "cyd", "founder")) == (1, 1, 0)


def test_a_model_shaped_by_condemnations_that_cannot_be_checked_is_not_called_clean():
    """Whoever looks for the records finds the quorum true; whoever lacks them says neither."""
    story = golden()
    learn(story.swarm, story.swarm["ann"], *story.seqs["shown"])
    for judge in ("bob", "cyd", "founder"):
        story.say(story.story["labels"].changed(judge=judge))
    story.swarm.exchange()
    contents = contents_of(story.swarm)
    report = looked_at(story.swarm)
    assert (report.verdict, struck(report.checks)) == ("clean", (1, 0, 0))
    (opening,) = [entry for entry in entries(story.swarm.founder) if isinstance(entry, Opening)]
    report = looked_at(story.swarm, without(contents, opening.opened))
    assert (report.verdict, struck(report.checks)) == ("inconclusive", (1, 0, 1))
    assert report.missing == ()


def test_silence_that_was_broken_after_all_strikes_nothing_out_of_a_clean_model():
    swarm, ann, shown, wanted = asked()
    learn(swarm, ann, shown)
    answer(ann, announce(ann, records(40)), wanted)
    swarm.exchange()
    story = Golden(swarm, {})
    for judge in ("bob", "founder"):
        story.say(Said(judge, "ann", (shown,), "condemned", (("opened.unanswered.max", 1, 0),)))
    report = looked_at(swarm)
    assert (report.verdict, report.findings, struck(report.checks)) == ("inconclusive", (), (1, 0, 1))


def learn(swarm: Swarm, author: Peer, data: int) -> None:
    """An update on public data, which another policy no longer finds too few."""
    swarm.founder.ask_for(STRICT.replace("min = 200", "min = 20"))
    swarm.exchange()
    author.learns_from = data
    author.publish(CHANGE)
    swarm.exchange()


def struck(checks: Checks) -> tuple[int, int, int]:
    return checks.struck, checks.struck_by_opinion, checks.struck_unchecked


# ------------------------------------------------------------------ what was done about the policy


def test_an_audit_tells_which_policy_ruled_on_what_and_whose_records_were_opened():
    story = golden()
    report = looked_at(story.swarm)
    old, new = report.checks.policies
    assert (old.number, old.state, old.let_in, old.left_out) == (0, "was in force", 1, 0)
    assert (new.number, new.state, new.admins) == (1, "in force", 1)
    assert new.since is not None
    assert new.since[0] == story.swarm.founder.id
    assert new.rules == (("data.records.min", 2), ("update.steps.max", 2))
    assert new.left_out == 2
    ann, bob = (next(one for one in report.checks.opened if one.log == story.swarm[name].id) for name in ("ann", "bob"))
    wrong = 20 * story.story["labels"].readings[0][1] // 1000
    assert (ann.records, ann.asked, ann.answered, ann.shown, ann.malformed, ann.wrong) == (40, 1, 1, 20, 0, wrong)
    assert (bob.records, bob.asked, bob.answered, bob.shown, bob.wrong) == (30, 1, 0, 0, -1)
    assert report.checks.challenges == 2


# ------------------------------------------------------------------ helpers


def asked() -> tuple[Swarm, Peer, int, Checked]:
    swarm = Swarm(["ann", "bob"])
    swarm.founder.ask_for(STRICT)
    shown = announce(swarm["ann"], records(40))
    swarm.exchange()
    wanted = challenge(swarm["bob"], swarm["ann"], shown.seq)
    swarm.exchange()
    return swarm, swarm["ann"], shown.seq, wanted


def story_of(swarm: Swarm, given: Checked, data: int) -> Sequence[bytes]:
    """The values of the records that an opening shows, read from its bytes."""
    assert isinstance(given.entry, Opening)
    blob, at, found = swarm["ann"].blobs[given.entry.opened], 17, []
    (wanted,) = [one for _, one in swarm["ann"].replica.answers(given.log, given.seq)]
    for _ in range(wanted.count):
        _, _, key, value = unpack_from("<QIII", blob, at)
        found.append(blob[at + 20 + key : at + 20 + key + value])
        at += 20 + key + value
    return found


def update_of(entry: object) -> Update:
    assert isinstance(entry, Update)
    return entry


def update_at(story: Golden, name: str) -> Update:
    return update_of(story.swarm.founder.replica.entry(story.swarm.founder.id, story.seqs[name][0]))


def entries(peer: Peer) -> list[object]:
    return [peer.replica.entry(log, seq) for log, size in peer.replica.heads().items() for seq in range(size)]


def sha(text: str) -> Hash:
    return sha256(text.encode()).hexdigest()
