"""Signatures of a simulation: Ed25519, or stand-ins that cost a few percent of it and are checked all the same.

    stand-in = BLAKE2b(secret of the simulation, public key | message), 64 bytes

Why it exists: a swarm of twenty verifies each signature nineteen times, which is time for more seeds. What is simulated
is who says what, when and to whom: for that a signature must be as long, be wrong for any other message or
key, and be checked in the same places. A stand-in is all of that towards everybody but the simulator, who knows the
secret; nobody in a simulation does.

Rules kept here: public keys are real ones; outside of `standing_in` nothing is any different, and inside of it no
Ed25519 signature is good: what goes wrong is refused, never believed. There is no switch for it in ledger/keys.py: that
file's name for the verifier is what is replaced, for as long as a simulation runs. Not for anything that is said about
signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from hmac import compare_digest
from typing import TYPE_CHECKING, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger import keys
from ledger.keys import PrivateKey

if TYPE_CHECKING:
    from gossip.sim.scenario import Signatures


class Signing:
    """How the keys of one simulation sign. `seed` is the scenario's."""

    def __init__(self, kind: Signatures, seed: int) -> None:
        self._is_checked = kind == "checked"
        self._secret = blake2b(f"stand-in {seed}".encode()).digest()

    def key(self, seed: bytes) -> PrivateKey:
        """The key of a 32-byte seed."""
        if not self._is_checked:
            return PrivateKey.from_seed(seed)
        real = Ed25519PrivateKey.from_private_bytes(seed)
        return PrivateKey(cast(Ed25519PrivateKey, _Signer(real.public_key(), self._secret)))

    @contextmanager
    def standing_in(self) -> Iterator[None]:
        """Verify as these keys sign, meanwhile."""
        if not self._is_checked:
            yield
            return
        secret = self._secret

        class Verifier:
            """In the place of Ed25519PublicKey, as far as ledger/keys.py uses it."""

            def __init__(self, public: bytes) -> None:
                self._public = public

            @classmethod
            def from_public_bytes(cls, public: bytes) -> Verifier:
                return cls(public)

            def verify(self, signature: bytes, message: bytes) -> None:
                if not compare_digest(signature, stand_in(secret, self._public, message)):
                    raise InvalidSignature

        names = vars(keys)
        real = names["Ed25519PublicKey"]  # a KeyError here: ledger/keys.py verifies with something else now
        names["Ed25519PublicKey"] = Verifier
        try:
            yield
        finally:
            names["Ed25519PublicKey"] = real


class _Signer:
    """In the place of an Ed25519PrivateKey, as far as ledger/keys.py uses it to sign."""

    def __init__(self, public: Ed25519PublicKey, secret: bytes) -> None:
        self._public = public
        self._raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._secret = secret

    def public_key(self) -> Ed25519PublicKey:
        return self._public

    def sign(self, message: bytes) -> bytes:
        return stand_in(self._secret, self._raw, message)


def stand_in(secret: bytes, public: bytes, message: bytes) -> bytes:
    """64 bytes."""
    return blake2b(public + message, key=secret).digest()
