"""Nothing is read that is not tried: every reader is a target, or stands below with the reason why it is none.

Two rules, both about the source. Public functions and methods whose names begin as those of readers do; and modules
that call a decoder of somebody else's (JSON, base64, archives, PEM ...), for a reader may have any name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.xdist_group("sources")  # parsed once
ROOT: Final = Path(__file__).parents[2]
READERS: Final = ("decode", "parse", "read", "open_", "open_", "load", "unpack", "verify_", "check_evidence")
DECODERS: Final = (
    "json.loads", "json.load", "json.decode", "msgspec.json.Decoder", "struct.unpack", "unpack_from", "iter_unpack",
    "b64decode", "b32decode", "urlsafe_b64decode", "tomllib.loads", "tomllib.load", "csv.reader", "csv.DictReader",
    "zlib.decompress", "zlib.decompressobj", "zipfile.ZipFile", "tarfile.TarFile", "tarfile.open", "gzip.GzipFile",
    "gzip.open", "np.load", "load_pem_private_key", "load_pem_x509_certificates", "load_der_x509_certificate",
    "decode_timestamp_response", "sqlite3.connect", "pickle.loads", "eval", "literal_eval",
)  # fmt: skip

# Readers that are no door: what they are given has come through one that is tried.
INSIDE: Final[dict[str, str]] = {
    "cli.anchoring": "files of time stamps, through timestamp, which is tried",
    "cli.bench.told.read_events": "lines of peers that this process started",
    "cli.damaged.reading": "a guard around a command that reads a store",
    "cli.roster.read": "a bundle or a store, through sources, which are tried",
    "cli.group.Gossip.parse_args": "words of a command line, which typer reads",
    "gossip.training.worker_client.TrainerProcess.load": "tells the training process which files to read",
    "gossip.transport.words.read": "tried with words and code",
    "gossip.filterlists.requests.read_requests": "rows of scan_requests, the first bad one raised",
    "gossip.merging.arithmetic.NumpyArithmetic.decode": "tried with delta",
    "gossip.merging.arithmetic.NumpyArithmetic.read_model": "bytes that have the hash that witnesses signed",
    "gossip.peer.book.Book.readmit": "what the own store holds: entries that were checked before they were kept",
    "gossip.peer.book.PeerArithmetic.read_model": "a declaration",
    "gossip.wire.models.read": "tried with frame",
    "gossip.fast.data.load": "rows that come with libraries, or a file of requests, which is tried",
    "gossip.openings.open_records": "own records, for somebody else",
    "gossip.peer.inspection.office.readings": "breaches of a policy, as entries state them",
    "gossip.peer.vouches.read_note": "a note that was checked and stored",
    "gossip.training.dataset.open_own": "own files, as data reads them",
    "gossip.training.dataset.read_data": "files through requests and tables, which are tried",
    "gossip.training.own_rows.read_own_rows": "files through requests, which are tried",
    "gossip.training.dataset.read_judged": "files through requests and tables, which are tried",
    "gossip.training.session.Session.load": "files through requests and tables, which are tried",
    "gossip.training.session.open_own": "files through requests and tables, which are tried",
    "gossip.training.blocks": "arrays of our own, in memory or in an unlinked file",
    "ledger.checked.open_delta": "a delta, tried as one",
    "ledger.fold": "a delta, tried as one",
    "ledger.held": "cosigned notes that were checked and stored",
    "ledger.in_force.open_policy": "a policy, tried as one",
    "ledger.merkle.verify_consistency": "hashes of 32 bytes that readers have cut; tried with sketches",
    "ledger.merkle.verify_inclusion": "hashes of 32 bytes that readers have cut; tried with proofs",
    "ledger.note.verify_text": "a note that was parsed; tried with notes",
    "ledger.opening.verify_answer": "verify_opening behind a comparison of lengths",
    "ledger.refold": "a delta, tried as one",
    "ledger.private_files.read_private": "bytes of a file; tried with key, zones and backup",
    "ledger.rules.open_accusation": "evidence and openings, tried as such",
    "ledger.seals.open_seal": "a note and a proof of a bundle; tried with audit",
    "ledger.schema": "statements of ours",
    "ledger.fold.Arithmetic.decode": "a declaration",
    "ledger.fork.check_evidence": "tried with evidence",
}

# Modules that call a decoder, and what tries them if they hold no target of their own.
TRIED_WITH: Final[dict[str, str]] = {
    "cli.anchoring": "own store: nonces that this peer asked for",
    "cli.bench.abroad": "answers of commands of ours",
    "cli.bench.bare": "rows that cli.bench.mnist wrote",
    "cli.bench.growth": "a file of gossip bench, of the user's own; tried in tests/bench/test_growth.py",
    "cli.bench.mnist": "rows that come with a library, or the user's own",
    "cli.bench.pair": "lines of a process of ours",
    "cli.bench.race": "the answer of a command of ours",
    "cli.bench.startup": "lines of a process of ours",
    "cli.bench.told": "lines of peers that this process started",
    "cli.bench.training": "lines of a process of ours",
    "cli.control": "the answer of the own node",
    "cli.entries": "entries that were decoded before",
    "cli.finale": "the last line of a process of ours",
    "cli.remembered": "own store: what was typed before; any text begins anew (tests/cli/test_app.py)",
    "gossip.own_scorer": "own file: any text is made anew (tests/cli/test_gains.py)",
    "gossip.filterlists.split": "our own table, in the package, or one that the caller made",
    "gossip.node.anchoring": "control",
    "gossip.wire.reader": "frame",
    "gossip.training.protocol": "pipe",
    "ledger.archive": "zip, tar, targz",
    "ledger.database": "store",
    "ledger.keys": "key",
    "ledger.pasts": "what this process has packed itself",
    "ledger.stored_logs": "entries that were decoded before they were stored",
    "ledger.timestamp": "stamp, token, roots",
    "ledger.note": "note, verifier-key",
    "ledger.opening": "opening",
    "gossip.filterlists.inspect": "record",
}


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    paths = [path for package in ("ledger", "gossip", "cli") for path in sorted((ROOT / package).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return tuple((name, ast.parse(path.read_text("utf-8"))) for name, path in zip(names, paths, strict=True))


@cache
def called() -> dict[str, frozenset[str]]:
    """By module: what it calls, as it is spelled there."""
    return {
        name: frozenset(spelt(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))
        for name, tree in modules()
    }


def spelt(called: ast.expr) -> str:
    """Its names, with dots: "msgspec.json.decode"; "?.read" of what a call gave. Quicker than ast.unparse."""
    names = []
    while isinstance(called, ast.Attribute):
        names.append(called.attr)
        called = called.value
    names.append(called.id if isinstance(called, ast.Name) else "?")
    return ".".join(reversed(names))


def functions(name: str, tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Public functions, and public methods of public classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name}.{node.name}", node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{name}.{node.name}.{inner.name}", inner


def takes_bytes(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a parameter may be bytes, text, a file or a record of a library."""
    hints = [ast.unparse(arg.annotation) for arg in (*node.args.args, *node.args.kwonlyargs) if arg.annotation]
    return any(word in hint for hint in hints for word in ("bytes", "str", "Path", "IO", "Info", "Sequence"))


def covered() -> set[str]:
    return {name for target in TARGETS.values() for name in target.covers}


def is_inside(name: str) -> bool:
    return any(name == known or name.startswith(f"{known}.") for known in INSIDE)


def test_every_reader_is_tried_or_says_why_not() -> None:
    tried = covered()
    missing = [
        name
        for module, tree in modules()
        for name, node in functions(module, tree)
        if node.name.startswith(READERS) and takes_bytes(node) and name not in tried and not is_inside(name)
    ]
    assert missing == [], "readers that nobody tries: make each a target, or say in INSIDE why it is none"


def test_every_module_that_calls_a_decoder_is_tried() -> None:
    tried = {name.rpartition(".")[0] for name in covered()} | covered()
    tried |= {name.rpartition(".")[0] for name in tried}  # of a class in a module
    missing = []
    for name, calls in called().items():
        used = {call for call in calls for known in DECODERS if call == known or call.endswith(f".{known}")}
        used |= {call for call in calls if call.rpartition(".")[2] in ("b64decode", "unpack", "unpack_from")}
        if used and name not in tried and name not in TRIED_WITH:
            missing.append(f"{name}: {', '.join(sorted(used))}")
    assert missing == []


def test_what_is_named_exists() -> None:
    """Neither list outlives what it speaks of."""
    known = {name for module, tree in modules() for name, _ in functions(module, tree)}
    named = {name for name, _ in modules()}
    classes = {name.rpartition(".")[0] for name in known}
    for name in (*covered(), *INSIDE):
        assert name in known | named | classes, name
    assert set(TRIED_WITH) <= named


def test_nothing_is_read_that_could_be_code() -> None:
    code = {"pickle.loads", "pickle.load", "eval", "exec", "marshal.loads", "marshal.load", "yaml.load", "__import__"}
    assert {name: calls & code for name, calls in called().items() if calls & code} == {}
