"""What is said over /ipfs/kad/1.0.0: who asks, who answers, and what is made of it (libp2p specs, kad-dht).

    type 1 (2 ADD_PROVIDER, 3 GET_PROVIDERS, 4 FIND_NODE, 5 PING) | key 2 | closer 8 * | providers 9 *
    a peer: id 1 | address 2 *

    08 03 12 22 1220 <namespace 32>      GET_PROVIDERS of a namespace: 38 bytes, behind a varint of their length

The key is a multihash, for some servers take nothing else. Why not py-libp2p's KadDHT: its find_providers gives what
it holds itself, and once it has published that is itself, for 48 hours; it stops at 20 providers, so one server that
makes up 20 hides everybody; it reads answers of 4 MiB and keeps every address and record of them in the peerstore.
Answers here are at most MAX_ANSWER bytes, and so many of each kind are made of one. Pure; known without libp2p.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gossip.peer_ids import MAX_ID_BYTES
from gossip.wide.protobuf import field, read_fields
from ledger.errors import RemoteError

PROTOCOL: Final = "/ipfs/kad/1.0.0"
MAX_ASKED: Final = 4 * 1024  # what somebody asks; with a signed record of many addresses 2 kB
MAX_ANSWER: Final = 64 * 1024  # 20 providers and 20 closer peers of 8 addresses, each with a signed record: 50 kB
MAX_PROVIDERS, MAX_CLOSER = 128, 20  # read of one answer
MAX_RAW_ADDRESSES: Final = 16  # read of one peer, before any is refused
ADD_PROVIDER, GET_PROVIDERS, FIND_NODE, PING = 2, 3, 4, 5
MAX_KEY_BYTES: Final = 80  # the specification's


@dataclass(frozen=True, slots=True)
class Said:
    """A peer as a message names it: nothing of it is checked."""

    id: bytes  # a multihash
    addresses: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """What was asked, or answered."""

    kind: int
    key: bytes = b""
    closer: tuple[Said, ...] = ()
    providers: tuple[Said, ...] = ()


def key_of(namespace: bytes) -> bytes:
    """The key of a namespace of 32 bytes, a SHA-256 itself, as a multihash."""
    return b"\x12\x20" + namespace


def distance(key: bytes, peer_id: bytes) -> int:
    """How far a peer is from a key: XOR of their SHA-256."""
    ours, theirs = hashlib.sha256(key).digest(), hashlib.sha256(peer_id).digest()
    return int.from_bytes(ours, "big") ^ int.from_bytes(theirs, "big")


def write_message(message: Message) -> bytes:
    """The message, without the length in front."""
    out = field(1, message.kind)
    if message.key:
        out += field(2, message.key)
    for number, peers in ((8, message.closer), (9, message.providers)):
        for peer in peers:
            out += field(number, field(1, peer.id) + b"".join(field(2, raw) for raw in peer.addresses))
    return out


def read_message(data: bytes) -> Message:
    """What a message says; of more than MAX_PROVIDERS and MAX_CLOSER the first. RemoteError: it is none."""
    kind, key = 0, b""
    lists: dict[int, list[Said]] = {8: [], 9: []}
    for number, value in read_fields(data):
        match number, value:
            case 1, int():
                kind = value
            case 2, bytes():
                key = value
            case ((8 | 9), bytes()) if len(lists[number]) < (MAX_CLOSER, MAX_PROVIDERS)[number - 8]:
                lists[number].append(_read_peer(value))
    return Message(kind, key, tuple(lists[8]), tuple(lists[9]))


def _read_peer(data: bytes) -> Said:
    peer_id = b""
    addresses: list[bytes] = []
    for number, value in read_fields(data):
        if number == 1 and isinstance(value, bytes):
            peer_id = value
        elif number == 2 and isinstance(value, bytes) and len(addresses) < MAX_RAW_ADDRESSES:
            addresses.append(value)
    if not 2 <= len(peer_id) <= MAX_ID_BYTES:
        raise RemoteError("a DHT server names a peer without a name")
    return Said(peer_id, tuple(addresses))


def read_providers(data: bytes, asked: bytes) -> Message:
    """The answer to GET_PROVIDERS. RemoteError: it is none."""
    message = read_message(data)
    if message.kind != GET_PROVIDERS or (message.key and message.key != asked):
        raise RemoteError("a DHT server answers another question")
    return message


def closest(key: bytes, peers: Iterable[Said], known: Sequence[bytes]) -> list[Said]:
    """Peers that are not known yet, the closest to a key first."""
    new = {peer.id: peer for peer in peers if peer.id not in known}
    return sorted(new.values(), key=lambda peer: distance(key, peer.id))
