"""What is wrong with a data set, how bad that is, and what to do about it.

    refused    the swarm would leave out every update trained on it, or training would stop: exit code 1
    warning    it counts less, or everybody sees that something is odd with it, or the model would learn little
    note       worth a look; nothing follows from it

The first comes from the policy, rule by rule, as every peer will apply it to the data entry; the others add what a
maintainer would want to know that no rule asks. Advice is one sentence, addressed to the owner of the data. Pure: the
day of today is an argument. It refuses to know how things were counted, and how they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from gossip.egress import ZoneSetting
from gossip.pinned import Pin, pins_of
from gossip.quality.measure import FileFacts, Quality
from gossip.training.budget import MIN_RECORDS, make_claim
from ledger.entry import FORMAT_VERSION, Claim, Data, PeerId
from ledger.policy import Policy, Ruled, Ruling
from ledger.policy_facts import FACTS
from ledger.policy_words import say_breach, say_rule

MUCH_PERMILLE: Final = 500
OLD_DAYS: Final = 180  # lists are updated every few days; after half a year a tenth of their hosts are others

Level = Literal["refused", "warning", "note"]
_ORDER: Final[tuple[Level, ...]] = ("refused", "warning", "note")

UNLABELLED: Final = "the labels were not held against the lists that the policy names"

_ADVICE: Final = {
    "data.records": "collect more, or ask the admins of the swarm for a lower limit",
    "data.duplicates_permille": "keep one of each equal row",
    "data.conflicts_permille": "label all files with one version of the lists, and keep one row of each request",
    "data.labels": "add requests with other labels",
    "data.commonest_label_permille": "add requests with the rarer labels",
    "data.labelled_permille": "label the rest, or leave it out",
    "data.sources": "name the files that the rows came from, and with --list the filter lists that labelled them",
    "data.unlicensed_sources": "say the licence of your files with --licence; a list without one must be replaced",
    "data.licences": "replace the source, or ask the admins whether its licence can be added to the policy",
    "data.source_versions": "name lists that state a version or a date",
    "data.source_hashes": "name each file once",
    "data.features": "use the model of the swarm",
    "data.suffixes": "install the version of tldextract that the others use",
    "data.public": "make the files public, if they may be seen: gossip data zone FILE public",
    "data.private": "make the files private: gossip data zone FILE private",
    "data.privacy": "train with a privacy budget: gossip run --epsilon E, from the first update on",
    "data.epsilon_milli": "choose another privacy budget: gossip run --epsilon E",
}


_OF_SOURCES: Final = (
    "data.sources", "data.unlicensed_sources", "data.licences", "data.source_versions", "data.source_hashes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    what: str
    advice: str
    rule: str = ""  # of the policy; "" if none asks


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of these data is in another peer's public data, as far as the sketches tell."""

    peer: PeerId
    name: str
    records: int
    permille: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says of the data entry to come, and everything that is to be said."""

    entry: Data
    ruling: Ruling
    overlaps: tuple[Overlap, ...]
    findings: tuple[Finding, ...]  # the worst first

    @property
    def refused(self) -> bool:
        return any(finding.level == "refused" for finding in self.findings)


def verdict_on(
    quality: Quality, policy: Policy, features: str, suffixes: str, zone: ZoneSetting, overlaps: Iterable[Overlap],
    today: date, measured: Mapping[str, int], epsilon: float = 0.0, unlabelled: str = "",
) -> Verdict:  # fmt: skip
    """`measured`: what others would find in opened records (facts of strength O), as far as that can be told here.
    `unlabelled`: what to do, if labels could not be held against the lists that the policy pins. `epsilon`: what the
    owner would promise; 0: nothing."""
    entry = entry_of(quality, features, suffixes, zone, epsilon)
    ruling = policy.rule_on_data(entry)
    if all(file.kind == "list" for file in quality.files):  # nothing that could be trained on: judged as sources only
        ruling = Ruling(tuple(ruled for ruled in ruling.readings if ruled.rule.fact in _OF_SOURCES))
    seen = policy.judge(measured)
    shared = tuple(overlaps)
    found = [
        *map(_broken, (ruled for ruled in ruling.readings if ruled.broken)),
        *(_opened(ruled, entry.zone) for ruled in seen.readings if ruled.broken),
        *([Finding("warning", UNLABELLED, unlabelled)] if unlabelled else ()),
        *_of_rows(quality),
        *_of_promise(entry, epsilon),
        *_of_files(quality, policy, today),
        *_of_others(shared),
        *(Finding("note", note, "set their zones again: gossip data zone FILE public|private") for note in zone.notes),
    ]
    ruling = Ruling((*ruling.readings, *seen.readings))
    return Verdict(entry, ruling, shared, tuple(sorted(found, key=lambda finding: _ORDER.index(finding.level))))


def entry_of(quality: Quality, features: str, suffixes: str, zone: ZoneSetting, epsilon: float = 0.0) -> Data:
    """What the data entry would say, but for what only a commitment knows: of its sketch, that there is one."""
    trained = quality.repeats.trained
    sketch = "00" * 32 if zone.zone == "public" and not zone.opens and trained.rows else ""
    promised = epsilon and trained.rows >= MIN_RECORDS
    return Data(
        v=FORMAT_VERSION, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="", root="", records=trained.rows,
        labels=quality.trained_labels, duplicates=trained.duplicates, conflicts=trained.conflicts, features=features,
        zone=zone.zone, opens=list(zone.opens), sources=[file.source for file in quality.files], suffixes=suffixes,
        sketch=sketch, privacy=make_claim(epsilon, trained.rows) if promised else Claim(),
    )  # fmt: skip


def _of_promise(entry: Data, epsilon: float) -> Iterator[Finding]:
    if epsilon and not entry.privacy.epsilon:
        what = f"no honest epsilon exists for {entry.records:,} records: gossip run --epsilon refuses them"
        yield Finding("refused", what, f"add data, up to {MIN_RECORDS:,} records or more, or promise none")


def _broken(ruled: Ruled) -> Finding:
    rule = ruled.rule
    level: Level = "refused" if rule.on_fail == "reject" else "warning"
    what = say_breach(ruled.breach)
    if FACTS[rule.fact].unit == "words":
        what += f" (welcome: {say_rule(rule).rpartition(': ')[2]})"
    return Finding(level, what, _ADVICE.get(rule.fact, "see: gossip policy explain"), rule.name)


def _opened(ruled: Ruled, zone: str) -> Finding:
    """Of public data any member may find it; private data are not opened, and the labels no better."""
    level: Level = "refused" if ruled.rule.on_fail == "reject" and zone == "public" else "warning"
    what = say_breach(ruled.breach).replace("the shown records", "a sample of these rows")
    return Finding(level, what, "label the data with the very lists that the policy names", ruled.rule.name)


def _of_rows(quality: Quality) -> Iterator[Finding]:
    rows, repeats = quality.rows, quality.repeats
    if quality.malformed:
        what = "row cannot be used" if quality.malformed == 1 else "rows cannot be used"
        yield Finding(
            "refused", f"{quality.malformed:,} {what}", "correct or remove them: training stops at the first one"
        )
    if not rows and any(file.kind != "list" for file in quality.files):
        yield Finding(
            "refused", "there is no row to train on", "name files of labelled requests, or a table of numbers"
        )
    if rows and not repeats.trained.rows:
        yield Finding(
            "refused", "every row would be held out for judging", "add requests of other sites, or name --validation"
        )
    if rows and sum(count > 0 for count in quality.labels.values()) == 1:
        (label,) = quality.labels
        yield Finding("warning", f"every row is {label}", "add others: from one label alone a model learns to say it")
    if repeats.all.conflicts:
        verb = "contradicts" if repeats.all.conflicts == 1 else "contradict"
        yield Finding(
            "warning", f"{_many(repeats.all.conflicts, 'row')} {verb} an equal one",
            "label all files with one version of the lists, and keep one row of each request",
        )  # fmt: skip
    if repeats.near_conflicts:
        yield Finding(
            "note", f"{_many(repeats.near_conflicts, 'set')} of nearly equal requests with several labels",
            "look at them: a list may block one of its twins only",
        )  # fmt: skip
    for count, what, advice in (
        (repeats.all.duplicates, "equal an earlier one", "keep one of each: copies teach nothing new"),
        (repeats.near, "nearly equal an earlier one", "keep a few of each: they teach little new"),
    ):
        if rows and 1000 * count // rows >= MUCH_PERMILLE:
            yield Finding("note", f"{count / rows:.0%} of the rows {what}", advice)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _of_files(quality: Quality, policy: Policy, today: date) -> Iterator[Finding]:
    pins = pins_of(policy)
    for file in quality.files:
        source = file.source
        if file.header is not None:
            yield from _of_list(file, pins, today)
        elif not source.licence and file.rows:
            yield Finding("note", f"{file.name} has no licence", "name it: --licence CC-BY-4.0, or whatever holds")
    for one, other in _twins(quality.files):
        yield Finding("warning", f"{one} and {other} are the same file", "name it once")


def _of_list(file: FileFacts, pins: tuple[Pin, ...], today: date) -> Iterator[Finding]:
    header = file.header
    assert header is not None
    if not header.licence:
        said = f" that we know ({header.licence_said})" if header.licence_said else ""
        yield Finding("warning", f"{file.name} names no licence{said}", "ask its maintainers, or use another list")
    if not file.source.version:
        yield Finding(
            "warning", f"{file.name} states neither version nor date",
            "take the file that its maintainers publish: those in repositories are not stamped yet",
        )  # fmt: skip
    elif header.modified and (age := (today - date.fromisoformat(header.modified)).days) > OLD_DAYS:
        yield Finding(
            "note", f"{file.name} is {age} days old", "label with a list of today, unless the crawl is old, too"
        )
    lists = [pin for pin in pins if pin.use != "canary"]
    if lists and file.source.sha256 not in {pin.sha256 for pin in lists}:
        yield Finding(
            "note", f"{file.name} is not among the lists by which this swarm checks labels",
            "label public data with the very files that the policy names: gossip policy pin",
        )  # fmt: skip


def _of_others(overlaps: Iterable[Overlap]) -> Iterator[Finding]:
    for overlap in overlaps:
        if overlap.permille >= MUCH_PERMILLE:
            yield Finding(
                "note", f"about {overlap.permille / 10:.0f}% of these records are in {overlap.name}'s public data",
                "train on what is new: the rest is in the model already",
            )  # fmt: skip


def _twins(files: tuple[FileFacts, ...]) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for file in files:
        if (other := first.setdefault(file.source.sha256, file.name)) is not file.name:
            yield other, file.name
