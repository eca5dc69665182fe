"""Addresses of libp2p nodes: one spelling each, and every slip has advice of its own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.peer_ids import peer_id_of
from gossip.transport.multiaddresses import MAX_CHARS, Multiaddress, bootstrap, relay
from ledger.errors import LocalError
from ledger.keys import PrivateKey

OURS = peer_id_of(PrivateKey.from_seed(b"k" * 32).public)
RSA = "QmachM8DDVoj4HfSH9irLcyypBog7nP7MPwcJ6X43y88hL"  # of a key that was made for this test
SECP = "16Uiu2HAm1fhUHVvN1bgmoMk8tKcwvvookmM6CB5syhMWWJZAb7dV"  # the same
NODE = f"/ip4/203.0.113.7/tcp/4001/p2p/{OURS}"
LONG = "/dns4/" + "a" * 114 + f"/tcp/65535/p2p/{SECP}/p2p-circuit"

keys = st.binary(min_size=32, max_size=32).map(lambda seed: PrivateKey.from_seed(seed).public)
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z0-9]{1,20}){0,3}", fullmatch=True)
hosts = st.one_of(
    st.ip_addresses(v=4).map(lambda host: ("ip4", str(host))),
    st.ip_addresses(v=6).filter(lambda host: host.ipv4_mapped is None).map(lambda host: ("ip6", str(host))),
    st.tuples(st.sampled_from(["dns", "dns4", "dns6"]), names),
)


def refusal(text: str) -> str:
    """What is said of a text; "" if it is taken."""
    try:
        Multiaddress.parse(text)
    except LocalError as error:
        return str(error)
    return ""


@settings(max_examples=100)
@given(hosts, st.integers(1, 65_535), st.one_of(keys.map(peer_id_of), st.sampled_from([RSA, SECP])), st.booleans())
def test_every_address_is_read_as_it_was_meant(host: tuple[str, str], port: int, peer: str, is_circuit: bool) -> None:
    text = f"/{host[0]}/{host[1]}/tcp/{port}/p2p/{peer}"
    found = Multiaddress.parse(text + "/p2p-circuit" * is_circuit)
    assert (found.host, found.port, found.peer_id, found.is_circuit) == (host[1], port, peer, is_circuit)
    assert found.node == text
    assert found.circuit == text + "/p2p-circuit"
    assert found.text == (found.circuit if is_circuit else text)


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=250), st.text(max_size=40).map(lambda tail: NODE[:-20] + tail)))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    said = refusal(text)
    assert said.isprintable()
    assert len(said) < 500
    assert said or Multiaddress.parse(text).text == text


SLIPS = {
    "203.0.113.7:4001": "only a host and a port",
    "https://relay.example.org:443": "only a host and a port",
    "gossip2-AlpaWl": "is no multiaddress",
    "": "is no multiaddress",
    "/ip4/203.0.113.7/tcp/4001": "/p2p/PEERID is missing",
    "/ip4/203.0.113.7/tcp/4001/p2p": "/p2p/PEERID is missing",
    "/ip4/203.0.113.7/tcp": "cut off",
    "/ip5/203.0.113.7/tcp/4001/p2p/x": "is no multiaddress",
    "/ip4/203.0.113.7/udp/4001/quic-v1/p2p/" + OURS: "not supported, TCP is",
    "/ip4/203.0.113.7/tcp/443/wss/p2p/" + OURS: "WebSocket is not supported, TCP is",
    "/ip4/203.0.113.7/tcp/443/tls/sni/x.org/ws/p2p/" + OURS: "TLS is not supported",
    "/ip4/203.0.113.7/udp/4001/webrtc-direct/certhash/u/p2p/" + OURS: "not supported, TCP is",
    "/ip4/203.0.113.7/sctp/4001/p2p/" + OURS: "only TCP is supported",
    "/dnsaddr/bootstrap.libp2p.io/p2p/" + RSA: "stands for several addresses",
    "/ip4/203.0.113.7/tcp/4001/ipfs/" + RSA: "/p2p/ in its place",
    "/ip4/203.0.113.7/tcp/0/p2p/" + OURS: "no port",
    "/ip4/203.0.113.7/tcp/04001/p2p/" + OURS: "no port",
    "/ip4/203.0.113.7/tcp/65536/p2p/" + OURS: "no port",
    "/ip4/relay.example.org/tcp/4001/p2p/" + OURS: "not an IPv4 address",
    "/ip6/203.0.113.7/tcp/4001/p2p/" + OURS: "not an IPv6 address",
    "/ip6/2001:DB8::1/tcp/4001/p2p/" + OURS: "write it 2001:db8::1",
    "/ip6/::ffff:203.0.113.7/tcp/4001/p2p/" + OURS: "write /ip4/203.0.113.7",
    "/ip6/::ffff:cb00:7107/tcp/4001/p2p/" + OURS: "write /ip4/203.0.113.7",
    "/ip6/fe80::1%eth0/tcp/4001/p2p/" + OURS: "write it fe80::1",
    "/dns/Relay.example.org/tcp/4001/p2p/" + OURS: "write it relay.example.org",
    "/dns/relay..org/tcp/4001/p2p/" + OURS: "no name of a host",
    "/dns/" + "a" * 115 + "/tcp/4001/p2p/" + RSA: "no name of a host",
    NODE[:-1]: "51 letters of 52",
    NODE + "x": "53 letters of 52",
    NODE[:-1] + "0": "'0', which none has",
    "/ip4/203.0.113.7/tcp/4001/p2p/" + RSA[:-2]: "44 letters of 46",
    "/ip4/203.0.113.7/tcp/4001/p2p/Qm" + "z" * 44: "no key has that PeerId",
    "/ip4/203.0.113.7/tcp/4001/p2p/alice": "'l', which none has",
    "/ip4/203.0.113.7/tcp/4001/p2p/rae": "they begin with",
    NODE + "/": "ends in a slash",
    NODE + "/p2p-circuit/p2p/" + OURS: "leads to one peer behind a relay",
    NODE + "/p2p/" + OURS: "not understood",
    "/ip4/203.0.113.7/tcp/4001/p2p/\x1b[31m": "no multiaddress|which none has",
    NODE + "/\x1b[31m\n": "what follows the PeerId is not understood",
    NODE + "x" * MAX_CHARS: "too long",
}


@pytest.mark.parametrize("text", SLIPS)
def test_each_slip_has_advice_of_its_own(text: str) -> None:
    with pytest.raises(LocalError, match=SLIPS[text]) as caught:
        Multiaddress.parse(text)
    assert str(caught.value).isprintable()


def test_a_letter_of_a_peer_id_that_was_changed_is_noticed_where_it_leaves_no_key() -> None:
    """About half of all numbers are points of the curve, and a PeerId has no check digits: the other half is."""
    changed = [NODE[:-1] + letter for letter in "123456789ABCDEFGHJKLMNPQRSTUVWXYZabc" if letter != NODE[-1]]
    refused = [said for said in map(refusal, changed) if said]
    assert 0 < len(refused) < len(changed)
    assert all("a letter was changed" in said for said in refused)


def test_a_relay_is_no_bootstrap_unless_it_is_named_as_one() -> None:
    assert bootstrap(NODE).node == relay(NODE).node == relay(NODE + "/p2p-circuit").node == NODE
    with pytest.raises(LocalError, match="--relay"):
        bootstrap(NODE + "/p2p-circuit")


def test_the_longest_is_as_long_as_the_bound_says() -> None:
    assert len(LONG) <= MAX_CHARS
    assert Multiaddress.parse(LONG).text == LONG
