"""`gossip data zone`: which data files others may have records of, and what exactly would leave this machine.

    gossip data zone                                     what is public here; everything else is private
    gossip data zone FILE public --to auditor            asks, and says what it means
    gossip data zone FILE public --to auditor --dry-run  changes nothing: shows the data entry and who would get what

What each zone lets out is asked of the gate (gossip/preview.py), so what is shown is what happens. A peer is named by
its id, by the first digits of it, or by a name that only one peer has; the id is shown before anything is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import render, settings
from cli.plain import visible
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.egress import ZoneSetting
    from gossip.zones import Public

PUBLIC, PRIVATE = "public", "private"
LEAST_DIGITS: Final = 8  # of a peer id
_STATES: Final = {
    "public": "as it was made public",
    "changed": "changed since: private again",
    "missing": "not there",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the words of a command mean."""

    file: Path | None
    zone: str  # "" if none is set
    swarm: str | None


def zone(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE public|private] [NAME]", help="A data file and its zone; the swarm, if several."),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="ROLE|PEER", help="Who may have records opened; every member if left out."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; show what would leave.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of NAME.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show or set who may see records of a data file: nobody, unless you say so."""
    asked = _asked(words or [], dry_run)
    place = settings.existing_directory(asked.swarm, directory)
    if to and asked.zone != PUBLIC:
        raise LocalError("--to goes with public", why="records of what is private go to nobody")
    if asked.file is None:
        _list(place, json)
        return
    if not asked.file.is_file():
        raise LocalError(f"no file {asked.file}", next_step="check the path")
    if dry_run or asked.zone == PUBLIC:
        from cli.labelling import refuse_public

        refuse_public(asked.file)
    opens = _receivers(place, to or [])
    if dry_run:
        _preview(place, asked, opens, json)
    elif asked.zone == PUBLIC:
        _publish(place, asked.file, opens, yes, json)
    else:
        _withdraw(place, asked.file, json)


def _asked(words: list[str], dry_run: bool) -> Asked:
    if len(words) >= 2 and words[1] in (PUBLIC, PRIVATE) and len(words) <= 3:
        return Asked(Path(words[0]), words[1], words[2] if len(words) == 3 else None)
    if dry_run and len(words) == 1:
        return Asked(Path(words[0]), "", None)
    if len(words) <= 1 and not dry_run:
        return Asked(None, "", words[0] if words else None)
    raise LocalError(
        "this says neither a file and its zone nor a swarm", why=f"{' '.join(words)!r}",
        next_step="type: gossip data zone FILE public, or FILE private, or only the swarm's name",
    )  # fmt: skip


# ------------------------------------------------------------------ listing and setting


def _list(place: Path, json: bool) -> None:
    from gossip.zones import public_files

    names = _names(place)
    rows = [(entry, entry.state) for entry in public_files(place)]
    if json:
        render.document({"dir": str(place), "public": [_facts(entry) | {"state": state} for entry, state in rows]})
        return
    if rows:
        shown = [(visible(entry.path), _members(entry.opens, names), _STATES[state]) for entry, state in rows]
        render.table(("public file", "records to", "state"), shown)
        render.say()
    render.say("Every other file is private: no record of it, and no sketch, goes to anybody.")


def _publish(place: Path, file: Path, opens: tuple[str, ...], yes: bool, json: bool) -> None:
    from gossip.zones import make_public

    who = _members(opens, _names(place))
    _confirm(file, who, bool(opens), yes)
    entry = make_public(place, file, opens)
    if json:
        render.document({"dir": str(place), "zone": PUBLIC, **_facts(entry)})
        return
    render.say(f"public  {visible(entry.path)}")
    render.say(f"sha256  {entry.sha256}   if the file changes, it is private again")
    render.say(f"to      {who}")
    _when(place, "It is in force")


def _withdraw(place: Path, file: Path, json: bool) -> None:
    from gossip.zones import make_private

    changed = make_private(place, file)
    if json:
        render.document({"dir": str(place), "zone": PRIVATE, "path": str(file.resolve()), "changed": changed})
        return
    render.say(f"private  {visible(file.resolve())}{'' if changed else ', as it was'}")
    if changed:
        render.say("Records that were opened before are with others, and stay there.")
        _when(place, "The running node opens no more of them. Its data entry says so")


def _confirm(file: Path, who: str, restricted: bool, yes: bool) -> None:
    meaning = (
        f"{who} can ask for records of {visible(file)} and read them: pages, URLs, labels. A challenge shows some 59 "
        "of them, many challenges show more, and what was shown cannot be taken back"
    )
    if not restricted:
        meaning += ". Everybody who reads the ledger can test whether a URL that they guess is in it, by the sketch"
    if yes:
        render.complain(meaning)
        return
    if not sys.stdin.isatty():
        raise LocalError(f"this makes {visible(file)} public", why=meaning, next_step="if you want that, add --yes")
    if not typer.confirm(f"{meaning}. Make it public?", err=True):
        raise typer.Abort


def _when(place: Path, what: str) -> None:
    """A data entry is written when a node has read its data."""
    from gossip.directory import running_pid

    if running_pid(place) is not None:
        how = settings.how(place)
        render.say(f"{what} when the node starts again: gossip stop {how}, then gossip run {how}")


def _facts(entry: Public) -> dict[str, Any]:
    return {"path": entry.path, "sha256": entry.sha256, "opens": entry.opens}


# ------------------------------------------------------------------ what would leave


def _preview(place: Path, asked: Asked, opens: tuple[str, ...], json: bool) -> None:
    from gossip import zones
    from gossip.egress import ZoneSetting
    from gossip.preview import lines

    assert asked.file is not None
    if asked.zone == PUBLIC:
        wanted = ZoneSetting("public", opens, pins=(zones.pin(asked.file),))
    else:
        wanted = ZoneSetting() if asked.zone else zones.setting(place, [asked.file])
    entry = _entry(place, asked.file, wanted)
    said = lines(wanted)
    if json:
        kinds = [
            {"kind": line.kind.__name__.lower(), "what": line.kind.text, "to": list(line.to), "why": line.why}
            for line in said
        ]
        render.document({"zone": wanted.zone, "opens": list(wanted.opens), "data": entry, "kinds": kinds})
        return
    for note in wanted.notes:
        render.complain(note)
    names = _names(place)
    render.say(f"{visible(asked.file)} as {wanted.zone}: nothing is changed, nothing is sent.")
    render.say()
    render.say("The data entry, which everybody who reads the ledger can read for ever:")
    render.table(("field", "value"), _rows(entry))
    render.say()
    rows = [(line.kind.text, _audience(line.to, names) or f"nobody: {line.why}") for line in said]
    render.table(("what", "to whom"), rows)
    render.say()
    promised = entry["privacy"]["epsilon"]
    render.say(
        f"What updates tell of a record is bound by an epsilon of {promised / 1000:g}; counts are as they are."
        if promised
        else "Changes of weights are made of the rows: gossip data privacy FILE says how much can be told from them."
    )


def _entry(place: Path, file: Path, wanted: ZoneSetting) -> dict[str, Any]:
    import msgspec

    from cli.remembered import last_run
    from gossip.directory import store_path
    from gossip.preview import data_entry
    from ledger.store import Store

    told = last_run(place)
    validation = Path(told.validation) if told.validation else None
    with Store.open_readonly(store_path(place)) as store:
        data = data_entry(store, [file], validation, wanted, licence=told.licence, epsilon=told.epsilon)
    chain = ("v", "swarm", "seq", "prev", "time", "meets", "seen", "heads")
    return {name: value for name, value in msgspec.to_builtins(data).items() if name not in chain}


def _rows(entry: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in entry.items():
        match value:
            case dict():
                yield name, ", ".join(f"{visible(key)} {item}" for key, item in value.items())
            case list() if value and isinstance(value[0], dict):
                for number, item in enumerate(value):
                    yield from ((f"{name} {number + 1} {key}", visible(text)) for key, text in item.items())
            case list():
                yield name, ", ".join(map(visible, value)) or render.NONE
            case _:
                yield name, visible(value) or render.NONE


# ------------------------------------------------------------------ who


def _names(place: Path) -> dict[str, str]:
    """What the peers of a swarm call themselves, by id."""
    from cli.sources import opened

    with opened(str(place)) as source:
        return source.names()


def _receivers(place: Path, words: list[str]) -> tuple[str, ...]:
    """Roles and peer ids. LocalError if a word is neither, or means several peers."""
    from gossip.egress import ROLES

    names = _names(place) if any(word not in ROLES for word in words) else {}
    return tuple(sorted({word if word in ROLES else _peer(word, names) for word in words}))


def _peer(word: str, names: Mapping[str, str]) -> str:
    by_id = [peer for peer in names if len(word) >= LEAST_DIGITS and peer.startswith(word)]
    found = by_id or [peer for peer, name in names.items() if name == word]
    if len(found) == 1:
        return found[0]
    from gossip.egress import ROLES

    raise LocalError(
        f"{word!r} is no role, and {'several peers are' if found else 'no peer here is'} called so",
        why=", ".join(peer[:12] for peer in found),
        next_step=f"name a role ({', '.join(ROLES)}), or a peer by its id: gossip ledger log shows them",
    )


def member(place: Path, word: str) -> str:
    """The id of the one peer that a word names. LocalError if there is none, or several."""
    return _peer(word, _names(place))


def _members(opens: Iterable[str], names: Mapping[str, str]) -> str:
    return ", ".join(_member(word, names) for word in opens) or "every member"


def _member(word: str, names: Mapping[str, str]) -> str:
    if word not in names:
        return f"every {word}" if len(word) < LEAST_DIGITS * 8 else f"peer {word[:12]}"
    return f"{names[word]} ({word[:12]})"


def _audience(to: Iterable[str], names: Mapping[str, str]) -> str:
    said = []
    for word in to:
        kind, _, what = word.partition(" ")
        said.append(_member(what, names) if kind in ("role", "peer") else word)
    return ", ".join(said)
