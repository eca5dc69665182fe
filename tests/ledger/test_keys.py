"""Keys: what is refused, what is kept, and who may read it."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey, check_public, key_digest, verify, words
from ledger.private_files import ROUNDS, Passphrase, is_locked

P = (1 << 255) - 19


def test_a_signature_verifies_and_nothing_near_it_does() -> None:
    key = PrivateKey.from_seed(bytes(32))
    signature = key.sign(b"message")
    assert verify(key.public, signature, b"message")
    assert not verify(key.public, signature, b"massage")
    assert not verify(PrivateKey.from_seed(b"\x01" * 32).public, signature, b"message")
    assert not verify(key.public, signature[:-1], b"message")
    assert not verify(key.public[:-1], signature, b"message")
    for bit in range(0, 512, 7):
        bad = bytearray(signature)
        bad[bit // 8] ^= 1 << bit % 8
        assert not verify(key.public, bytes(bad), b"message")


def test_ordinary_keys_are_accepted() -> None:
    for number in range(64):
        check_public(PrivateKey.from_seed(bytes([number]) * 32).public)


# The eight points of small order in every encoding that some library reads (y as is, y + p, either sign bit).
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL = [0, 1, P - 1, ORDER_8, P - ORDER_8, P, P + 1]


@pytest.mark.parametrize("y", SMALL)
@pytest.mark.parametrize("sign", [0, 1])
def test_keys_of_small_order_are_refused(y: int, sign: int) -> None:
    with pytest.raises(RemoteError):
        check_public((y | sign << 255).to_bytes(32, "little"))


def test_the_identity_as_key_would_verify_anything() -> None:
    """The positive control: this is what check_public protects from."""
    identity = (1).to_bytes(32, "little")
    assert verify(identity, identity + bytes(32), b"anything at all")
    with pytest.raises(RemoteError, match="small order"):
        check_public(identity)


def test_keys_off_the_curve_and_of_wrong_length_are_refused() -> None:
    with pytest.raises(RemoteError, match="not on the curve"):
        check_public((2).to_bytes(32, "little"))
    for y in range(P, 1 << 255):
        with pytest.raises(RemoteError, match="not canonically encoded"):
            check_public(y.to_bytes(32, "little"))
    with pytest.raises(RemoteError, match="not 32 bytes"):
        check_public(bytes(31))


def test_a_key_file_is_its_owners_alone_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "current"
    key = PrivateKey.generate()
    key.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    again = PrivateKey.load(path)
    assert again.public == key.public
    assert verify(key.public, again.sign(b"x"), b"x")
    assert "PRIVATE" not in repr(key)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "current"
    PrivateKey.from_seed(bytes(32)).save(path)
    before = path.read_bytes()
    with pytest.raises(LocalError, match="never overwritten"):
        PrivateKey.generate().save(path)
    assert path.read_bytes() == before


def test_a_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "current"
    PrivateKey.generate().save(path)
    path.chmod(0o644)
    with pytest.raises(LocalError, match="chmod 600"):
        PrivateKey.load(path)


def test_a_damaged_or_missing_key_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="No such file"):
        PrivateKey.load(tmp_path / "none")
    path = tmp_path / "current"
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    path.chmod(0o600)
    with pytest.raises(LocalError, match="not a private key of ours"):
        PrivateKey.load(path)


def test_a_locked_key_takes_its_passphrase_and_every_guess_costs_the_same(tmp_path: Path) -> None:
    key, path, secret = PrivateKey.generate(), tmp_path / "current", Passphrase("correct horse battery")
    key.save(path, secret)
    assert path.stat().st_mode & 0o777 == 0o600
    data = path.read_bytes()
    assert is_locked(data)
    assert key.seed() not in base64.b64decode(b"".join(data.splitlines()[1:-1]))
    assert PrivateKey.load(path, secret).public == key.public
    with pytest.raises(LocalError, match="is locked with a passphrase"):
        PrivateKey.load(path)
    for wrong in ("correct horse batterie", "x"):
        with pytest.raises(LocalError, match="wrong passphrase"):
            PrivateKey.load(path, Passphrase(wrong))
    key.save(tmp_path / "again", secret)
    assert (tmp_path / "again").read_bytes() != data  # a fresh salt
    assert ROUNDS.to_bytes(3, "big") in base64.b64decode(b"".join(data.splitlines()[1:-1]))
    assert ROUNDS >= 600_000


def test_what_openssl_locked_is_read(tmp_path: Path) -> None:
    key, plain, locked = PrivateKey.generate(), tmp_path / "plain", tmp_path / "locked"
    key.save(plain)
    secret = tmp_path / "secret"
    secret.write_text("correct horse battery\n")
    words = ["openssl", "pkcs8", "-topk8", "-in", plain, "-out", locked, "-passout", f"file:{secret}"]
    subprocess.run(words, check=True, capture_output=True)
    locked.chmod(0o600)
    assert PrivateKey.load(locked, Passphrase("correct horse battery")).public == key.public


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "current"
    subprocess.run(["openssl", "genpkey", "-algorithm", "X25519", "-out", path], check=True, capture_output=True)
    path.chmod(0o600)
    with pytest.raises(LocalError, match="not a private key of ours"):
        PrivateKey.load(path)


def test_words_name_a_peer_for_people() -> None:
    assert words("00" * 32) == "acorn-acorn-acorn-acorn"
    assert words("ff000102" + "00" * 28) == "sparrow-acorn-actor-agent"
    from ledger.keys import _WORDS

    assert len(set(_WORDS)) == 256


def test_key_digest_is_what_sha256sum_prints() -> None:
    assert key_digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
