"""`gossip key`: who this peer is, and changing, locking, saving and recovering the keys that make it so.

The peer id is a hash of the first entry of the peer's log; four words say the same for people. Which key is in force
stands in that log, so showing it takes no passphrase; its PeerId is the same key, as libp2p spells it. Ids and keys are
shown with check digits (gossip/ids.py). Private keys and passphrases are never printed. Where a node runs, it changes
the key itself; else the same machine does it here, without links.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import control, passphrase, render, settings
from cli.asking import confirm
from cli.group import Gossip
from gossip import ids
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.backup import Backup
    from ledger.private_files import Passphrase

app = typer.Typer(cls=Gossip, help="This peer's identity.")

RENEW: Final = "Backups made before can no longer recover this peer. Make a new one: gossip key backup FILE"

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The swarm, if there are several.")]
Dir = Annotated[Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of NAME.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Offline = Annotated[bool, typer.Option("--offline", help="With no node running: do not ask the others first.")]
BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
BackupSecret = Annotated[
    Path | None,
    typer.Option(
        "--backup-passphrase-file", metavar="FILE", help="Read the backup's passphrase from a file; - for stdin."
    ),
]


@app.callback()
def _group() -> None:
    pass


@app.command()
def show(name: Name = None, directory: Dir = None, json: Json = False) -> None:
    """Show the peer id, its four words, its public keys and its PeerId."""
    place = settings.existing_directory(name, directory)
    from gossip import backup as backups
    from gossip.directory import after_key_path, current_key_path, next_key_path, store_path
    from gossip.identity import KeyFiles, stored_promise
    from gossip.peer_ids import peer_id_of
    from ledger.checkpoint import origin
    from ledger.keys import words
    from ledger.note import verifier_key
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        peer, swarm = store.meta("self").decode(), store.meta("swarm").decode()
        promise, lacks_log = stored_promise(store), backups.lacks_log(store, place)
        if lacks_log:
            promise = backups.kept_promise(store) or promise
    if promise is None:
        raise LocalError("this peer's log does not name its key yet", next_step="start it with: gossip run")
    files = [path for path in (current_key_path(place), next_key_path(place), after_key_path(place)) if path.exists()]
    facts: dict[str, Any] = {
        "peer": peer,
        "words": words(peer),
        "checked": {"peer": ids.checked(peer, "peer"), "key": ids.checked(promise.key.hex(), "key")},
        "key": promise.key.hex(),
        "libp2p": peer_id_of(promise.key),
        "since": None if lacks_log else promise.since,
        "next": promise.next,
        "verifier": verifier_key(origin(swarm, peer), promise.key),
        "swarm": swarm,
        "file": str(current_key_path(place)),
        "files": [str(path) for path in files],
        "log_is_here": not lacks_log,
        "locked": KeyFiles(place).is_locked if files else False,
    }
    if json:
        render.document(facts)
        return
    render.say(f"peer      {facts['checked']['peer']}")
    render.say(f"words     {facts['words']}")
    since = f"in force since entry {promise.since} of its log"
    if lacks_log:
        since = "(as of the backup; the log is not here yet)"
    render.say(f"key       {facts['checked']['key']}")
    render.say(f"          {since}")
    render.say(f"libp2p    {facts['libp2p']}")
    render.say("          its PeerId: it changes with the key; the peer's id above stays")
    render.say(f"next      {promise.next}   SHA-256 of the key after it")
    render.say(f"verifier  {facts['verifier']}")
    render.say(f"swarm     {swarm}")
    for path in files:
        render.say(f"file      {path}{'   locked' if facts['locked'] else ''}")
    if not files:
        render.say("file      none: this peer cannot sign; a backup brings its keys back: gossip key recover FILE")


@app.command()
def new(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it.")],
    lock: passphrase.Ask = False,
    passphrase_file: passphrase.File = None,
    json: Json = False,
) -> None:
    """Make a key before there is a peer, so that others can name it."""
    from ledger.keys import PrivateKey

    key = PrivateKey.generate()
    key.save(out, passphrase.fresh(lock, passphrase_file, str(out)))
    if json:
        render.document({"key": key.public.hex(), "checked": ids.checked(key.public.hex(), "key"), "file": str(out)})
        return
    render.say(f"key     {ids.checked(key.public.hex(), 'key')}")
    render.say(f"file    {out}")
    render.say("The key is public: a founder can name it with gossip new --witness or --admin, and an admin lets it in")
    render.say("with gossip members allow KEY. The file is private.")
    render.say(f"Enter with it: gossip join INVITE --key {shlex.quote(str(out))}")


@app.command()
def rotate(
    name: Name = None,
    directory: Dir = None,
    passphrase_file: passphrase.File = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """Change to the key that was promised, and promise another."""
    place = settings.existing_directory(name, directory)
    ended = _open_invitations(place)
    _report(place, _changed(place, passphrase_file, recover=False, since=None, offline=offline), json, ended)


@app.command("passphrase")
def lock_keys(
    name: Name = None,
    directory: Dir = None,
    passphrase_file: passphrase.File = None,
    fresh_file: Annotated[
        Path | None,
        typer.Option("--new-passphrase-file", metavar="FILE", help="Read the new one from a file; - for stdin."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Leave the keys without a passphrase.")] = False,
    json: Json = False,
) -> None:
    """Lock the keys with a passphrase, change it, or remove it."""
    place = settings.existing_directory(name, directory)
    from gossip.directory import lock
    from gossip.identity import KeyFiles

    with lock(place):  # a running node holds the old passphrase
        old = passphrase.existing(KeyFiles(place).is_locked, passphrase_file)
        if remove and fresh_file is not None:
            raise LocalError("a passphrase is either changed or removed")
        new_one = None if remove else passphrase.chosen(fresh_file, "this peer's keys", passphrase.NEW)
        changed = KeyFiles(place, old).relock(new_one)
    if json:
        render.document({"dir": str(place), "files": [str(path) for path in changed], "locked": not remove})
        return
    for path in changed:
        render.say(f"{'unlocked' if remove else 'locked'}  {path}")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: best on another disk.")],
    name: Name = None,
    directory: Dir = None,
    passphrase_file: passphrase.File = None,
    backup_passphrase_file: BackupSecret = None,
    json: Json = False,
) -> None:
    """Save this peer's identity in one file, locked with a passphrase."""
    place = settings.existing_directory(name, directory)
    if file.exists():
        raise LocalError(f"there is a file {file} already", why="a backup is never overwritten")
    from cli.remembered import known_addresses
    from gossip import backup as backups
    from gossip.identity import KeyFiles

    keys = passphrase.existing(KeyFiles(place).is_locked, passphrase_file)
    content = backups.make(place, keys, known_addresses(place))
    backups.write(file, content, passphrase.chosen(backup_passphrase_file, "the backup", passphrase.BACKUP))
    if json:
        render.document({"file": str(file), "dir": str(place)})
        return
    render.say(f"backup  {file}")
    render.say(
        "Whoever has it and its passphrase can be this peer. It is good until the key is changed: then make another."
    )


@app.command()
def recover(
    file: BackupFile,
    name: Name = None,
    since: Annotated[
        int | None,
        typer.Option(
            "--since", metavar="SEQ", min=0, help="Take back own updates from that entry on; none if left out."
        ),
    ] = None,
    directory: Dir = None,
    lock: passphrase.Ask = False,
    passphrase_file: passphrase.File = None,
    backup_passphrase_file: BackupSecret = None,
    offline: Offline = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before updates are taken back.")] = False,
    json: Json = False,
) -> None:
    """Take this peer back from a thief, or set it up again after a loss."""
    from gossip import backup as backups

    kept = backups.read(file, passphrase.required(backup_passphrase_file, str(file), passphrase.BACKUP))
    place = _place_of(kept, name, directory)
    if settings.holds_peer(place):
        _take_back(place, kept, since, passphrase_file, json, offline=offline, yes=yes)
        return
    from cli.remembered import remember_addresses

    if since is not None:
        confirm(f"withdraws every update from entry {since} on; how many is not known before the log is here", yes)
    secret = passphrase.fresh(lock, passphrase_file)
    kept.restore(place, secret, since)
    remember_addresses(place, kept.addresses)
    how = settings.how(place)
    if json:
        render.document({"peer": kept.own, "swarm": kept.swarm, "dir": str(place), "pending": True})
        return
    render.say(f"peer    {kept.own}")
    render.say(f"kept in {place}")
    if secret is None:
        render.say(f"The keys are not locked here. Lock them with: gossip key passphrase {how}")
    render.say(f"Next    gossip run {how} --data FILE --interface IF")
    render.say(
        "        It fetches its own log from other peers first, then changes its key. Do not start it anywhere else."
    )


def _withdrawn(entries: list[bytes], since: int) -> str:
    """What a recovery from entry `since` on takes back. LocalError if there is no such entry."""
    from ledger.canonical import decode_entry
    from ledger.entry import Update

    if since >= len(entries):
        raise LocalError(
            f"there is no entry {since} in this peer's log", why=f"the last one here is {len(entries) - 1}",
            next_step="find it with: gossip ledger log NAME --peer NAME",
        )  # fmt: skip
    count = sum(isinstance(decode_entry(data), Update) for data in entries[since:])
    return f"withdraws {render.many(count, 'update')}, entries {since} to {len(entries) - 1}"


def _place_of(kept: Backup, name: str | None, directory: Path | None) -> Path:
    """The directory that holds the backup's peer, or the one where it is to be set up."""
    from gossip.directory import store_path
    from ledger.store import Store

    def owner(place: Path) -> str:
        with Store.open_readonly(store_path(place)) as store:
            return store.meta("self").decode()

    if directory is None and name is None:
        home = settings.settings().home
        for called in settings.swarms(home):
            if owner(home / called) == kept.own:
                return home / called
    place = settings.wanted_directory(name or f"swarm-{kept.swarm[:8]}", directory)
    if settings.holds_peer(place) and owner(place) != kept.own:
        raise LocalError(f"{place} holds another peer than the backup", next_step="name another folder with --dir")
    return place


def _take_back(
    place: Path, kept: Backup, since: int | None, file: Path | None, json: bool, *, offline: bool, yes: bool
) -> None:
    """The key in force was stolen, and the peer is still here."""
    from gossip import backup as backups
    from gossip.directory import store_path
    from gossip.identity import KeyFiles, stored_promise
    from ledger.store import Store

    files = KeyFiles(place)
    with Store.open_readonly(store_path(place)) as store:
        promise, has_log = stored_promise(store), not backups.is_restored(store)
        entries = list(store.entries(kept.own)) if since is not None and has_log else []
    if promise is not None and has_log:
        backups.check_newest(promise, kept.next.public)
        if since is not None:
            confirm(_withdrawn(entries, since), yes)
        if not files.next.exists():
            locked = files.current.exists() and files.is_locked
            kept.bring_next(place, passphrase.required(file, "this peer's keys") if locked else None, promise)
    ended = _open_invitations(place)
    _report(place, _changed(place, file, recover=True, since=since, offline=offline), json, ended)


def _open_invitations(place: Path) -> int:
    """How many tickets and codes are open: they name the key in force."""
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        return store.open_tickets(time.time())


def _changed(place: Path, file: Path | None, *, recover: bool, since: int | None, offline: bool) -> dict[str, Any]:
    """Change the key through the node that runs, or here."""
    answer = control.ask(place, "recover", since=since) if recover else control.ask(place, "rotate")
    if answer is not None:
        return answer
    secret = _secret(place, file)
    from gossip.node.alone import change_key

    done = change_key(place, secret, recover=recover, since=since, offline=offline)
    return {"old": done.old.hex(), "new": done.new.hex(), "pending": False}


def _secret(place: Path, file: Path | None) -> Passphrase | None:
    from gossip.identity import KeyFiles

    return passphrase.existing(KeyFiles(place).is_locked, file)


def _report(place: Path, answer: dict[str, Any], json: bool, ended: int) -> None:
    facts = {
        "old": str(answer["old"]),
        "new": str(answer["new"]),
        "pending": bool(answer["pending"]),
        "dir": str(place),
        "invitations_ended": ended,
    }
    if json:
        render.document(facts)
        return
    render.say(f"old key  {facts['old']}")
    render.say(f"new key  {facts['new']}")
    if ended:
        invites = "1 open invitation ends" if ended == 1 else f"{ended} open invitations end"
        render.say(f"{invites} with the old key: tickets, codes and cards name it. Make new ones with: gossip invite")
    if facts["pending"]:
        render.say("The node changes it as soon as it has heard from another peer; see it with: gossip key show")
    render.say(RENEW)
