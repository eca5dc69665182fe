"""Filter lists that an auditor names, and how records are read with them.

    --lists FILE...   --SHA-256--> those that a policy pins --engine--> labels of opened records are checked again

Why it exists: a ledger names lists by hash and carries none, for licences differ. With the very files a judge had, an
auditor labels what was opened again; without them it still sees what cannot be read, and says that labels were not
looked at.

Rules kept here: a file is used if a policy pins its hash, and only beside all others that this policy pins, for one
list missing changes labels; engines are built when they are needed, and few are kept. It refuses to know verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.plain import visible
from ledger.entry import Genesis, Hash
from ledger.errors import LocalError
from ledger.policy import Policy

if TYPE_CHECKING:
    from gossip.filterlists.engine import Engine
    from ledger.shown import Inspector

ENGINES: Final = 2  # kept: those of two policies; 60 MB each with large lists

Pins = tuple[tuple[str, str, Hash], ...]


class Lists:
    """Files by their SHA-256. LocalError if one cannot be read, or if requests cannot be labelled here."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = {_digest(file): file for file in files}
        self._engine = lru_cache(maxsize=ENGINES)(self._built)
        if files:
            from gossip.filterlists.engine import engine_of

            engine_of(())  # says what to install

    def inspectors(self, genesis: Genesis, policy: Policy) -> Inspector | None:
        """How records of a swarm are read by a policy; None if this install, or anybody but the swarm, cannot."""
        try:
            from gossip.filterlists.inspect import inspect, inspect_numbers
            from gossip.training.spec import ModelSpec, UrlGrams
        except ModuleNotFoundError:
            return None
        try:
            spec = ModelSpec.parse(genesis.model)
        except LocalError:
            return None
        features, classes = spec.features, spec.classes
        if isinstance(features, UrlGrams):
            engine = self._engine(policy.lists)
            return lambda records: inspect(records, engine)
        return lambda records: inspect_numbers(records, features.columns, classes)

    def _built(self, pins: Pins) -> Engine | None:
        if not pins or any(digest not in self._files for _, _, digest in pins):
            return None
        from gossip.filterlists.engine import engine_of

        return engine_of([(label, self._files[digest]) for _, label, digest in pins])

    def require_pinned(self, policies: Sequence[Policy]) -> None:
        """LocalError if a file is none that these policies pin: it would be looked at by nobody."""
        pins = {digest for policy in policies for _, _, digest in policy.lists}
        for digest, file in self._files.items():
            if digest not in pins:
                named = ", ".join(sorted({visible(name, 40) for policy in policies for name, *_ in policy.lists}))
                raise LocalError(
                    f"{file}: no policy of this ledger pins this file",
                    why=f"they pin {named or 'none'}; this one has SHA-256 {digest}",
                    next_step="give the very files that they pin, or leave --lists out",
                )

    def told(self, policies: Sequence[Policy]) -> list[dict[str, str]]:
        """Of each file, what it is to these policies: "" if none pins it."""
        named = {digest: name for policy in policies for name, _, digest in policy.lists}
        return [
            {"file": str(file), "sha256": digest, "list": visible(named.get(digest, ""), 40)}
            for digest, file in self._files.items()
        ]


def _digest(file: Path) -> Hash:
    try:
        with file.open("rb") as opened:
            return file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise LocalError(
            f"{file}: cannot be read", why=error.strerror or str(error), next_step="check the path"
        ) from None
