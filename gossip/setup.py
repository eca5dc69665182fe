"""How a swarm, a peer or an invitation begins: what is written before any node runs.

    create_swarm   founder: keys, genesis, enrol            `gossip new`
    enrol          joiner: keys, enrol                      `gossip join`

Whom it lets in is another page (gossip/invites.py). Files and keys only: no event loop, no arrays, no network. A
half-made directory is removed again.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gossip import directory as places
from gossip.identity import KeyFiles
from gossip.invites import OPEN, allow, checked_key, disallow, make_card, make_ticket, set_open
from gossip.training.spec import ModelSpec
from gossip.transport.tickets import MAX_USES, Ticket
from ledger.canonical import encode_entry, entry_hash
from ledger.chain import heads_hash
from ledger.entry import FORMAT_VERSION, GRID_ONE, Enrol, FoldConstants, Genesis, Hash, PeerId
from ledger.errors import LocalError
from ledger.genesis import MAX_KEYS
from ledger.keys import PrivateKey, key_digest
from ledger.policy import DEFAULT_POLICY, Policy
from ledger.private_files import Passphrase
from ledger.store import PutBlob, PutEntry, PutMeta, Store
from ledger.wellformed import MAX_NAME_CHARS

__all__ = [
    "MAX_USES", "Created", "allow", "create_swarm", "disallow", "enrol", "fold_constants", "make_card", "make_ticket",
    "set_open", "staleness_table",
]  # fmt: skip

EMPTY_HEADS: Final = heads_hash(())

STALENESS_STEPS: Final = 256  # the table reaches tau = 64
KAPPA: Final = GRID_ONE * 3 // 2  # the clip, in middle norms: honest minorities need some room
KAPPA_OF_STRANGERS: Final = (
    GRID_ONE  # where not only admins let in: liars who agree are no louder than others (docs/byzantine.md)
)
STALENESS_FREE: Final = 2  # b, in updates of full weight: up to here nothing is lost


@dataclass(frozen=True, slots=True)
class Created:
    swarm: Hash
    peer: PeerId


def staleness_table() -> list[int]:
    """s(tau) = 1 up to b, then (1 + tau - b)^-1/2, for tau = 0, 1/4, 2/4 ... on the 2^-16 grid, rounded down."""
    table = []
    for quarter in range(STALENESS_STEPS):
        beyond = max(0, quarter - 4 * STALENESS_FREE)
        # floor(2^16 / sqrt(1 + beyond/4)) = floor(sqrt(2^32 * 4 / (4 + beyond))), in integers
        table.append(math.isqrt((GRID_ONE * GRID_ONE * 4) // (4 + beyond)))
    return table


def fold_constants(*, eta: float, norm0: int, kappa: int = KAPPA) -> FoldConstants:
    """The constants of docs/fold.md with those that depend on the swarm: `eta`, `norm0` (grid 2^-24), and `kappa`."""
    return FoldConstants(
        eta=round(eta * GRID_ONE),
        staleness=staleness_table(),
        leak=GRID_ONE * 5 // 4,
        burst=2 * GRID_ONE,
        kappa=kappa,
        norm0=norm0,
        window=8 * GRID_ONE,
        snapshot_every=16,
    )


def create_swarm(
    directory: Path,
    *,
    name: str,
    task: str,
    model_text: str,
    peer_name: str,
    seed: int,
    policy_text: str = DEFAULT_POLICY,
    passphrase: Passphrase | None = None,
    witnesses: Iterable[str] = (),
    admins: Iterable[str] = (),
    threshold: int = 1,
    guests: int = 0,
    is_open: bool = False,
) -> Created:
    """Found a swarm in `directory`: its founder is an admin, and its first trainer.

    `passphrase` locks its keys. `witnesses` are public keys, in hex, of members-to-be whose votes make snapshots final,
    `admins` of those who may change the policy, `threshold` of them together; the founder is always one of both. Each
    trainer may let in `guests` peers. `is_open`: this node lets anybody in who asks for the swarm by its name. With
    either strangers are to be expected, and the clip is shorter for good.
    """
    spec = ModelSpec.parse(model_text)
    policy = Policy.parse(policy_text)
    others, witnesses = list(admins), list(witnesses)
    with _fresh(directory):
        key, following = KeyFiles(directory, passphrase).create()
        now = int(time.time())
        in_charge = _keys(key.public.hex(), others, "admins")
        if not 1 <= threshold <= len(in_charge):
            raise LocalError(
                f"{threshold} admins are to change the policy",
                why="there is 1, the founder" if len(in_charge) == 1
                else f"there are {len(in_charge)}, the founder is one",
                next_step="name the others with --admin KEY, or a lower --threshold",
            )  # fmt: skip
        genesis = encode_entry(
            Genesis(
                v=FORMAT_VERSION, swarm="", seq=0, prev="", time=now, meets=[], seen=[], heads=EMPTY_HEADS,
                name=_checked_name(name), task=task, model=spec.text, layout=list(spec.layout()),
                seed=hashlib.sha256(f"gossip/seed/1\n{seed}".encode()).hexdigest(),
                fold=fold_constants(
                    eta=spec.eta, norm0=spec.norm0, kappa=KAPPA_OF_STRANGERS if is_open or guests else KAPPA
                ),
                policy=policy.hash,
                admins=in_charge, threshold=threshold, witnesses=_keys(key.public.hex(), witnesses, "witnesses"),
                guests=guests,
            )
        )  # fmt: skip
        swarm = entry_hash(genesis)
        own = _enrol_entry(swarm, 1, entry_hash(genesis), now, key, following, sponsor="", name=peer_name)
        peer = entry_hash(own)
        with Store(places.store_path(directory)) as store:
            store.commit([
                PutEntry(peer, 0, genesis), PutEntry(peer, 1, own), PutBlob(policy.hash, policy_text.encode()),
                *_identity(swarm, peer, peer, name, peer_name),
                PutMeta(OPEN, b"1" if is_open else b""),
            ])  # fmt: skip
    return Created(swarm, peer)


def _keys(founder: str, others: Iterable[str], what: str) -> list[str]:
    """The founder's key and others; LocalError if one is none, or the list is longer than a genesis may have it."""
    keys = list(dict.fromkeys([founder, *(checked_key(key).hex() for key in others)]))
    if len(keys) > MAX_KEYS:
        raise LocalError(f"{len(keys)} {what}", next_step=f"name at most {MAX_KEYS - 1} beside the founder")
    return keys


def enrol(
    directory: Path,
    ticket: Ticket,
    peer_name: str,
    *,
    key: PrivateKey | None = None,
    passphrase: Passphrase | None = None,
) -> PeerId:
    """Make a peer that may ask, with `ticket`, to be admitted to a swarm it has not seen yet.

    `key` is one made beforehand (`gossip key new`), so that others could name it; `passphrase` locks what is kept here.
    """
    with _fresh(directory):
        current, following = KeyFiles(directory, passphrase).create(key)
        own = _enrol_entry(
            ticket.swarm, 0, "", int(time.time()), current, following, sponsor=ticket.inviter, name=peer_name
        )
        peer = entry_hash(own)
        with Store(places.store_path(directory)) as store:
            store.commit([
                PutEntry(peer, 0, own), *_identity(ticket.swarm, ticket.founder, peer, "", peer_name),
                PutMeta("ticket", ticket.text.encode()),
            ])  # fmt: skip
    return peer


def _enrol_entry(
    swarm: Hash, seq: int, prev: Hash, now: int, key: PrivateKey, following: PrivateKey, *, sponsor: PeerId, name: str
) -> bytes:
    return encode_entry(
        Enrol(
            v=FORMAT_VERSION, swarm=swarm, seq=seq, prev=prev, time=now, meets=[], seen=[], heads=EMPTY_HEADS,
            key=key.public.hex(), next=key_digest(following.public), sponsor=sponsor,
            name=_checked_name(name),
        )
    )  # fmt: skip


def _identity(swarm: Hash, founder: PeerId, peer: PeerId, swarm_name: str, name: str) -> Iterator[PutMeta]:
    yield PutMeta("swarm", swarm.encode())
    yield PutMeta("founder", founder.encode())
    yield PutMeta("self", peer.encode())
    yield PutMeta("swarm_name", swarm_name.encode())
    yield PutMeta("name", name.encode())
    yield PutMeta("salt", secrets.token_bytes(32))  # of this peer's data commitments: private for ever


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise LocalError(f"{name!r} is no usable name", next_step=f"use 1 to {MAX_NAME_CHARS} printable characters")
    return name


@contextmanager
def _fresh(directory: Path) -> Iterator[None]:
    """Make the directory; remove what was begun if the block fails, so that trying again just works."""
    existed = directory.exists()
    places.make(directory)
    try:
        yield
    except BaseException:
        if existed:
            for leftover in (places.store_path(directory), places.keys_path(directory)):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)
        raise
