"""A bundle that is not what its authors signed, as every command that reads one says it: one line, and exit code 1.

    error while reading, or an audit's findings --> `FINDING place: rule: what (file)`, or {"error", "findings"}

What is wrong with a bundle is never a mistake in the command and never the network's: whoever made it, or a disk,
changed something. So the line names the file. It refuses to know how anything was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from cli import exits, render, verdict
from cli.plain import visible
from ledger.bundle import BundleError
from ledger.errors import RemoteError
from ledger.report import Finding

REST = "what follows is of the entries that hold; see: gossip ledger verify"
WORD = "which changes nothing of what follows; see: gossip ledger verify"


class Damaged(RemoteError):
    """What was asked for cannot be told, because of these findings."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(line(findings))
        self.findings = tuple(findings)


@contextmanager
def reading(source: str | Path | None, *, json: bool) -> Iterator[None]:
    """What is wrong with the bundle that is read here ends the command, said in one way."""
    try:
        yield
    except RemoteError as error:
        findings = error.findings if isinstance(error, Damaged) else (finding_of(error, source),)
        if json:
            render.document({"error": line(findings), "findings": listed(findings)})
        else:
            render.complain(line(findings))
        raise typer.Exit(exits.FINDINGS) from None


def finding_of(error: RemoteError, source: str | Path | None) -> Finding:
    """A file that cannot be read, or is not what it should be. Of an archive, the archive."""
    file = error.file if isinstance(error, BundleError) else Path(source).name if source is not None else ""
    return Finding("", -1, "file", file, str(error))


def line(findings: Sequence[Finding]) -> str:
    """The first finding, and how many more there are."""
    first = findings[0]
    more = f"; and {render.many(len(findings) - 1, 'finding')} more" if len(findings) > 1 else ""
    return f"FINDING {verdict.place(first)}: {first.rule}: {visible(first.detail, 300)} ({visible(first.file)}){more}"


def listed(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in findings]


def warn(findings: Sequence[Finding]) -> None:
    """The same line, where figures follow that are of the rest."""
    if findings:
        render.complain(f"{line(findings)}; {REST if damaging(findings) else WORD}")


def damaging(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those that keep something from being told: not what some member says of others. That is `verify`'s to judge."""
    return tuple(finding for finding in findings if not finding.of_a_word)


def code(findings: Sequence[Finding]) -> int:
    return exits.FINDINGS if damaging(findings) else exits.OK
