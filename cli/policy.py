"""`gossip policy`: which contributions become part of the model: read it, check one, see what it does, change it.

The rules themselves are `ledger.policy`'s business; here they become tables, sentences and JSON.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import control, exits, passphrase, render, settings
from cli.group import Gossip
from ledger.errors import LocalError

if TYPE_CHECKING:
    from cli.policy_state import InForce
    from ledger.policy import Policy

MAX_FAULTS: Final = 20  # of a policy: who has more has another file in hand

app = typer.Typer(cls=Gossip, help="The rules that decide which contributions become part of the model.")

Source = Annotated[str | None, typer.Argument(metavar="SOURCE", help="A bundle, a peer's directory or a swarm's name.")]
Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The swarm, if there are several.")]
Dir = Annotated[Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of NAME.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Text = Annotated[Path, typer.Argument(metavar="FILE", help="A policy; gossip policy default prints one to start from.")]


def read_policy(file: Path) -> Policy:
    """A policy file. LocalError names what is wrong with it."""
    from ledger.policy import MAX_POLICY_BYTES, Policy

    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_POLICY_BYTES + 1)
    except OSError as error:
        raise LocalError(
            f"{file}: cannot be read", why=error.strerror or str(error), next_step="check the path"
        ) from None
    try:
        return Policy.parse(data.decode("utf-8"))
    except UnicodeDecodeError:
        why = "it begins as UTF-16 does" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise LocalError(f"{file}: is not UTF-8 text", why=why, next_step="save it as UTF-8") from None
    except LocalError as error:
        raise LocalError(f"{file}: {error.what}", why=error.why, next_step=error.next_step) from None


@app.command()
def show(
    source: Source = None,
    directory: Dir = None,
    text: Annotated[bool, typer.Option("--text", help="Print the text itself, as it was set.")] = False,
    json: Json = False,
) -> None:
    """Show the policy in force, and proposals that wait for other admins."""
    from cli import damaged, policy_rules, sources
    from cli.policy_state import in_force_of

    if source is not None and directory is not None:
        settings.existing_directory(source, directory)  # says that they name two
    read = str(directory) if directory is not None else source
    place = sources.place_of(read)
    with damaged.reading(read, json=json), sources.opened(read) as found:
        state = in_force_of(found)
    if json:
        render.document(
            {**state.facts(), "text": state.policy.text, **policy_rules.document(state.policy),
             "findings": damaged.listed(found.findings)}
        )  # fmt: skip
        raise typer.Exit(damaged.code(found.findings))
    damaged.warn(found.findings)
    if text:
        render.say(state.policy.text.removesuffix("\n"))
        raise typer.Exit(damaged.code(found.findings))
    since = "as the swarm was founded" if state.number == 0 else f"changed {render.many(state.number, 'time')}"
    render.say(f"policy  {state.policy.hash}")
    render.say(f"number  {state.number}, {since}; {state.threshold} of {len(state.admins)} admins can change it")
    policy_rules.show(state.policy, lambda digest: place is not None and _is_kept(place, digest))
    for one in state.proposals:
        render.say(
            f"Asked for by {', '.join(one.by)}: policy {one.policy} as number {one.number}; "
            f"{render.many(one.missing, 'more admin')} must say so"
        )
    raise typer.Exit(damaged.code(found.findings))


@app.command()
def check(file: Text, json: Json = False) -> None:
    """Read a policy file and say what it means, rule by rule, or what is wrong with it."""
    from cli import policy_rules

    try:
        policy = read_policy(file)
    except LocalError as first:
        render.complain(first)
        for more in _other_faults(file):
            render.complain(f"{file}: {more}")
        raise typer.Exit(exits.USAGE) from None
    if json:
        render.document({"file": str(file), **policy_rules.document(policy)})
        return
    render.say(f"policy  {policy.hash}")
    policy_rules.show(policy)


def _other_faults(file: Path) -> list[LocalError]:
    """What is wrong with single lines below the first wrong one, were that one not there."""
    from ledger.policy import Policy

    try:
        lines = file.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return []
    found: list[tuple[int, LocalError]] = []
    while len(found) < MAX_FAULTS:
        try:
            Policy.parse("\n".join(lines))
            break
        except LocalError as error:
            row = _row_of(error)
            if found and row is not None and "above this line" in error.why:  # for its one rule was taken out
                begin = max(
                    (at for at in range(row) if lines[at].lstrip().startswith("[") and at < row - 1), default=row
                )
                lines[begin : row - 1] = [""] * (row - 1 - begin)
                if begin < row - 1:
                    continue
            if row is None or (found and row <= found[-1][0]):
                break  # not of one line, or it follows from what was taken out
            found.append((row, error))
            end = row
            if lines[row - 1].lstrip().startswith("["):  # with the lines of its section
                end = next((at for at in range(row, len(lines)) if lines[at].lstrip().startswith("[")), len(lines))
            lines[row - 1 : end] = [""] * (end - row + 1)
    return [error for _, error in found[1:]]


def _row_of(error: LocalError) -> int | None:
    match = re.fullmatch("line ([0-9]+) of the policy", error.what)
    return int(match[1]) if match else None


@app.command()
def explain(
    entry: Annotated[
        str, typer.Argument(metavar="PEER/SEQ", help="An update or a data set: gossip ledger log lists them.")
    ],
    source: Source = None,
    json: Json = False,
) -> None:
    """Say what the policy makes of one update, rule by rule, and why."""
    from cli import damaged, policy_explain
    from cli.opened import ruled

    with damaged.reading(source, json=json), ruled(source) as read:
        found = policy_explain.explain(read, entry)
        findings = read.report.findings
    if json:
        render.document({**policy_explain.facts(found), "findings": damaged.listed(findings)})
    else:
        damaged.warn(findings)
        policy_explain.show(found)
    raise typer.Exit(damaged.code(findings))


@app.command()
def default(
    name: Annotated[str, typer.Argument(metavar="NAME", help="filterlist, public-lists or open.")] = "filterlist",
    json: Json = False,
) -> None:
    """Print a policy that comes with the program."""
    from ledger.policies import shipped
    from ledger.policy import Policy

    text = shipped(name)
    if json:
        render.document({"name": name, "policy": Policy.parse(text).hash, "text": text})
        return
    render.say(text.removesuffix("\n"))


@app.command("set")
def set_policy(
    file: Text,
    name: Name = None,
    directory: Dir = None,
    passphrase_file: passphrase.File = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="With no node running: do not ask the others first.")
    ] = False,
    json: Json = False,
) -> None:
    """As an admin, say that this policy shall be in force; it is when enough admins have said so."""
    policy = read_policy(file)
    place = settings.existing_directory(name, directory)
    before = _state(place)
    own = _own_key(place)
    _may_set(before, own, policy)
    if control.ask(place, "policy", text=policy.text) is None:
        from gossip.identity import KeyFiles
        from gossip.node.alone import set_policy as write

        secret = passphrase.existing(KeyFiles(place).is_locked, passphrase_file)
        write(place, secret, policy.text.encode(), offline=offline)
    after = _state(place)
    asked = next((one for one in after.proposals if one.policy == policy.hash and own in one.keys), None)
    in_force = after.policy.hash == policy.hash
    facts: dict[str, Any] = {
        **after.facts(), "set": policy.hash, "in_force": in_force, "written": in_force or asked is not None,
        "missing": 0 if in_force else asked.missing if asked is not None else after.threshold,
    }  # fmt: skip
    if json:
        render.document(facts)
        return
    render.say(f"policy  {policy.hash}")
    if in_force:
        render.say(
            f"It is in force, as number {after.number}: it rules on what peers publish once they have heard of it."
        )
    elif asked is not None:
        render.say(
            f"Asked for as number {asked.number} by {', '.join(asked.by)}; {render.many(asked.missing, 'more admin')} "
            f"must type the same, with the same file, before it is in force."
        )
    else:
        render.say("The node writes it down as soon as it has heard from another peer; see: gossip policy show")


@app.command()
def pin(
    words: Annotated[
        list[str],
        typer.Argument(metavar="FILE... [NAME]", help="The very files that the policy names; the swarm, if several."),
    ],
    name: Annotated[
        str | None, typer.Option("--swarm", metavar="NAME", help="The swarm, if there are several.")
    ] = None,
    directory: Dir = None,
    json: Json = False,
) -> None:
    """Keep the files that the policy names by hash, so that this peer can check labels and measure."""
    from cli.quality import files_and_name

    files, last = files_and_name(words)
    if name is not None and last is not None:
        raise LocalError(f"{last!r} and --swarm name two swarms", next_step="keep one of them")
    place = settings.existing_directory(name or last, directory)
    from cli import sources
    from cli.policy_state import in_force_of, policy_text
    from gossip.filterlists.engine import is_installed
    from gossip.pinned import keep, pinned_path, pins_of

    with sources.opened(str(place)) as found:
        state = in_force_of(found)
        proposed = [policy for one in state.proposals if (policy := policy_text(found, one.policy)) is not None]
    kept: list[dict[str, str]] = []
    for file in files:
        error: LocalError | None = None
        for policy in (state.policy, *proposed):
            try:
                pins = keep(pinned_path(place), file, policy)
            except LocalError as refused:
                error = error or refused
                continue
            kept += [{"file": str(file), "name": one.name, "use": one.use, "sha256": one.sha256} for one in pins]
            error = None
            break
        if error is not None:
            raise error
    here = {one["sha256"] for one in kept}
    missing = [one.name for one in pins_of(state.policy) if one.sha256 not in here and not _is_kept(place, one.sha256)]
    checks = is_installed()
    if json:
        render.document({"kept": kept, "missing": missing, "labels_checked": checks, "dir": str(place)})
        return
    for one in kept:
        render.say(f"kept    {one['name']}  {one['sha256']}  {one['file']}")
    if missing:
        render.say(f"The policy in force also names: {', '.join(missing)}")
    if not checks and any(one["use"] != "canary" for one in kept):
        render.say("But labels cannot be checked here: install the extra named lists: pip install adblock")


def _is_kept(place: Path, digest: str) -> bool:
    from gossip.pinned import held, pinned_path

    return held(pinned_path(place), digest) is not None


def _state(place: Path) -> InForce:
    from cli import sources
    from cli.policy_state import in_force_of

    with sources.opened(str(place)) as found:
        return in_force_of(found)


def _own_key(place: Path) -> str:
    """The key that this peer enrolled with: by it genesis knows admins."""
    from cli import sources
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        own = store.meta("self").decode()
    with sources.opened(str(place)) as found:
        enrolled = found.enrolments().get(own)
    return enrolled.key if enrolled is not None else ""


def _may_set(state: InForce, own: str, policy: Policy) -> None:
    """LocalError if saying so would change nothing."""
    if own not in [key for key, *_ in state.admins]:
        named = ", ".join(sorted(name or key[:8] for key, _, name in state.admins))
        raise LocalError(
            "this peer is no admin of the swarm", why=f"its policy is changed by {named}", next_step="ask one of them"
        )
    if policy.hash == state.policy.hash:
        raise LocalError("this very policy is in force already", why=f"as number {state.number}")
    if any(one.policy == policy.hash and own in one.keys for one in state.proposals):
        raise LocalError(
            "this peer has asked for this very policy already",
            why="other admins have not yet",
            next_step="see who: gossip policy show",
        )
