"""Whom a peer lets in, as its store has it: tickets, cards, keys that are allowed, and whether the door is open.

    make_ticket    whoever has its text may enter                    `gossip invite`
    make_card      where to knock, for those who need no secret      `gossip members allow`
    allow          the holder of this key may enter                  `gossip members allow`
    set_open       anybody may enter who asks for the swarm by name  `gossip new --open`

For a node that does not run; one that runs does the same on its owner's word (gossip/node/inviting.py). Who may let
others in: an admin, as anything but an admin; a trainer where genesis allows guests, and who is no guest itself, as
trainer, observer or relay. Files and keys only: no event loop, no arrays, no network.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Final

from gossip import directory as places
from gossip import ids
from gossip.identity import KeyFiles, stored_promise
from gossip.transport.multiaddresses import Multiaddress
from gossip.transport.tickets import MAX_MULTIADDRESSES, MAX_TEXT_CHARS, MAX_USES, SECRET_BYTES, Ticket
from ledger.canonical import decode_entry
from ledger.chain import LogId, peer_of
from ledger.entry import Enrol, Genesis, Hash, Member, PeerId, Revoke
from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey, check_public
from ledger.membership import Membership
from ledger.private_files import Passphrase
from ledger.store import PutMeta, Store

ADMIN_GIVES: Final = ("trainer", "observer", "auditor", "relay")  # who is an admin genesis says
SPONSOR_GIVES: Final = ("trainer", "observer", "relay")
MAX_TTL_S: Final = 366 * 86_400
OPEN: Final = "open"  # store meta: b"1" if anybody may enter


@dataclass(frozen=True, slots=True)
class Beyond:
    """How a peer is found from other networks; nothing at all if it is not. Multiaddresses as the node was told."""

    bootstrap: tuple[str, ...] = ()
    relays: tuple[str, ...] = ()
    rendezvous: bytes = field(default=b"", repr=False)  # of members only: a card does not tell it

    def addresses(self) -> tuple[str, ...]:
        """As tickets have them: of each kind the first, then the second ..., relays first, for behind them the inviter
        itself answers; as many as fit."""
        circuits = [Multiaddress.parse(text).circuit for text in self.relays]
        nodes = [Multiaddress.parse(text).node for text in self.bootstrap]
        both = [one for pair in zip_longest(circuits, nodes) for one in pair if one is not None]
        return tuple(dict.fromkeys(both))[:MAX_MULTIADDRESSES]


@dataclass(frozen=True, slots=True)
class Inviter:
    """Somebody who may let others in."""

    swarm: Hash
    founder: PeerId
    peer: PeerId  # itself: whose guests they are, if it is no admin
    roles: tuple[str, ...]  # that it may give

    def give(self, role: str) -> str:
        """The role, if it may give it; LocalError."""
        if role not in self.roles:
            raise LocalError(
                f"this peer lets nobody in as {role[:20]!r}",
                why="who is an admin, the genesis says" if role == "admin" else "",
                next_step=f"use one of {', '.join(self.roles)}",
            )  # fmt: skip
        return role


def inviter_of(
    genesis: Genesis, swarm: Hash, founder: PeerId, *, own: PeerId, enrol_key: str, seat: Membership | None, now: float
) -> Inviter:  # fmt: skip
    """What a member may do that enrolled with `enrol_key` (hex). LocalError: nothing, or its time is over."""
    if seat is not None and seat.has_expired(int(now)):
        raise LocalError("this peer's membership is over", next_step="ask an admin to renew it")
    if seat is not None and enrol_key in genesis.admins:
        return Inviter(swarm, founder, own, ADMIN_GIVES)
    if seat is not None and seat.role == "trainer" and not seat.house and genesis.guests:
        return Inviter(swarm, founder, own, SPONSOR_GIVES)
    raise LocalError(
        "this peer can let nobody in", why="admins do" + (", and trainers" if genesis.guests else ""),
        next_step="ask an admin to run `gossip invite`",
    )  # fmt: skip


def places_left(genesis: Genesis, inviter: Inviter, guests: Sequence[str]) -> int | None:
    """How many more it may let in who has let in these (their names), and is no admin; None: any number. LocalError:
    nobody any more."""
    if inviter.roles != SPONSOR_GIVES:
        return None
    left = genesis.guests - len(guests)
    if left <= 0:
        peers = "1 peer" if genesis.guests == 1 else f"{genesis.guests} peers"
        named = ", ".join(guests[:3]) + (f" and {len(guests) - 3} more" if len(guests) > 3 else "")
        raise LocalError(
            f"this peer may let in {peers}, and {named} came in by it", why="so the swarm was founded (--guests)",
            next_step="ask an admin to run `gossip invite`",
        )  # fmt: skip
    return left


def inviter_in(store: Store, now: float) -> Inviter:
    """The same, of the peer whose store this is, by the entries in it."""
    swarm, founder, own = (store.meta(name).decode() for name in ("swarm", "founder", "self"))
    first = store.entry(founder, 0)
    if first is None:
        raise LocalError("this peer is no member yet", next_step="start it with `gossip run`")
    genesis = decode_entry(first)
    assert isinstance(genesis, Genesis)
    seat = Membership("admin") if own == founder else None
    against: set[str] = set()  # admins who want this peer out, by first key
    for log, _, data in store.history():
        if own.encode() in data and (b'"member"' in data or b'"revoke"' in data):
            entry, by = decode_entry(data), _enrol_key(store, log)
            if isinstance(entry, Member) and entry.peer == own:
                seat = Membership(entry.role, entry.expires, "" if by in genesis.admins else log).join(seat)
            elif isinstance(entry, Revoke) and entry.peer == own:
                against.add(by)
    if len(against) >= genesis.threshold:
        raise LocalError("this peer is no member any more", why="enough admins have revoked it")
    return inviter_of(genesis, swarm, founder, own=own, enrol_key=_enrol_key(store, own), seat=seat, now=now)


def _enrol_key(store: Store, log: LogId) -> str:
    """The key that a log began with; "" if it has not yet."""
    for seq in range(2):  # the founder's begins with the genesis
        data = store.entry(peer_of(log), seq)
        entry = decode_entry(data) if data is not None else None
        if isinstance(entry, Enrol):
            return entry.key
    return ""


def new_ticket(
    store: Store, key: PrivateKey, inviter: Inviter, *, role: str, uses: int, expires: int,
    addresses: tuple[str, ...], beyond: Beyond = Beyond(), longest: int = MAX_TEXT_CHARS,
) -> Ticket:  # fmt: skip
    """A ticket, in the store and signed; of ways from other networks it leaves out the last where its text would be
    longer than `longest`. LocalError: `uses` is no number up to MAX_USES, or the role not to give."""
    if not isinstance(uses, int) or isinstance(uses, bool) or not 1 <= uses <= MAX_USES:
        raise LocalError(f"an invite for {uses} peers", next_step=f"choose 1 to {MAX_USES}")
    wide, secret = beyond.addresses(), secrets.token_bytes(SECRET_BYTES)
    while True:
        ticket = Ticket(
            swarm=inviter.swarm, founder=inviter.founder, key=key.public, addresses=(*addresses, *wide), secret=secret,
            role=inviter.give(role), uses=uses, expires=expires, inviter=inviter.peer, rendezvous=beyond.rendezvous,
        ).signed(key)  # fmt: skip
        if not wide or ticket.is_within(longest):
            break
        wide = wide[:-1]
    store.add_ticket(ticket.ticket_id, ticket.secret, role, uses, expires)
    return ticket


def new_card(
    key: PrivateKey, inviter: Inviter, *, role: str, addresses: tuple[str, ...], beyond: Beyond = Beyond()
) -> Ticket:
    """A ticket without a secret, and without the secret of the rendezvous."""
    return Ticket(
        swarm=inviter.swarm,
        founder=inviter.founder,
        key=key.public,
        addresses=(*addresses, *beyond.addresses()),
        secret=b"",
        role=role,
        inviter=inviter.peer,
    ).signed(key)


def until(ttl_s: float, now: float) -> int:
    """When something ends that is good for `ttl_s` from now on; 0 (never) for 0. LocalError if that is no time."""
    if not isinstance(ttl_s, int | float) or not 0 <= ttl_s <= MAX_TTL_S:
        raise LocalError(f"an invite for {ttl_s} s", next_step=f"choose 1 to {MAX_TTL_S} seconds, or 0: for ever")
    return int(now + ttl_s) + 1 if ttl_s else 0


def is_an_id(digits: str) -> LocalError:
    """What to say of somebody's id where a key is wanted: without check digits they look alike."""
    return LocalError(
        f"{digits[:8]}... is the id of a peer, and a public key is wanted", why="a peer of that id is known here",
        next_step="name what their `gossip key new` or `gossip key show` printed as key",
    )  # fmt: skip


def checked_key(text: object) -> bytes:
    """The public key that somebody typed in hex, with its check digits or without (gossip/ids.py); LocalError."""
    key = bytes.fromhex(ids.read(text if isinstance(text, str) else "", "key"))
    try:
        check_public(key)
    except RemoteError as error:
        raise LocalError(
            f"{key.hex()} is no public key", why=str(error),
            next_step="name what their `gossip key new` or `gossip key show` printed",
        ) from None  # fmt: skip
    return key


# ------------------------------------------------------------------ of a peer whose node does not run


def make_ticket(
    directory: Path, *, role: str = "trainer", uses: int = 1, ttl_s: float = 0, addresses: tuple[str, ...] = (),
    beyond: Beyond = Beyond(), passphrase: Passphrase | None = None,
) -> Ticket:  # fmt: skip
    """Open an invitation in this peer's store, for `ttl_s` seconds (0: for ever). LocalError if it may not."""
    now = time.time()
    with Store(places.store_path(directory)) as store:
        inviter = inviter_in(store, now)
        left = _left_in(store, inviter)
        uses = uses if left is None else min(uses, left)
        key = _signing(directory, store, passphrase)
        return new_ticket(
            store, key, inviter, role=role, uses=uses, expires=until(ttl_s, now), addresses=addresses,
            beyond=beyond,
        )  # fmt: skip


def make_card(
    directory: Path, *, role: str = "trainer", addresses: tuple[str, ...] = (), beyond: Beyond = Beyond(),
    passphrase: Passphrase | None = None,
) -> Ticket:  # fmt: skip
    """What tells the holder of an allowed key where to knock."""
    with Store(places.store_path(directory)) as store:
        inviter = inviter_in(store, time.time())
        _left_in(store, inviter)
        key = _signing(directory, store, passphrase)
        return new_card(key, inviter, role=inviter.give(role), addresses=addresses, beyond=beyond)


def allow(directory: Path, key: str, role: str = "trainer", expires: int = 0) -> None:
    """Let the holder of a key (hex) enter, and be a member until `expires` (Unix seconds; 0: for ever)."""
    with Store(places.store_path(directory)) as store:
        digits = ids.read(key, "key")
        if digits in store.logs():  # asked first: of two ids one is no point on the curve, either
            raise is_an_id(digits)
        store.allow(checked_key(digits), inviter_in(store, time.time()).give(role), expires)


def disallow(directory: Path, key: str) -> bool:
    """Take that back; False if it was never said. Who is a member already stays one."""
    with Store(places.store_path(directory)) as store:
        return store.disallow(checked_key(key))


def set_open(directory: Path, wanted: bool) -> None:
    """Let anybody in who asks for the swarm by name, as trainers; or no longer."""
    with Store(places.store_path(directory)) as store:
        inviter_in(store, time.time())
        store.commit([PutMeta(OPEN, b"1" if wanted else b"")])


def is_open(store: Store) -> bool:
    return bool(store.find_meta(OPEN))


def _left_in(store: Store, inviter: Inviter) -> int | None:
    """places_left, by the entries in a store."""
    founder, own = (store.meta(name).decode() for name in ("founder", "self"))
    genesis = decode_entry(store.entry(founder, 0) or b"")
    assert isinstance(genesis, Genesis)
    guests = (decode_entry(data) for data in store.entries(own) if b'"member"' in data)
    known = sorted({entry.peer for entry in guests if isinstance(entry, Member)})
    return places_left(genesis, inviter, [_name(store, peer) for peer in known])


def _name(store: Store, peer: PeerId) -> str:
    for seq in range(2):
        data = store.entry(peer, seq)
        entry = decode_entry(data) if data is not None else None
        if isinstance(entry, Enrol):
            return entry.name
    return peer[:8]


def _signing(directory: Path, store: Store, passphrase: Passphrase | None) -> PrivateKey:
    promise = stored_promise(store)
    if promise is None:
        raise LocalError("this peer has no key on record yet", next_step="start it with `gossip run`")
    return KeyFiles(directory, passphrase).in_force(promise)
