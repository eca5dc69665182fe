"""`gossip data check`: how good data files are, what the swarm's policy would decide, and what to do about it.

    gossip data check requests.jsonl easylist.txt              against the policy of the swarm, or the default one
    gossip data check requests.jsonl --policy policy.toml      against one that somebody sent
    gossip data check requests.jsonl --html quality.html       the same facts as a page with plots

Everything happens on this machine; nothing is sent and nothing is changed. Of files that were given, the last word
may be a swarm's name. Exit code 1: the policy would refuse these data, or training would stop at a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import exits, render, settings
from cli.labelling import labelled
from cli.plain import visible
from cli.progress import Progress
from cli.quality_told import Checked, facts, show
from ledger.errors import LocalError

if TYPE_CHECKING:
    from cli.policy_state import InForce
    from gossip.egress import ZoneSetting
    from gossip.published import Published
    from gossip.quality.findings import Overlap
    from gossip.quality.measure import Quality
    from gossip.training.spec import ModelSpec
    from ledger.policy import Policy


@dataclass(frozen=True, slots=True)
class Swarm:
    """What a peer's directory adds."""

    rules: InForce
    model: str  # its declaration
    zone: ZoneSetting
    published: tuple[Published, ...]


def check(
    words: Annotated[
        list[str],
        typer.Argument(metavar="FILE... [NAME]", help="Data files and filter lists; the swarm, if there are several."),
    ],
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of NAME.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="A policy to check against, instead of a swarm's.")
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", metavar="SPDX", help="Licence of the data files, as you would name it to run.")
    ] = "",
    epsilon: Annotated[
        float | None,
        typer.Option("--epsilon", metavar="E", min=0, help="Privacy that you would promise with gossip run --epsilon."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page, too.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say how good data files are, and whether the swarm would take them."""
    from gossip.training.licence import check_licence

    check_licence(licence)
    files, name = files_and_name(words)
    settings.check_page(html, [*files, policy, directory])
    if epsilon:
        from gossip.training.budget import check_epsilon

        check_epsilon(epsilon)
    from gossip.filterlists.captures import needs_labels
    from gossip.quality.measure import kind_of

    captures = [file for file in files if needs_labels(file)]
    lists = [file for file in files if file not in captures and kind_of(file) == "list"]
    with labelled(files, lists) as ready:
        asked = [kept.path for kept in ready.lists if kept.path not in {file.resolve() for file in lists}]
        checked = _check([*ready.files, *asked], _place(name, directory, policy), policy, licence, epsilon)
    checked = replace(checked, captures=tuple(each.card for each in ready.labelled))
    if html is not None:
        from cli.page.quality import write_page

        write_page(checked, html)
    if json:
        render.document(facts(checked))
    else:
        show(checked)
        if html is not None:
            render.say(f"wrote   {html}")
    raise typer.Exit(exits.FINDINGS if checked.verdict.refused else exits.OK)


def files_and_name(words: Sequence[str]) -> tuple[list[Path], str | None]:
    """Files, and a swarm's name if the last word is no file. LocalError if another is none."""
    paths = [Path(word) for word in words]
    name = words[-1] if len(words) > 1 and not paths[-1].exists() and "/" not in words[-1] else None
    files = paths[:-1] if name else paths
    for path in files:
        if not path.is_file():
            raise LocalError(f"no file {path}", next_step="check the path; the name of a swarm comes last")
    return files, name


def _place(name: str | None, directory: Path | None, policy: Path | None) -> Path | None:
    """The peer that is meant; None where there is none, or where a policy was named instead."""
    if name is None and directory is None and (policy is not None or not settings.swarms(settings.settings().home)):
        return None
    return settings.existing_directory(name, directory)


def _check(
    files: list[Path], place: Path | None, policy_file: Path | None, licence: str, epsilon: float | None
) -> Checked:
    from datetime import UTC, datetime

    from cli.model import read_declaration
    from cli.policy import read_policy
    from gossip.egress import ZoneSetting
    from gossip.filterlists.split import suffixes
    from gossip.quality.findings import verdict_on
    from gossip.quality.measure import measure
    from gossip.training.spec import ModelSpec, UrlGrams
    from ledger.opening import public_salt
    from ledger.policy import DEFAULT_POLICY, Policy

    swarm = None if place is None else _swarm(place, files)
    if policy_file is not None:
        against, policy = f"the policy {policy_file}", read_policy(policy_file)
    elif swarm is not None:
        against, policy = f"policy {swarm.rules.number} of {visible(swarm.rules.name, 40)}", swarm.rules.policy
    else:
        against, policy = "the default policy", Policy.parse(DEFAULT_POLICY)
    spec: ModelSpec = ModelSpec.parse(swarm.model if swarm else read_declaration(None, None)[0])
    salt = public_salt(swarm.rules.swarm) if swarm and swarm.published else b""
    with Progress() as progress:
        quality = measure(spec, files, licence=licence, salt=salt, progress=progress)
    labels, why_not = _labelled_again(quality, policy, place)
    verdict = verdict_on(
        quality, policy, spec.feature_spec, suffixes() if isinstance(spec.features, UrlGrams) else "",
        swarm.zone if swarm else ZoneSetting(), _overlaps(quality, swarm), datetime.now(UTC).date(),
        labels, _promised(epsilon, place), why_not,
    )  # fmt: skip
    return Checked(against, policy, quality, verdict)


def _promised(epsilon: float | None, place: Path | None) -> float:
    """What is named now, else what the peer was run with last."""
    from cli.remembered import last_run

    if epsilon is not None or place is None:
        return epsilon or 0.0
    return last_run(place).epsilon


def _swarm(place: Path, files: list[Path]) -> Swarm | None:
    """None if the peer has not heard of its swarm's rules yet."""
    from cli.policy_state import in_force_of
    from cli.sources import opened
    from gossip import zones
    from gossip.directory import store_path
    from gossip.published import published
    from gossip.quality.measure import kind_of
    from ledger.canonical import decode_entry
    from ledger.entry import Genesis
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        first = store.entry(store.meta("founder").decode(), 0)
        genesis = decode_entry(first) if first is not None else None
        if not isinstance(genesis, Genesis):
            render.complain("this peer has not heard its swarm's policy yet: checked against the default one")
            return None
        others = tuple(published(store, but=store.meta("self").decode()))
    with opened(str(place)) as source:
        data = [file for file in files if kind_of(file) != "list"]
        return Swarm(in_force_of(source), genesis.model, zones.setting(place, data), others)


def _labelled_again(quality: Quality, policy: Policy, place: Path | None) -> tuple[dict[str, int], str]:
    """What others would find of the labels, if all lists that the policy pins are kept here, and can be read; else what
    to do that it can be told."""
    from gossip.filterlists.engine import engine_of, is_installed
    from gossip.filterlists.inspect import inspect
    from gossip.pinned import held, pinned_path

    if not policy.lists or not quality.sample:
        return {}, ""
    kept = [(label, held(pinned_path(place), digest) if place else None) for _, label, digest in policy.lists]
    files = [(label, file) for label, file in kept if file is not None]
    if not is_installed():
        return {}, "install the extra named lists: pip install adblock"
    if len(files) < len(kept):
        return {}, "keep all lists that the policy names: gossip policy pin FILE..."
    found = inspect(((row.key, row.value) for row in quality.sample), engine_of(files))
    return {fact: found[fact] for fact in ("opened.malformed", "opened.wrong_labels_permille")}, ""


def _overlaps(quality: Quality, swarm: Swarm | None) -> Iterator[Overlap]:
    from gossip.quality.findings import Overlap
    from ledger.sketch import overlap_permille

    if swarm is not None and quality.keys is not None and quality.keys.keys:
        for other in swarm.published:
            share = overlap_permille(quality.keys, other.sketch)
            yield Overlap(other.peer, visible(other.name, 24) or other.peer[:8], other.records, share)
