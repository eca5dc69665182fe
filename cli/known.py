"""What an auditor knows from elsewhere, from the words of a command to `Anchors`.

    --swarm ID          64 hex digits                            --checkpoint FILE   a signed note kept from before
    --model-hash HASH   64 hex digits                            --model FILE        an exported model
    --witness KEY       64 hex digits, or a C2SP verifier key (name+id+key)
    --root FILE         root certificates of time-stamp authorities, in PEM: `Roots`, for what is stamped

These are the auditor's own: whatever is wrong with them is a mistake in the command, not a finding about a bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ledger.audit import Anchors
from ledger.checkpoint import MAX_COSIGNED_BYTES, parse_checkpoint
from ledger.entry import Hash
from ledger.errors import LocalError, RemoteError
from ledger.export import read_model
from ledger.keys import check_public
from ledger.note import parse_verifier_key

if TYPE_CHECKING:
    from ledger.timestamp import Roots

_HEX = frozenset("0123456789abcdef")


def anchors(
    *,
    swarm: str | None = None,
    model_hash: str | None = None,
    witnesses: Sequence[str] = (),
    checkpoints: Sequence[Path] = (),
    model: Path | None = None,
) -> Anchors:
    """LocalError if one of them is misspelled, or is not what it should be."""
    if model is not None:
        try:
            read_model(model)
        except RemoteError as error:
            raise LocalError(
                f"{model} is no exported model", why=str(error), next_step="name a file made by gossip model export"
            ) from None
    return Anchors(
        swarm=_hash("--swarm", swarm),
        model=_hash("--model-hash", model_hash),
        witnesses=tuple(_key(word) for word in witnesses),
        checkpoints=tuple(_note(file) for file in checkpoints),
        model_file=model,
    )


def roots(files: Sequence[Path]) -> Roots | None:
    """All certificates in these files; None without files. LocalError also if this install cannot read time stamps."""
    if not files:
        return None
    from ledger.timestamp import MAX_ROOT_BYTES, Roots, load_roots, require_library

    require_library()
    found = [load_roots(_read(file, MAX_ROOT_BYTES + 1)) for file in files]
    return Roots(tuple(certificate for one in found for certificate in one.certificates))


def _hash(option: str, text: str | None) -> Hash:
    if text is None:
        return ""
    if len(text) != 64 or set(text) - _HEX:
        raise LocalError(f"{option} is no hash", why="64 lower-case hex digits are", next_step="copy it whole")
    return text


def _key(word: str) -> bytes:
    try:
        if "+" in word:
            return parse_verifier_key(word).public
        if len(word) != 64 or set(word) - _HEX:
            raise RemoteError("expected 64 lower-case hex digits, or name+id+key")
        public = bytes.fromhex(word)
        check_public(public)
    except RemoteError as error:
        raise LocalError("--witness is no public key", why=str(error), next_step="copy it whole") from None
    return public


def _note(file: Path) -> bytes:
    note = _read(file, MAX_COSIGNED_BYTES + 1)
    try:
        parse_checkpoint(note)
    except RemoteError as error:
        raise LocalError(
            f"{file} is no signed checkpoint", why=str(error),
            next_step="name a file logs/.../checkpoint or logs/.../cosigned of an earlier bundle",
        ) from None  # fmt: skip
    return note


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(most)
    except OSError as error:
        raise LocalError(f"cannot read {file}", why=error.strerror or "", next_step="name another file") from None
