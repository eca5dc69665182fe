"""A model as a file that leaves the swarm and can be held against its ledger: "gossip-model/1".

    {"format":"gossip-model/1","heads":[["41c6...",88,"9f0e..."],...],"layout":[{"bound":..,"name":"w","shape":[3,4]},..],
     "model":"{...}","model_hash":"5d1c...","snapshot":["41c6...",87,"77ab..."],"swarm":"b2f9...","updates":212}
    ^ one line of canonical JSON, a newline, then the parameters: float32, little-endian, in storage order

`snapshot` is the log, index and entry hash of the snapshot whose model this is; `heads` its past: every log, and every
branch of one, with how many of its entries and their root (hex). So the file says which ledger to ask, and whoever has
that ledger makes the same bytes again.

Rules kept here: a parameter is theta * 2^-40 rounded once, half to even; one spelling of the header; lengths before
reading; every number of the file follows from the ledger. It refuses to know how a model is folded (fold.py).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from sys import byteorder
from typing import Final

import msgspec

from ledger.canonical import decode, encode, entry_hash
from ledger.chain import LogId, peer_of
from ledger.delta import MAX_PARAMETERS
from ledger.entry import Hash, PeerId, Tensor
from ledger.errors import LocalError, RemoteError
from ledger.fold import parameters
from ledger.genesis import MAX_DIMENSIONS, MAX_TENSORS
from ledger.replica import Replica

FORMAT: Final = "gossip-model/1"
MAX_HEADER_BYTES: Final = 4 << 20  # 4,096 logs at about 150 bytes, a declaration of 64 KiB, and room
_SCALE: Final = 2.0**-40
_FLOAT_BYTES: Final = 4
_PIECE: Final = 1 << 16  # parameters rounded at a time


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    swarm: Hash
    snapshot: tuple[PeerId, int, Hash]
    heads: list[tuple[PeerId, int, str]]  # sorted
    model_hash: Hash
    layout: list[Tensor]
    model: str  # the declaration, as the founder wrote it
    updates: int  # in the sum


@dataclass(frozen=True, slots=True)
class Exported:
    """A model file. Nothing in it is checked against a ledger yet."""

    header: Header
    values: bytes  # float32, little-endian


def float32_bytes(model_bytes: bytes) -> bytes:
    """The parameters as float32, from the model as it is hashed (int64, little-endian, grid 2^-40).

    |theta| < 2^53, so a double holds it exactly, and so does its product with 2^-40: the only rounding is to float32.
    """
    out = bytearray()
    for at in range(0, len(model_bytes), 8 * _PIECE):
        theta = array("q", model_bytes[at : at + 8 * _PIECE])
        if byteorder == "big":
            theta.byteswap()
        values = array("f", [value * _SCALE for value in theta])
        if byteorder == "big":
            values.byteswap()
        out += values.tobytes()
    return bytes(out)


def make_header(replica: Replica, log: LogId, seq: int, model_hash: Hash) -> Header:
    """What there is to say of the model of an admitted snapshot."""
    past = replica.past(log, seq + 1)
    genesis = replica.genesis
    return Header(
        format=FORMAT, swarm=replica.swarm, snapshot=(peer_of(log), seq, entry_hash(replica.data(log, seq))),
        heads=heads_of(replica, past), model_hash=model_hash, layout=genesis.layout, model=genesis.model,
        updates=sum(1 for _ in replica.terms(past)),
    )  # fmt: skip


def heads_of(replica: Replica, past: Mapping[LogId, int]) -> list[tuple[PeerId, int, str]]:
    """A past by peers and roots: ids of branches differ from holder to holder, these rows do not."""
    rows: list[tuple[PeerId, int, str]] = []
    for log, size in past.items():
        root, peer = replica.root(log, size), peer_of(log)
        longer = ((other, held) for other, held in past.items() if peer_of(other) == peer and held > size)
        if not any(replica.root(other, size) == root for other, held in longer):
            rows.append((peer, size, root.hex()))
    return sorted(rows)


def find_snapshot(replica: Replica, header: Header) -> LogId | None:
    """The branch that holds the snapshot of an exported model; None if none does."""
    peer, seq, digest = header.snapshot
    for log in replica.strands(peer):
        if 0 <= seq < replica.size(log) and entry_hash(replica.data(log, seq)) == digest:
            return log
    return None


def write_model(path: Path, header: Header, values: bytes) -> None:
    """Write a model file. LocalError if there is something already, or it cannot be written."""
    if len(values) != _FLOAT_BYTES * parameters(header.layout):
        raise LocalError("these are not the parameters of this layout", why=f"{len(values)} bytes")
    try:
        with path.open("xb") as file:
            file.write(encode(header) + b"\n")
            file.write(values)
    except OSError as error:
        raise LocalError(
            f"cannot write {path}", why=error.strerror or "", next_step="name a file that does not exist yet"
        ) from None


def read_model(path: Path) -> Exported:
    """A model file. LocalError if there is none; RemoteError if it breaks the format."""
    try:
        with path.open("rb") as file:
            line = file.readline(MAX_HEADER_BYTES + 1)
            header = _header(line)
            expected = _FLOAT_BYTES * parameters(header.layout)
            values = file.read(expected + 1)
    except OSError as error:
        raise LocalError(
            f"cannot read the model {path}",
            why=error.strerror or "",
            next_step="name a file made by gossip model export",
        ) from None
    if len(values) != expected:
        raise _malformed(f"its layout needs {expected} bytes of parameters")
    return Exported(header, values)


def differences(one: bytes, other: bytes) -> list[int]:
    """The first few parameters in which two models of one size differ."""
    mine, theirs = memoryview(one).cast("I"), memoryview(other).cast("I")
    return list(islice((number for number in range(len(mine)) if mine[number] != theirs[number]), 4))


def _header(line: bytes) -> Header:
    if not line.endswith(b"\n"):
        raise _malformed("its first line does not end")
    if b'"format":"gossip-model-without/1"' in line:
        raise RemoteError("this is a gossip-model-without, made by `without --out`", why="no snapshot ever had it")
    header = decode(line[:-1], Header, limit=MAX_HEADER_BYTES, what="the header of this model")
    if header.format != FORMAT:
        raise _malformed(f"its format is {ascii(header.format)[:40]}, this program reads {FORMAT}")
    shapes = [tensor.shape for tensor in header.layout]
    if len(shapes) > MAX_TENSORS or any(len(shape) > MAX_DIMENSIONS or min(shape, default=1) < 1 for shape in shapes):
        raise _malformed("its layout is impossible")
    if not 1 <= parameters(header.layout) <= MAX_PARAMETERS:
        raise _malformed(f"it is of {parameters(header.layout)} parameters, the limit is {MAX_PARAMETERS}")
    return header


def _malformed(why: str) -> RemoteError:
    return RemoteError("this is no exported model", why=why)
