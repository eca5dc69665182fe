"""What the user named, as it is reported; which of our addresses are told; why a dial failed. All without libp2p."""

from __future__ import annotations

import errno
from itertools import pairwise

import pytest

from gossip.peer_ids import peer_id_of
from gossip.wide.config import WideConfig
from gossip.wide.own_addresses import by_number, own_addresses, stands_at
from gossip.wide.reasons import other_peer, reason
from gossip.wide.state import State, told_of
from ledger.errors import LocalError
from ledger.keys import PrivateKey

ONE, OTHER = (peer_id_of(PrivateKey.from_seed(bytes([number]) * 32).public) for number in (1, 2))
RSA = "QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN"
AT_ONE = f"/ip4/203.0.113.7/tcp/4001/p2p/{ONE}"
NAMED = f"/dns4/relay.example/tcp/4001/p2p/{ONE}"
AT_OTHER = f"/ip6/2001:db8::7/tcp/4001/p2p/{OTHER}"


def test_one_who_is_bootstrap_and_relay_is_connected_to_once_at_all_its_addresses() -> None:
    told = told_of(WideConfig((AT_ONE, AT_OTHER), (NAMED + "/p2p-circuit",), "0.0.0.0"))
    assert [(each.peer, each.addresses, each.bootstrap, each.relay) for each in told] == [
        (ONE, (AT_ONE, NAMED), True, True),
        (OTHER, (AT_OTHER,), True, False),
    ]


def test_peer_ids_of_other_kinds_of_keys_are_taken() -> None:
    (told,) = told_of(WideConfig((f"/ip4/203.0.113.7/tcp/4001/p2p/{RSA}",), (), "0.0.0.0"))
    assert told.peer == RSA


@pytest.mark.parametrize("address", ["/ip4/203.0.113.7/tcp/4001", "", f"{AT_ONE}/p2p-circuit/p2p/", "/p2p/x/y"])
def test_an_address_that_names_nobody_is_refused(address: str) -> None:
    with pytest.raises(LocalError, match="names nobody"):
        told_of(WideConfig((address,), (), "0.0.0.0"))


def test_the_report_keeps_the_users_spelling_and_adds_relays_that_nobody_named() -> None:
    config = WideConfig((AT_OTHER,), (AT_ONE + "/p2p-circuit",), "0.0.0.0")
    state = State(told_of(config))
    assert state.report(config)["state"] == "starting"
    state.running = True
    assert state.report(config)["state"] == "alone"
    bootstrap, relay = state.told
    bootstrap.connected, bootstrap.text = True, ""
    relay.text, relay.relay_text = "", "it is over its limits"
    said = state.report(config)
    assert said["state"] == "ready"
    assert said["bootstrap"] == [{"address": AT_OTHER, "connected": True, "text": ""}]
    assert said["relays"] == [
        {"address": AT_ONE + "/p2p-circuit", "reserved": False, "until": None, "text": "it is over its limits"}
    ]
    bootstrap.reserved = True
    assert [each["address"] for each in state.report(config)["relays"]] == [AT_ONE + "/p2p-circuit", AT_OTHER]
    state.stopped()
    assert state.report(config)["state"] == "starting"
    assert len(state.report(config)["relays"]) == 1


def test_wildcards_are_never_told_and_loopback_only_by_who_is_nowhere_else() -> None:
    here, there = "/ip4/127.0.0.1/tcp/4001", "/ip4/192.168.1.7/tcp/4001"
    assert own_addresses([here, there], loopback=False) == [there]
    assert own_addresses([here], loopback=True) == [here]
    told = own_addresses(["/ip4/0.0.0.0/tcp/4001", "/ip4/192.168.1.7/udp/4001/quic-v1"], loopback=False)
    assert all(each.endswith("/tcp/4001") and "/0.0.0.0/" not in each and "/127." not in each for each in told)


class PeerIDMismatchesPubkey(Exception):  # as libp2p names it
    pass


class MultiselectClientError(Exception):
    pass


def caused(*errors: BaseException) -> BaseException:
    """The first of them, each caused by the next."""
    for outer, inner in pairwise(errors):
        outer.__cause__ = inner
    return errors[0]


def test_a_relay_with_a_name_is_told_of_by_number_to_those_who_look_up_no_names() -> None:
    behind = "/tcp/4001/p2p/12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7"
    assert by_number("/dns4/relay.example.org" + behind, "203.0.113.7") == "/ip4/203.0.113.7" + behind
    assert by_number("/dns/relay.example.org" + behind, "2001:db8::7") == "/ip6/2001:db8::7" + behind
    assert by_number("/dns/relay.example.org" + behind, "") == "/dns/relay.example.org" + behind
    assert by_number("/ip4/192.0.2.1" + behind, "203.0.113.7") == "/ip4/192.0.2.1" + behind
    assert stands_at("192.0.2.1") == ["192.0.2.1"]
    assert "127.0.0.1" in stands_at("0.0.0.0")


def test_the_last_of_a_chain_says_why() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    assert reason(caused(ValueError("outer"), RuntimeError("inner"), refused)) == "connection refused"
    assert reason(caused(ValueError("outer"), ExceptionGroup("all", [refused]))) == "connection refused"
    assert "does not speak libp2p" in reason(caused(ValueError("outer"), MultiselectClientError("x"), refused))
    assert reason(ValueError("what is this")) == "libp2p failed (ValueError)"
    again = ValueError("a ring")
    again.__cause__ = again
    assert reason(again) == "libp2p failed (ValueError)"


def test_who_answers_in_anothers_place_is_named() -> None:
    said = f"remote_peer={ONE}, remote_peer_id_from_pubkey={OTHER}"
    assert other_peer(caused(ValueError("outer"), PeerIDMismatchesPubkey(said))) == OTHER
    assert other_peer(ValueError(said)) is None
    assert other_peer(PeerIDMismatchesPubkey("remote_peer_id_from_pubkey=\x1b[31m")) is None
