"""Invitations from a store, without a node: who may make them, what is in them, and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gossip import directory as places
from gossip import invites
from gossip.setup import create_swarm, enrol
from gossip.training.spec import FILTERLIST
from gossip.transport.tickets import Ticket
from ledger.canonical import decode_entry
from ledger.entry import Enrol
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from ledger.private_files import Passphrase
from ledger.store import PutEntry, PutMeta, Store, StoredAllowed
from tests.fold.toy import Peer, Swarm, key_of

TODAY = 1_767_225_600


def found(place: Path, **more: object) -> Path:
    create_swarm(place, name="s", task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=1, **more)  # type: ignore[arg-type]
    return place


def test_a_ticket_is_in_the_store_before_it_is_told_and_ends_when_it_says(tmp_path: Path) -> None:
    anna = found(tmp_path / "anna")
    ticket = invites.make_ticket(anna, role="observer", uses=3, ttl_s=3600, addresses=("10.0.0.1:4100",))
    assert Ticket.parse(ticket.text) == ticket
    with Store.open_readonly(places.store_path(anna)) as store:
        kept = store.ticket(ticket.ticket_id)
    assert kept is not None
    assert (kept.secret, kept.role, kept.uses, kept.expires) == (ticket.secret, "observer", 3, ticket.expires)


def test_a_card_has_no_secret_and_leaves_nothing(tmp_path: Path) -> None:
    anna = found(tmp_path / "anna")
    card = invites.make_card(anna, role="relay")
    assert Ticket.parse(card.text) == card
    assert card.is_card
    with Store.open_readonly(places.store_path(anna)) as store:
        assert store.ticket(card.ticket_id) is None


def test_a_locked_key_is_asked_for(tmp_path: Path) -> None:
    anna = found(tmp_path / "anna", passphrase=Passphrase("open sesame"))
    with pytest.raises(LocalError):
        invites.make_ticket(anna)
    ticket = invites.make_ticket(anna, passphrase=Passphrase("open sesame"))
    assert Ticket.parse(ticket.text).key == ticket.key


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "admin"}, {"role": "boss"}, {"uses": 0}, {"uses": 1001}, {"uses": True}, {"ttl_s": -1},
        {"ttl_s": invites.MAX_TTL_S + 1}, {"ttl_s": float("nan")}, {"ttl_s": "soon"}, {"addresses": ("nowhere",)},
    ],
)  # fmt: skip
def test_what_cannot_be_invited_is_said_and_nothing_is_made(tmp_path: Path, wrong: dict[str, object]) -> None:
    anna = found(tmp_path / "anna")
    with pytest.raises(LocalError):
        invites.make_ticket(anna, **wrong)  # type: ignore[arg-type]
    with Store.open_readonly(places.store_path(anna)) as store:
        assert store._rows("SELECT * FROM ticket") == []


def test_keys_are_allowed_and_taken_back(tmp_path: Path) -> None:
    anna, key = found(tmp_path / "anna"), PrivateKey.generate().public
    invites.allow(anna, key.hex(), "auditor", TODAY)
    with Store.open_readonly(places.store_path(anna)) as store:
        assert store.allowed() == (StoredAllowed(key, "auditor", TODAY),)
    assert invites.disallow(anna, key.hex())
    assert not invites.disallow(anna, key.hex())
    for bad in ("", "00" * 32, key.hex()[:-2], "xyz"):
        with pytest.raises(LocalError, match="no public key"):
            invites.allow(anna, bad)
    with pytest.raises(LocalError, match="who is an admin, the genesis says"):
        invites.allow(anna, key.hex(), "admin")


def test_a_swarm_is_open_only_when_asked_for(tmp_path: Path) -> None:
    closed, opened = found(tmp_path / "closed"), found(tmp_path / "opened", is_open=True)
    for place, expected in ((closed, False), (opened, True)):
        with Store.open_readonly(places.store_path(place)) as store:
            assert invites.is_open(store) is expected
        invites.set_open(place, not expected)
        with Store.open_readonly(places.store_path(place)) as store:
            assert invites.is_open(store) is not expected


# ------------------------------------------------------------------ who may


@pytest.fixture
def place_of(tmp_path: Path) -> Callable[[Peer], Path]:
    """A directory as the peer's node would have left it."""

    def make(peer: Peer) -> Path:
        place = tmp_path / peer.name
        places.make(place)
        key_of(peer.name, peer.keys).save(places.current_key_path(place))
        key_of(peer.name, peer.keys + 1).save(places.next_key_path(place))
        replica = peer.replica
        with Store(places.store_path(place)) as store:
            heads = replica.heads().items()
            store.commit([PutEntry(log, seq, replica.data(log, seq)) for log, size in heads for seq in range(size)])
            facts = {"swarm": replica.swarm, "founder": replica.founder, "self": peer.id}
            store.commit([PutMeta(name, value.encode()) for name, value in facts.items()])
        return place

    return make


def test_admins_invite_trainers_where_genesis_allows_guests_and_guests_never(
    place_of: Callable[[Peer], Path],
) -> None:
    swarm = Swarm(["adam", "bert"], admins=["adam"], guests=2)
    swarm.join("olga", role="observer")
    swarm.join("gast", by="bert")
    swarm.exchange()
    assert invites.make_ticket(place_of(swarm["adam"]), role="auditor").role == "auditor"
    assert invites.make_ticket(place_of(swarm["bert"]), role="observer").role == "observer"
    with pytest.raises(LocalError, match="lets nobody in as 'auditor'"):
        invites.make_ticket(place_of(swarm.founder).parent / "bert", role="auditor")
    for name in ("olga", "gast"):
        with pytest.raises(LocalError, match="can let nobody in"):
            invites.make_ticket(place_of(swarm[name]))


def test_who_comes_in_by_a_trainer_enrols_as_the_guest_of_that_trainer(
    place_of: Callable[[Peer], Path], tmp_path: Path
) -> None:
    """Not as the founder's: nobody but the sponsor that its own first entry names may let it in."""
    swarm = Swarm(["bert"], guests=2)
    bert = swarm["bert"]
    place = place_of(bert)
    for name, ticket in (("card", invites.make_card(place)), ("ticket", invites.make_ticket(place))):
        guest = enrol(tmp_path / name, Ticket.parse(ticket.text), name)
        with Store.open_readonly(places.store_path(tmp_path / name)) as store:
            first = store.entry(guest, 0)
        assert first is not None
        entry = decode_entry(first)
        assert isinstance(entry, Enrol)
        assert entry.sponsor == ticket.inviter == bert.id != ticket.founder


def test_without_guests_in_genesis_no_trainer_invites(place_of: Callable[[Peer], Path]) -> None:
    swarm = Swarm(["bert"])
    with pytest.raises(LocalError, match="can let nobody in"):
        invites.make_ticket(place_of(swarm["bert"]))


def test_whose_time_is_over_invites_nobody(place_of: Callable[[Peer], Path]) -> None:
    swarm = Swarm([], guests=2)
    swarm.join("bert", expires=TODAY + 10)  # in 2026
    with Store(places.store_path(place_of(swarm["bert"]))) as store:
        assert invites.inviter_in(store, TODAY + 9).roles == invites.SPONSOR_GIVES
        with pytest.raises(LocalError, match="membership is over"):
            invites.inviter_in(store, TODAY + 10)


def test_who_is_revoked_invites_nobody_and_one_admin_of_two_revokes_nobody(place_of: Callable[[Peer], Path]) -> None:
    swarm = Swarm(["adam", "bert", "cleo"], admins=["adam"], guests=2, threshold=2)
    swarm.founder.revoke(swarm["bert"])
    swarm.founder.revoke(swarm["cleo"])
    swarm.exchange()
    swarm["adam"].revoke(swarm["cleo"])
    swarm.exchange()
    assert invites.make_ticket(place_of(swarm["bert"])).role == "trainer"
    place = place_of(swarm["cleo"])
    for make in (invites.make_ticket, invites.make_card):
        with pytest.raises(LocalError, match="no member any more"):
            make(place)
    with pytest.raises(LocalError, match="no member any more"):
        invites.allow(place, key_of("dora").public.hex())
    with pytest.raises(LocalError, match="no member any more"):
        invites.set_open(place, True)


def test_a_ticket_names_the_key_in_force_wherever_a_change_was_cut_off(place_of: Callable[[Peer], Path]) -> None:
    swarm = Swarm([])
    place = place_of(swarm.founder)
    places.current_key_path(place).unlink()  # the log names a key that still lies in `next`
    places.next_key_path(place).unlink()
    swarm.founder.rotate()
    key_of("founder", 0).save(places.current_key_path(place))
    key_of("founder", 1).save(places.next_key_path(place))
    with Store(places.store_path(place)) as store:
        seq = swarm.founder.replica.size(swarm.founder.id) - 1
        store.commit([PutEntry(swarm.founder.id, seq, swarm.founder.replica.data(swarm.founder.id, seq))])
    assert invites.make_ticket(place).key == key_of("founder", 1).public
    places.next_key_path(place).unlink()
    with pytest.raises(LocalError, match="not the key of this peer"):
        invites.make_ticket(place)


def test_a_joiner_that_is_not_in_yet_invites_nobody(tmp_path: Path) -> None:
    anna = found(tmp_path / "anna")
    enrol(tmp_path / "bert", invites.make_ticket(anna), "bert")
    with pytest.raises(LocalError, match="no member yet"):
        invites.make_ticket(tmp_path / "bert")
