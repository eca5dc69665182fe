"""One entry, proved to somebody who has neither the log nor our code."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import exits, proving
from cli.settings import STORE
from ledger.checkpoint import Checkpoint, author_only, origin, sign
from ledger.cosignature import add_cosignatures, cosign
from ledger.keys import PrivateKey
from ledger.merkle import HASH_BYTES, Tree, inclusion_sides
from ledger.note import COSIGNATURE, ED25519, VerifierKey, verifier_key
from ledger.proof import TlogProof, parse_proof, print_proof
from ledger.store import PutCheckpoint, PutCosigned, Store
from ledger.tlog_policy import final_policy, print_policy
from tests.cli.test_ledger import a_swarm, facts, gossip, stored
from tests.fold import toy

PROMISED_BYTES = 2048
WITNESSES = ("birch", "cedar", "founder")


@pytest.fixture(scope="module")
def swarm() -> toy.Swarm:
    return a_swarm()


@pytest.fixture
def place(tmp_path: Path, swarm: toy.Swarm) -> Path:
    return stored(tmp_path / "peer", swarm)


def note_of(swarm: toy.Swarm, name: str, size: int, witnesses: tuple[str, ...] = ()) -> bytes:
    peer = swarm[name].id
    checkpoint = Checkpoint(origin(swarm.swarm, peer), size, swarm.founder.replica.root(peer, size))
    signed = sign(checkpoint, toy.key_of(name))
    others = [(origin(swarm.swarm, swarm[other].id), toy.key_of(other)) for other in witnesses]
    return add_cosignatures(signed, [cosign(checkpoint, called, key, toy.NOW + 60) for called, key in others])


def key_word(swarm: toy.Swarm, name: str) -> str:
    return verifier_key(origin(swarm.swarm, swarm[name].id), toy.key_of(name).public, ED25519)


def test_a_proof_of_an_update_checks_with_the_authors_key(place: Path, tmp_path: Path, swarm: toy.Swarm) -> None:
    out = tmp_path / "update.tlog-proof"
    told = gossip("ledger", "prove", "birch/3", str(place), "--out", str(out))
    assert "signed by its author alone" in told
    assert key_word(swarm, "birch") in told
    assert out.with_name("update.tlog-proof.entry").read_bytes() == swarm["birch"].replica.data(swarm["birch"].id, 3)
    good = gossip("ledger", "prove", "--check", str(out), "--key", key_word(swarm, "birch"))
    assert good.startswith("GOOD  entry 3 of ")


def test_against_nothing_of_ones_own_a_proof_shows_nothing(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "proof"
    gossip("ledger", "prove", "birch/3", str(place), "--out", str(out))
    told = gossip("ledger", "prove", "--check", str(out), code=exits.INCONCLUSIVE)
    assert "anybody can sign one" in told
    assert "--key VKEY or --policy FILE" in told


def test_whatever_is_wrong_with_a_proof_is_told_and_never_raised(place: Path, tmp_path: Path, swarm: toy.Swarm) -> None:
    out, beside = tmp_path / "proof", tmp_path / "proof.entry"
    gossip("ledger", "prove", "birch/3", str(place), "--out", str(out))
    good, entry, key = out.read_bytes(), beside.read_bytes(), key_word(swarm, "birch")

    def verdict(key: str = key) -> str:
        return str(proving.check(out, beside, None, key)["verdict"])

    assert verdict() == "good"
    assert verdict(key_word(swarm, "cedar")) == "bad"
    for at in range(len(good)):  # every byte
        out.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert verdict() == "bad", at
    out.write_bytes(good)
    for wrong in (entry[:-1], entry + b" ", b"", b"x" * 100_000):
        beside.write_bytes(wrong)
        assert verdict() == "bad"
    beside.write_bytes(entry)
    out.write_bytes(b"\xff" * 40_000)
    assert verdict() == "bad"
    assert "BAD" in gossip("ledger", "prove", "--check", str(out), "--key", key, code=exits.FINDINGS)


def test_a_cosigned_checkpoint_is_preferred_where_it_covers_the_entry(
    place: Path, tmp_path: Path, swarm: toy.Swarm
) -> None:
    birch = swarm["birch"].id
    with Store(place / STORE) as store:
        store.commit([PutCosigned(birch, 6, note_of(swarm, "birch", 6, ("cedar", "founder")))])
    early = facts("ledger", "prove", "birch/5", str(place))
    late = facts("ledger", "prove", "birch/6", str(place))
    assert (early["size"], early["witnesses"]) == (6, ["cedar", "founder"]) or early["witnesses"] == [
        "founder",
        "cedar",
    ]
    assert late["size"] > 6
    assert late["witnesses"] == []

    out = tmp_path / "proof"
    gossip("ledger", "prove", "birch/5", str(place), "--out", str(out))
    witnesses = [(swarm[name].id, [toy.key_of(name).public]) for name in WITNESSES]
    policy = final_policy(swarm.swarm, witnesses)
    assert policy is not None
    (tmp_path / "policy").write_bytes(print_policy(policy))
    check = ("ledger", "prove", "--check", str(out), "--policy", str(tmp_path / "policy"))
    told = facts(*check)
    assert (told["verdict"], told["times"]) == ("good", [toy.NOW + 60] * 2)  # two of three are a majority

    out.write_bytes(out.read_bytes().replace(*_notes(out, note_of(swarm, "birch", 6, ("cedar",)))))
    assert "does not satisfy the policy" in gossip(*check, code=exits.FINDINGS)


def _notes(out: Path, other: bytes) -> tuple[bytes, bytes]:
    return parse_proof(out.read_bytes()).note, other


def test_a_checkpoint_of_more_than_is_here_proves_what_is_here(place: Path, tmp_path: Path, swarm: toy.Swarm) -> None:
    """An author signs its newest size, and may show us less of its log than it signed."""
    birch = swarm["birch"]
    size = birch.replica.size(birch.id)
    longer = Tree(birch.replica.tree(birch.id).leaf(seq) for seq in range(size))
    for number in range(5):
        longer.append(bytes([number]) * HASH_BYTES)
    note = sign(Checkpoint(origin(swarm.swarm, birch.id), size + 5, longer.root()), toy.key_of("birch"))
    with Store(place / STORE) as store:
        store.commit([PutCheckpoint(birch.id, size + 5, note, size, tuple(longer.consistency(size)))])
    for seq in range(size):
        out = tmp_path / f"{seq}"
        gossip("ledger", "prove", f"birch/{seq}", str(place), "--out", str(out))
        told = gossip("ledger", "prove", "--check", str(out), "--key", key_word(swarm, "birch"))
        assert f"of {size + 5} of" in told


def test_a_bundle_proves_like_a_store(place: Path, tmp_path: Path) -> None:
    gossip("ledger", "bundle", "--dir", str(place), "--out", str(tmp_path / "bundle"))
    of_bundle = facts("ledger", "prove", "cedar/2", str(tmp_path / "bundle"))
    assert of_bundle == facts("ledger", "prove", "cedar/2", str(place))


def test_without_out_the_proof_goes_down_the_pipe(place: Path) -> None:
    told = gossip("ledger", "prove", "birch/3", str(place))
    assert parse_proof(told.encode()).index == 3


def test_a_proof_never_overwrites(place: Path, tmp_path: Path) -> None:
    words = ("ledger", "prove", "birch/3", str(place), "--out", str(tmp_path / "proof"))
    gossip(*words)
    assert "exists already" in gossip(*words, code=exits.USAGE)


def test_mistakes_are_one_line(place: Path, tmp_path: Path) -> None:
    assert "which entry?" in gossip("ledger", "prove", code=exits.USAGE)
    assert "no entry" in gossip("ledger", "prove", "birch/99", str(place), code=exits.USAGE)
    (tmp_path / "proof").write_bytes(b"")
    wrong = ("ledger", "prove", "--check", str(tmp_path / "proof"), "--key", "x+y+z")
    assert "--key is no verifier key" in gossip(*wrong, code=exits.USAGE)
    assert "cannot read" in gossip("ledger", "prove", "--check", str(tmp_path / "none"), code=exits.USAGE)


def test_a_proof_at_a_million_entries_with_three_cosignatures_has_at_most_two_kilobytes(swarm: toy.Swarm) -> None:
    """By construction: names, keys and hashes have one length each, so any hashes give the size."""
    size, index = 1_000_000, 999_999 - (1 << 19)
    hashes = tuple(bytes([number]) * HASH_BYTES for number in range(len(inclusion_sides(index, size))))
    assert len(hashes) == 20  # the deepest there are
    checkpoint = Checkpoint(origin(swarm.swarm, swarm["birch"].id), size, bytes(HASH_BYTES))
    keys = [PrivateKey.from_seed(bytes([number]) * 32) for number in range(3)]
    names = [origin(swarm.swarm, f"{number:064x}") for number in range(3)]
    signed = sign(checkpoint, toy.key_of("birch"))
    cosigned = add_cosignatures(
        signed, [cosign(checkpoint, name, key, toy.NOW) for name, key in zip(names, keys, strict=True)]
    )
    assert author_only(cosigned) == signed
    proof = print_proof(TlogProof(index, hashes, cosigned))
    assert 1800 < len(proof) <= PROMISED_BYTES
    assert all(str(VerifierKey(name, key.public, COSIGNATURE)) for name, key in zip(names, keys, strict=True))
