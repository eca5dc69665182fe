"""Checkpoints: what C2SP's own example says, and every way to spell one otherwise."""

from __future__ import annotations

import base64
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.checkpoint import (
    MAX_COSIGNED_BYTES,
    MAX_NOTE_BYTES,
    MAX_SIZE,
    Checkpoint,
    author_only,
    open_note,
    origin,
    parse_checkpoint,
    sign,
)
from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey, public_pem
from tests.ledger.c2sp_vectors import published, rows

FILE = published()
KEY = PrivateKey.from_seed(b"\x07" * 32)
ORIGIN = origin("ab" * 32, "cd" * 32)
CHECKPOINT = Checkpoint(ORIGIN, 14, sha256(b"root").digest())
NOTE = sign(CHECKPOINT, KEY)


def test_a_checkpoint_reads_back() -> None:
    assert open_note(NOTE, KEY.public) == CHECKPOINT
    for size in (0, 1, MAX_SIZE):
        checkpoint = Checkpoint(ORIGIN, size, bytes(32))
        assert open_note(sign(checkpoint, KEY), KEY.public) == checkpoint
        assert len(sign(checkpoint, KEY)) < MAX_NOTE_BYTES


def test_the_origin_names_swarm_and_peer_in_base32() -> None:
    assert "gossip.invalid/" + "vov2xk" + ORIGIN[21:67] + "/" + "zxg43t" + ORIGIN[74:] == ORIGIN
    assert len(ORIGIN) == len("gossip.invalid") + 2 * 53
    assert ORIGIN.lower() == ORIGIN


def test_it_is_laid_out_as_signed_note_and_tlog_checkpoint_say() -> None:
    """Written out by hand from the two specifications, with the library's Ed25519 only."""
    text, _, signatures = NOTE.decode().partition("\n\n")
    name, size, root = text.split("\n")
    assert (name, size, base64.b64decode(root)) == (ORIGIN, "14", CHECKPOINT.root)
    dash, signer, sealed = signatures.removesuffix("\n").split(" ")
    assert (dash, signer) == ("\N{EM DASH}", ORIGIN)
    raw = base64.b64decode(sealed)
    assert raw[:4] == sha256(ORIGIN.encode() + b"\n\x01" + KEY.public).digest()[:4]
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(raw[4:], (text + "\n").encode())


def test_openssl_agrees(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("NOT RUN: no openssl on this machine")
    (tmp_path / "key.pem").write_bytes(public_pem(KEY.public))
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-inkey",
        "key.pem",
        "-in",
        "body",
        "-sigfile",
        "sig",
    ]
    raw = base64.b64decode(NOTE.split()[-1])
    for body, signature, good in (
        (CHECKPOINT.body(), raw[4:], True),
        (CHECKPOINT.body().replace(b"14", b"15"), raw[4:], False),
    ):
        (tmp_path / "body").write_bytes(body)
        (tmp_path / "sig").write_bytes(signature)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode == 0) == good


def test_every_flipped_bit_is_caught() -> None:
    for at in range(len(NOTE)):
        for bit in range(8):
            bad = bytearray(NOTE)
            bad[at] ^= 1 << bit
            with pytest.raises(RemoteError):
                open_note(bytes(bad), KEY.public)


def test_another_key_is_not_the_author() -> None:
    with pytest.raises(RemoteError, match="not signed by"):
        open_note(NOTE, PrivateKey.from_seed(bytes(32)).public)
    other = Checkpoint(origin("ab" * 32, "ef" * 32), 14, CHECKPOINT.root)
    assert open_note(sign(other, KEY), KEY.public).origin != ORIGIN  # the caller compares origins


@pytest.mark.parametrize("row", rows("refuse", "checkpoint"))
def test_a_checkpoint_has_one_spelling(row: Any) -> None:
    """Its author signed exactly this: the reader refuses it, not the signature."""
    with pytest.raises(RemoteError) as refused:
        open_note(row["text"].encode(), bytes.fromhex(FILE["keys"]["1"]))
    assert "not signed by" not in str(refused.value)


@pytest.mark.parametrize("row", rows("accept", "checkpoint"))
def test_the_positive_control_of_these_spellings(row: Any) -> None:
    checkpoint = open_note(row["text"].encode(), bytes.fromhex(FILE["keys"]["1"]))
    assert (checkpoint.origin, checkpoint.size) == (FILE["origin"], 14)


def test_a_note_with_cosignatures_opens_and_comes_back_bare() -> None:
    bare, cosigned = (row.values[0]["text"].encode() for row in rows("accept", "checkpoint"))
    assert author_only(cosigned) == author_only(bare) == bare
    assert len(bare) < MAX_NOTE_BYTES < len(cosigned) < MAX_COSIGNED_BYTES
    signed, checkpoint = parse_checkpoint(cosigned)
    assert checkpoint == open_note(bare, bytes.fromhex(FILE["keys"]["1"]))
    assert len(signed.signatures) == 4
    with pytest.raises(RemoteError, match="not signed by"):  # a witness is no author
        open_note(cosigned, bytes.fromhex(FILE["keys"]["2"]))


def test_a_note_too_long_is_refused_unread() -> None:
    with pytest.raises(RemoteError, match="too long"):
        open_note(NOTE + b"x" * MAX_COSIGNED_BYTES, KEY.public)
    with pytest.raises(RemoteError):
        open_note(b"\xff" + NOTE, KEY.public)


def test_what_no_one_could_read_is_not_signed() -> None:
    for bad in (
        Checkpoint(ORIGIN, -1, bytes(32)),
        Checkpoint(ORIGIN, MAX_SIZE + 1, bytes(32)),
        Checkpoint(ORIGIN, 1, b""),
        Checkpoint("two words", 1, bytes(32)),
        Checkpoint("line\nbreak", 1, bytes(32)),
    ):
        with pytest.raises(LocalError):
            sign(bad, KEY)
