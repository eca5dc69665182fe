"""What a directory remembers of its peer, for the commands that run, show or remove it.

`gossip run` alone starts a peer again as it ran last: the wishes of a run (files, their licence and the lists that
labelled them, interface, port, addresses, ways beyond the network, duty, cores, battery, pace, epsilon, what counts as
unlabelled, leases, files of keys and limits) lie in the store's meta as one JSON text. They are this machine's business
and are never sent, but for the licence and what the lists say of themselves, which the ledger keeps, and for
bootstraps and relays, which invitations name.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cli import control, wide
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.node import NodeConfig
    from gossip.transport.tickets import Ticket
    from ledger.private_files import Passphrase
    from ledger.store import Store

REMEMBERED: Final = "run"  # the meta key
LOOPBACK: Final = "lo"  # used until an interface is named
TABLES: Final = (".csv", ".npz")
OURS: Final = (
    "keys", "compiled", "training.npz", "peer.db", "peer.db-wal", "peer.db-shm", "signed", "signed.new", "witnessed",
    "leaves", "pinned", "zones", "borrowed", "privacy.json", "privacy.new", "personal.json", "judgements.jsonl",
    "releases", "labelled", "lock", "control.sock",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was typed; None where nothing was."""

    data: list[Path] | None = None
    licence: str | None = None
    lists: list[Path] | None = None
    validation: Path | None = None
    interface: str | None = None
    port: int | None = None
    address: list[str] | None = None
    bootstrap: list[str] | None = None  # read by cli/wide.py, as all that follow up to wide_port
    relay: list[str] | None = None
    ice: list[str] | None = field(default=None, repr=False)  # has passwords
    wide_port: int | None = None
    duty: int | None = None
    cores: int | None = None
    pause_on_battery: bool | None = None
    prune: bool | None = None
    every: float | None = None
    epsilon: float | None = None
    unlabelled: bool | None = None
    allowlist: Path | None = None
    limits: Path | None = None
    lend_to: list[str] | None = None
    borrow_from: list[str] | None = None


class Remembered(msgspec.Struct, frozen=True):
    """What the last run was told, and the next is told again."""

    data: list[str] = []
    licence: str = ""
    lists: list[str] = []
    validation: str = ""
    captured: list[str] = []
    """What was named as data, where that holds captures: `data` are then the tables that were made of them."""
    asked: list[str] = []
    """And the lists that were named: `lists` are those that labelled them."""
    interface: str = ""  # never named: loopback
    port: int = 0
    address: list[str] = []
    bootstrap: list[str] = []
    relay: list[str] = []
    ice: list[str] = []
    """With passwords: the store is for its owner alone, and no status has them."""
    wide_port: int = 0
    duty: int = 100
    cores: int = 0
    """0: never named, half of those that are there."""
    pause_on_battery: bool = False
    prune: bool = False
    every: float = 10.0
    """Seconds from one round to the next. Faster teaches no more after the first minutes, and every update is kept for
    ever by everybody: 5 KB, so at 10 s a peer costs each machine 40 MB a day."""
    epsilon: float = 0.0
    unlabelled: bool = False
    allowlist: str = ""
    limits: str = ""
    lend_to: list[str] = []  # peer ids
    borrow_from: list[str] = []


def new_name() -> str:
    """A name that tells nothing about its owner."""
    return f"peer-{secrets.token_hex(2)}"


def check(wanted: Wishes) -> None:
    """LocalError if a file or the interface is not there, or the licence or the epsilon cannot be one: a slip is not
    remembered."""
    for path in [*(wanted.data or ()), *(wanted.lists or ()), *([wanted.validation] if wanted.validation else ())]:
        if not path.is_file():
            raise LocalError(f"no file {path}", next_step="check the path; the name of a swarm goes before --data")
    if wanted.lists:
        from gossip.filterlists.headers import require_list

        for path in wanted.lists:
            require_list(path)
    if wanted.allowlist not in (None, Path()):
        from gossip.node.allowlist import AllowFile

        AllowFile(wanted.allowlist).refresh()
    if wanted.limits not in (None, Path()):
        from gossip.limits import Limits

        Limits.read(wanted.limits)
    if wanted.licence is not None:
        from gossip.training.licence import check_licence

        check_licence(wanted.licence)
    if wanted.epsilon:
        from gossip.training.budget import check_epsilon, check_installed

        check_epsilon(wanted.epsilon)
        check_installed()
    if wanted.interface is not None:
        from gossip.transport.discovery import addresses_of

        addresses_of(wanted.interface)
    if wanted.bootstrap or wanted.relay or wanted.wide_port:
        from gossip.wide.present import require

        require()


def read_through(wanted: Wishes) -> None:
    """Read every request once, before anything is made: a bad row of labelled ones must not cost an invitation, nor
    captures that nothing labels.

    Tables are left to the trainer: how to read one stands in the swarm's model, which a joiner does not hold yet.
    """
    from cli.labelling import check as check_captures
    from cli.progress import Progress
    from gossip.filterlists.requests import scan_requests

    files = [*(wanted.data or ()), *([wanted.validation] if wanted.validation else ())]
    captures = check_captures(files, wanted.lists or ())
    rows = sum(captures[path] for path in wanted.data or () if path in captures)
    with Progress() as progress:
        for path in files:
            if path.suffix not in TABLES and path not in captures:
                at = partial(progress, total=path.stat().st_size, what=f"bytes of {path.name}")
                for row in scan_requests(path, at):
                    if isinstance(row, LocalError):
                        raise row
                    rows += path != wanted.validation
    if wanted.epsilon and wanted.data and not any(path.suffix in TABLES for path in wanted.data):
        from gossip.training.budget import make_claim

        make_claim(wanted.epsilon, rows)


def named_interface(place: Path) -> str:
    """The interface that was ever typed for this peer; "" if none was."""
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        return _remembered(store.find_meta(REMEMBERED)).interface


def last_run(place: Path) -> Remembered:
    """What the next run of this peer will be told, unless something else is typed."""
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        return _remembered(store.find_meta(REMEMBERED))


def known_addresses(place: Path) -> tuple[str, ...]:
    """Where other peers were, as far as this one was ever told: for a backup."""
    from gossip.directory import store_path
    from gossip.transport.tickets import kept
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        told, invited = _remembered(store.find_meta(REMEMBERED)).address, kept(store.find_meta("ticket"))
    return tuple(dict.fromkeys([*told, *(invited.near().addresses if invited else ())]))


def remember_addresses(place: Path, addresses: tuple[str, ...]) -> None:
    """Have the next run call these."""
    remember(place, Wishes(address=list(addresses)))


def remember(place: Path, wanted: Wishes) -> None:
    """Have the first run of a new peer told this."""
    from gossip.directory import store_path
    from ledger.store import PutMeta, Store

    if wanted != Wishes():
        with Store(store_path(place)) as store:
            store.commit([PutMeta(REMEMBERED, msgspec.json.encode(_merged(wanted, Remembered())))])


def config(place: Path, wanted: Wishes, ticket: Ticket | None, passphrase: Passphrase | None = None) -> NodeConfig:
    """What was typed, over what the last run was told; remembered for the next."""
    from cli.settings import settings
    from gossip.directory import shared_cache, store_path
    from gossip.node import NodeConfig
    from gossip.node.shed import KEPT_UPDATES
    from gossip.transport.tickets import kept, split_address
    from ledger.store import PutMeta, Store

    check(wanted)
    with Store(store_path(place)) as store:
        now = _merged(wanted, _as_named(_remembered(store.find_meta(REMEMBERED))))
        if ticket is not None:
            now = _invited(now, wanted, ticket)
        dial = tuple(split_address(text) for text in now.address)
        if now.data:
            _check_promise(place, store, now.epsilon)
        invited = kept(store.find_meta("ticket"))  # a join that was cut off goes on with the invitation it began with
        store.commit([PutMeta(REMEMBERED, msgspec.json.encode(now))])
    has_wide = bool(now.bootstrap or now.relay)
    if has_wide:
        from gossip.wide.present import missing

        has_wide = not missing()
    invitation = ticket or invited
    return NodeConfig(
        directory=place,
        data=tuple(Path(p) for p in now.data),
        licence=now.licence,
        lists=tuple(Path(p) for p in now.lists),
        validation=Path(now.validation) if now.validation else None,
        interface=now.interface or LOOPBACK,
        port=now.port,
        dial=dial,
        bootstrap=tuple(now.bootstrap) if has_wide else (),
        relays=tuple(now.relay) if has_wide else (),
        ice=tuple(now.ice),
        wide_port=now.wide_port,
        duty_percent=now.duty,
        cores=now.cores,
        pause_on_battery=now.pause_on_battery,
        keep_updates=KEPT_UPDATES if now.prune else None,
        min_round_s=now.every,
        epsilon=now.epsilon,
        unlabelled=now.unlabelled,
        allowlist=Path(now.allowlist) if now.allowlist else None,
        limits=Path(now.limits) if now.limits else None,
        lend_to=tuple(now.lend_to),
        borrow_from=tuple(now.borrow_from),
        ticket=invitation.near() if invitation is not None else None,
        cache=shared_cache(settings().home),
        passphrase=passphrase,
    )


def keep_tables(
    place: Path, named: NodeConfig, data: tuple[Path, ...], lists: tuple[Path, ...], validation: Path | None
) -> None:
    """Remember which tables were made of the files that were named, and by which lists."""
    from gossip.directory import store_path
    from ledger.store import PutMeta, Store

    with Store(store_path(place)) as store:
        now = msgspec.structs.replace(
            _remembered(store.find_meta(REMEMBERED)), data=list(map(str, data)), lists=list(map(str, lists)),
            captured=list(map(str, named.data)), asked=list(map(str, named.lists)),
            validation=str(validation) if validation else "",
        )  # fmt: skip
        store.commit([PutMeta(REMEMBERED, msgspec.json.encode(now))])


def _as_named(before: Remembered) -> Remembered:
    """With the captures again that its tables were made of, if they are still there: they are labelled anew if they or
    the lists have changed."""
    captured, asked = before.captured, before.asked
    before = msgspec.structs.replace(before, captured=[], asked=[])
    if captured and all(Path(path).is_file() for path in captured):
        return msgspec.structs.replace(before, data=captured, lists=asked)
    return before


def _merged(wanted: Wishes, before: Remembered) -> Remembered:
    data = before.data if wanted.data is None else [str(path.resolve()) for path in wanted.data]
    same = data == before.data
    said = before.licence if same else ""  # it was said of those files, and of no others
    listed = before.lists if same else []
    return Remembered(
        data=data,
        licence=said if wanted.licence is None else wanted.licence,
        lists=listed if wanted.lists is None else [str(path.resolve()) for path in wanted.lists],
        validation=str(wanted.validation.resolve()) if wanted.validation else before.validation,
        interface=wanted.interface or before.interface,
        port=before.port if wanted.port is None else wanted.port,
        address=before.address if wanted.address is None else wanted.address,
        bootstrap=before.bootstrap if wanted.bootstrap is None else wanted.bootstrap,
        relay=before.relay if wanted.relay is None else wanted.relay,
        ice=before.ice if wanted.ice is None else wanted.ice,
        wide_port=before.wide_port if wanted.wide_port is None else wanted.wide_port,
        duty=wanted.duty or before.duty,
        cores=wanted.cores or before.cores,
        pause_on_battery=before.pause_on_battery if wanted.pause_on_battery is None else wanted.pause_on_battery,
        prune=before.prune if wanted.prune is None else wanted.prune,
        every=before.every if wanted.every is None else wanted.every,
        epsilon=before.epsilon if wanted.epsilon is None else wanted.epsilon,
        unlabelled=before.unlabelled if wanted.unlabelled is None else wanted.unlabelled,
        allowlist=_path(wanted.allowlist, before.allowlist),
        limits=_path(wanted.limits, before.limits),
        lend_to=before.lend_to if wanted.lend_to is None else wanted.lend_to,
        borrow_from=before.borrow_from if wanted.borrow_from is None else wanted.borrow_from,
    )


def _invited(now: Remembered, wanted: Wishes, ticket: Ticket) -> Remembered:
    """With what an invitation brings behind what was typed, as many as there may be; "" leaves it out."""

    def both(own: list[str], brought: tuple[str, ...], typed: list[str] | None) -> list[str]:
        return own if typed == [] else list(dict.fromkeys([*own, *brought]))[: wide.MAX_NODES]

    return msgspec.structs.replace(
        now,
        bootstrap=both(now.bootstrap, ticket.bootstraps(), wanted.bootstrap),
        relay=both(now.relay, ticket.relays(), wanted.relay),
    )


def _path(wanted: Path | None, before: str) -> str:
    """`--limits ""` takes it back: an empty path is the folder we are in."""
    if wanted is None:
        return before
    return "" if wanted == Path() else str(wanted.resolve())


def _check_promise(place: Path, store: Store, epsilon: float) -> None:
    """LocalError if training under this epsilon (0: none) would break what this peer has promised, or could not be kept
    for what it has published. The machine knows the same (gossip/peer/rounds.py); this tells before anything starts."""
    from gossip.directory import account_path
    from gossip.peer.rounds import broken_promise
    from gossip.training.budget import check_installed, promised_in
    from ledger.canonical import decode_entry
    from ledger.entry import Claim, Update

    if epsilon:
        check_installed()
    begun = promised_in(account_path(place))
    if begun is not None and begun.epsilon != round(epsilon * 1000):
        raise LocalError(
            f"this peer has promised an epsilon of {begun.epsilon / 1000:g}",
            why="what it publishes counts against that promise for ever, whatever the files",
            next_step=f"go on with --epsilon {begun.epsilon / 1000:g}, or join as a new peer with other data",
        )
    claim = Claim(epsilon=round(epsilon * 1000), delta=1 if epsilon else 0)
    for data in store.entries(store.meta("self").decode()):
        if b'"kind":"update"' in data and isinstance(update := decode_entry(data), Update):
            if broken := broken_promise(claim, 1, update.epsilon):
                how_to = "with the --epsilon of before" if update.epsilon else "without --epsilon (or with --epsilon 0)"
                raise LocalError(
                    broken, why="nobody can tell whether these data are those that it trained on before",
                    next_step=f"run {how_to}, or join as a new peer with other data",
                )  # fmt: skip
            return  # all others are like the first


def _remembered(text: bytes | None) -> Remembered:
    try:
        return msgspec.json.decode(text, type=Remembered) if text else Remembered()
    except (ValueError, RecursionError):  # another version's: what is typed now stands, the rest begins anew
        return Remembered()


def status_of(place: Path, *, timeout_s: float = control.DEFAULT_TIMEOUT_S) -> dict[str, Any] | None:
    """The running node's own account, or None."""
    answer = control.ask(place, "status", timeout_s=timeout_s)
    return None if answer is None else dict(answer["status"])


def stored_status(place: Path) -> dict[str, Any]:
    """What the store alone can tell while no node runs."""
    from gossip.directory import store_path
    from gossip.invites import is_open
    from ledger.keys import words
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        heads = store.logs()
        peer = store.meta("self").decode()
        return {
            "out": _is_out(store, peer),
            "open": is_open(store),
            "id": peer,
            "words": words(peer),
            "swarm": store.meta("swarm").decode(),
            "swarm_name": swarm_name(store),
            "state": "stopped",
            "entries": sum(heads.values()),
            "heads": heads,
            "blobs": _blobs(store),
        }


def _blobs(store: Store) -> dict[str, Any]:
    """As a running node says it (gossip/node/report.py)."""
    from ledger.canonical import decode_entry
    from ledger.entry import Snapshot

    count, size = store.blob_sizes()
    place = store.base_place()
    data = store.entry(*place) if place is not None else None
    snapshot = decode_entry(data) if data is not None else None
    base = None
    if place is not None and isinstance(snapshot, Snapshot):
        base = {"peer": place[0].partition("~")[0], "seq": place[1], "updates": snapshot.updates}
    return {"archive": place is None, "count": count, "bytes": size, "base": base, "owed": 0, "lacking": 0}


def _is_out(store: Store, own: str) -> bool:
    """Whether admins have put this peer out, by the entries here: as many as genesis asks for."""
    from ledger.canonical import decode_entry
    from ledger.entry import Genesis, Revoke

    said = set()
    for log, _, data in store.history():
        if b'"revoke"' in data and own.encode() in data:
            entry = decode_entry(data)
            if isinstance(entry, Revoke) and entry.peer == own:
                said.add(log)
    first = store.entry(store.meta("founder").decode(), 0)
    genesis = decode_entry(first) if first is not None else None
    return isinstance(genesis, Genesis) and len(said) >= genesis.threshold


def is_founder(place: Path) -> bool:
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        return store.meta("founder") == store.meta("self")


def swarm_name(store: Store) -> str:
    """What the founder called the swarm; "" before its genesis has arrived."""
    from ledger.canonical import decode_entry
    from ledger.entry import Genesis

    data = store.entry(store.meta("founder").decode(), 0)
    first = decode_entry(data) if data is not None else None
    return first.name if isinstance(first, Genesis) else ""


def remove(place: Path) -> list[str]:
    """Remove a peer's own files; the names of what else was in the folder, which stays."""
    from gossip.directory import control_path

    control_path(place).unlink(missing_ok=True)
    for name in OURS:
        path = place / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    kept = sorted(path.name for path in place.iterdir())
    if not kept:
        place.rmdir()
    return kept
