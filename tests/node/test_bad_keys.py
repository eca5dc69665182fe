"""Public keys that prove nothing, and every door at which one might be shown.

Under the identity as key OpenSSL lets one fixed signature pass for any message; the other points of small order come
near. What is written in a second spelling would be two keys to one reader and one to another.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gossip.setup import create_swarm
from gossip.transport.offers import Offer, Session, open_offer
from gossip.transport.tickets import Ticket
from ledger.canonical import encode, encode_entry
from ledger.checkpoint import origin
from ledger.entry import Enrol, Recover, Rotate
from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey, key_digest
from ledger.note import VerifierKey, parse_verifier_key
from ledger.promise import follow_keys, promise_of
from tests.ledger.test_keys import SMALL

MODEL = (Path(__file__).resolve().parents[2] / "examples" / "own_model.json").read_text()
BAD = [(y | sign << 255).to_bytes(32, "little") for y in [*SMALL, 2] for sign in (0, 1)]


def ways(place: Path, key: str) -> dict[str, Callable[[], object]]:
    """Every way by which a public key comes in, each given this one."""
    chain = {"v": 1, "swarm": "ab" * 32, "seq": 0, "prev": "", "time": 0, "meets": [], "seen": [], "heads": "cd" * 32}
    enrol = Enrol(**chain, key=PrivateKey.from_seed(bytes(32)).public.hex(), next=key_digest(bytes.fromhex(key)),
                  sponsor="", name="ann")  # fmt: skip
    later = {**chain, "seq": 1, "prev": "ef" * 32}
    before = promise_of([encode_entry(enrol)])
    offer = Offer(
        swarm="ab" * 32, key=key, nonce="11" * 32, signature="33" * 64,
        session=Session("ufra", "password" * 3, "22" * 32, [("10.0.0.1", 4100)]),
    )  # fmt: skip
    name = origin("ab" * 32, "cd" * 32)
    return {
        "enrol": lambda: promise_of([encode_entry(msgspec.structs.replace(enrol, key=key))]),
        "rotate": lambda: follow_keys(before, 1, encode_entry(Rotate(**later, key=key, next="00" * 32))),
        "recover": lambda: follow_keys(before, 1, encode_entry(Recover(**later, key=key, next="00" * 32, since=0))),
        "new --witness": lambda: create_swarm(
            place / "new", name="n", task="table", model_text=MODEL, peer_name="p", seed=1, witnesses=[key]
        ),
        "verifier key": lambda: parse_verifier_key(str(VerifierKey(name, bytes.fromhex(key)))),
        "invite": lambda: Ticket.parse(
            Ticket("ab" * 32, "cd" * 32, bytes.fromhex(key), (), b"s" * 16, "trainer", signature=bytes(64)).text
        ),
        "handshake": lambda: open_offer(encode(offer)),
    }


@pytest.mark.parametrize("way", sorted(ways(Path(), "00" * 32)))
def test_no_bad_key_comes_in_by_any_way(way: str, tmp_path: Path) -> None:
    for key in BAD:
        with pytest.raises((LocalError, RemoteError)) as caught:
            ways(tmp_path, key.hex())[way]()
        told = f"{caught.value} {caught.value.__cause__}"
        assert any(word in told for word in ("small order", "canonically encoded", "on the curve")), (way, told)
