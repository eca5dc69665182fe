"""What a ledger is read from: entries, blobs, notes, proofs, bundles. All of it may be a stranger's."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import encode_update
from ledger import delta as deltas
from ledger import timestamp
from ledger.archive import unpacked
from ledger.audit import audit, audit_path
from ledger.batch import decode_batch
from ledger.bundle import write_bundle
from ledger.bundle_files import read_bundle
from ledger.canonical import decode, decode_entry, encode, encode_entry
from ledger.checkpoint import author_only, open_note, origin, parse_checkpoint
from ledger.cosignature import add_cosignatures, cosignatures, raw, verify_cosignature
from ledger.entry import AnyEntry, Data, Snapshot
from ledger.errors import LocalError, RemoteError
from ledger.export import Header, make_header, read_model
from ledger.first_look import first_look
from ledger.fork import check_evidence, make_evidence
from ledger.note import parse_note, parse_verifier_key, print_note, verifier_key
from ledger.opening import make_shards, public_salt, verify_opening, verify_shard
from ledger.policy import DEFAULT_POLICY, Policy
from ledger.proof import make_proof, parse_proof, print_proof, verify_prefix, verify_proof
from ledger.provenance import Commitment, commit_records
from ledger.report import Anchors
from ledger.sketch import verify_sketch
from ledger.state_document import state_document
from ledger.state_opening import open_state
from ledger.tiles import decode_entries, encode_entries
from ledger.tlog_policy import final_policy, parse_policy, print_policy, satisfied
from tests.fold.bundles import contents_of, cosigned, entries_of, forged
from tests.fold.judging import judged_swarm
from tests.fold.stories import busy_swarm, governed_swarm, troubled_swarm
from tests.fold.toy import NOW, POLICY, Swarm, key_of
from tests.fuzz.target import Target, file, folder

OPENINGS: Final = Path(__file__).parents[1] / "vectors" / "openings.json"
STAMPS: Final = Path(__file__).parent / "stamps"
PARAMETERS: Final = 300
KINDS: Final = (b'"kind":"update"', b'"kind":"data"', b'"kind":"snapshot"', b'"kind":"member"')


# ------------------------------------------------------------------ what the seeds come from


@cache
def busy() -> Swarm:
    return busy_swarm(1, events=40)  # of this life two snapshots came


@cache
def forked() -> tuple[Swarm, bytes]:
    """A swarm, and the evidence that ann signed two histories."""
    swarm = Swarm(["ann", "bob"], witnesses=["founder", "bob"])
    ann, twin = swarm["ann"], swarm["ann"].twin()
    for peer, size in ((ann, 1.0), (twin, 2.0)):
        peer.publish(np.full(16, size))
    index = ann.replica.size(ann.id) - 1
    return swarm, make_evidence(ann.proven(ann.id, index, "ann"), twin.proven(twin.id, index, "ann"))


@cache
def entries() -> tuple[bytes, ...]:
    """One entry of each kind that these swarms have written."""
    found: dict[str, bytes] = {}
    for swarm in (busy(), governed_swarm(2, events=30), troubled_swarm(26, events=24), judged_swarm(1)):
        for _, _, data in swarm.everything():
            kind = type(decode_entry(data)).__name__
            if len(data) > len(found.get(kind, b"")):
                found[kind] = data
    return tuple(found.values())


@cache
def note() -> bytes:
    """A checkpoint of the founder's, cosigned by both witnesses."""
    swarm, _ = forked()
    return cosigned(swarm, swarm.founder_id, swarm.founder.replica.size(swarm.founder_id), ["founder", "bob"])


@cache
def vectors() -> list[dict[str, Any]]:
    return [row for row in json.loads(OPENINGS.read_text())["vectors"] if not row["wrong"]]


def _commitment(row: dict[str, Any]) -> Commitment:
    return Commitment(row["root"], row["records"], row["duplicates"], row["conflicts"])


# ------------------------------------------------------------------ entries and blobs


def _entry(data: bytes) -> AnyEntry:
    """One by one, and in a batch, which takes at least as much (it looks at no relations between fields)."""
    (batched,) = decode_batch([data])
    entry = decode_entry(data)
    assert not isinstance(batched, RemoteError), f"a batch refuses what is an entry: {batched}"
    assert encode_entry(entry) == data
    return entry


@cache
def _held() -> tuple[Swarm, ...]:
    return busy(), governed_swarm(2, events=30), judged_swarm(1)


def _placed(data: bytes) -> None:
    """What an entry says, where its author's next one stands: rightly chained and signed, with a whole past."""
    entry = decode_entry(data)
    for swarm in _held():
        replica = swarm.founder.replica
        for peer in (swarm.founder, next(peer for peer in swarm.peers.values() if peer is not swarm.founder)):
            try:
                stamped = encode_entry(replica.draft(peer.id).stamp(entry, NOW + 5))
            except LocalError:  # nothing that its author could have written
                continue
            try:
                replica.check(peer.id, stamped)
            except RemoteError:
                continue


def _followed(data: bytes) -> None:
    """An entry in the place of a real one, in a bundle that its author has signed so: a first look, then the audit."""
    swarm = busy()
    contents = contents_of(swarm)
    for name, peer in swarm.peers.items():
        held = entries_of(swarm.founder.replica, peer.id)
        found = [at for at, one in enumerate(held) if one[:40] == data[:40] or one[-40:] == data[-40:]]
        at = found[0] if found else len(held) - 1
        other = forged(swarm, contents, name, [*held[:at], data, *held[at + 1 :]])
        first_look(other, Anchors())
        audit(other, NumpyArithmetic(), Anchors())
        if found:
            return


def _delta(data: bytes) -> None:
    """The two readers of deltas, in plain Python and with arrays, must agree."""
    try:
        plain = deltas.decode(data, PARAMETERS)
    except RemoteError:
        try:
            NumpyArithmetic().decode(data, PARAMETERS)
        except RemoteError:
            raise
        raise AssertionError("arrays are made of what is no delta") from None
    quick = NumpyArithmetic().decode(data, PARAMETERS)
    assert NumpyArithmetic().norm(quick) == deltas.norm(plain)
    assert deltas.encode(plain) == data
    list(plain.terms())


def _deltas() -> list[bytes]:
    change = np.linspace(-0.5, 0.5, PARAMETERS)
    return [encode_update(change, density)[0] for density in (1.0, 0.3, 0.01)]


def _opening(data: bytes) -> None:
    """One of all that vectors show to be true: its first byte beyond the header says which, as the mutator likes it."""
    rows = [row for row in vectors() if row["as"] == "opening"]
    last: RemoteError | None = None
    for row in rows:
        try:
            verify_opening(data, _commitment(row), SWARM_OF_VECTORS, row["signature"], row["count"])
            return
        except RemoteError as error:
            last = error
    raise last or RemoteError("no vectors")


@cache
def _lent() -> tuple[Data, tuple[bytes, ...]]:
    """A data set, and its shards."""
    rows = [(b"page %d" % (number // 3), b"ad") for number in range(40)]
    leaves = bytearray()
    made = commit_records(rows, public_salt(SWARM_OF_VECTORS), keep=leaves.extend)
    data = Data(
        v=1, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="", root=made.root, records=made.records,
        labels={}, duplicates=made.duplicates, features="", zone="public", sources=[], conflicts=made.conflicts,
    )  # fmt: skip
    return data, make_shards(bytes(leaves), rows, SWARM_OF_VECTORS)


def _shard(data: bytes) -> None:
    """The one whose first record it begins with, if any."""
    entry, shards = _lent()
    number = next((number for number, shard in enumerate(shards) if shard[17:29] == data[17:29]), 3)
    verify_shard(data, entry, SWARM_OF_VECTORS, number)


SWARM_OF_VECTORS: Final = "2a" * 32


def _sketch(data: bytes) -> None:
    last: RemoteError | None = None
    for row in vectors():
        if row["as"] == "sketch":
            try:
                verify_sketch(data, _commitment(row))
                return
            except RemoteError as error:
                last = error
    raise last or RemoteError("no vectors")


def _evidence(data: bytes) -> None:
    swarm, _ = forked()
    ann = swarm["ann"]
    index = ann.replica.size(ann.id) - 1
    check_evidence(data, origin(swarm.swarm, ann.id), index, lambda size: [key_of("ann").public])


@cache
def _snapshot() -> tuple[bytes, Snapshot, bytes]:
    replica = busy().founder.replica
    log, seq, found = next(
        (log, seq, entry)
        for log, size in replica.heads().items()
        for seq in range(size)
        if isinstance(entry := replica.entry(log, seq), Snapshot)
    )
    return state_document(replica, log, seq, 64), found, replica.data(replica.founder, 0)


def _state(data: bytes) -> None:
    _, snapshot, genesis = _snapshot()
    open_state(data, genesis, POLICY.encode(), snapshot)


# ------------------------------------------------------------------ notes and proofs


def _note(data: bytes) -> None:
    signed = parse_note(data)
    assert print_note(signed) == data
    _, checkpoint = parse_checkpoint(data)
    swarm, _ = forked()
    parse_checkpoint(author_only(data))
    found = cosignatures(data)
    add_cosignatures(data, found)
    for signature in found:
        raw(signature)
        for name in ("founder", "bob"):
            try:
                verify_cosignature(checkpoint, signature, origin(swarm.swarm, swarm[name].id), key_of(name).public)
            except RemoteError:
                continue
    open_note(data, key_of("founder").public)


def _verifier_key(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert str(parse_verifier_key(text)) == text


def _keys() -> list[bytes]:
    name = origin("ab" * 32, "cd" * 32)
    return [verifier_key(name, key_of("ann").public, kind).encode() for kind in (1, 4)]


def _proof(data: bytes) -> None:
    proof = parse_proof(data)
    assert print_proof(proof) == data
    swarm, _ = forked()
    replica, log = swarm.founder.replica, swarm.founder_id
    name, public = origin(swarm.swarm, log), key_of("founder").public
    verify_prefix(proof, replica.tree(log), name, public)
    verify_proof(proof, replica.data(log, proof.index), name, public)


def _proofs() -> list[bytes]:
    swarm, _ = forked()
    log = swarm.founder_id
    last = swarm.founder.replica.size(log) - 1
    return [print_proof(make_proof(swarm.founder.replica.tree(log), last, note()))]


def _tlog_policy(data: bytes) -> None:
    policy = parse_policy(data)
    satisfied(policy, note())
    with suppress(LocalError):  # it is not in our spelling, and says so
        print_policy(policy)


def _tlog_policies() -> list[bytes]:
    swarm, _ = forked()
    seats = [(swarm[name].id, [key_of(name, number).public for number in range(2)]) for name in ("founder", "bob")]
    policy = final_policy(swarm.swarm, seats, [(swarm.founder_id, key_of("founder").public)])
    assert policy is not None
    return [print_policy(policy), b"# none\n\nquorum\tnone\n"]


def _policy(data: bytes) -> None:
    policy = Policy.from_blob(data)
    assert policy.text.encode() == data
    policy.judge({"opened.malformed": 3, "crossed.copied": 1})
    for entry in (decode_entry(found) for found in entries()):
        if entry.__class__.__name__ == "Data":
            policy.rule_on_data(entry)  # type: ignore[arg-type]


def _stamp(data: bytes) -> None:
    token = timestamp.open_response(data)
    stamp = timestamp.read_token(token)
    roots = timestamp.load_roots((STAMPS / "root.pem").read_bytes())
    timestamp.verify_token(token, b"a checkpoint\n", roots)
    assert stamp.imprint == sha256(b"a checkpoint\n").digest()


def _token(data: bytes) -> None:
    timestamp.read_token(data)
    timestamp.verify_token(data, b"a checkpoint\n", timestamp.load_roots((STAMPS / "root.pem").read_bytes()))


def _answers() -> list[bytes]:
    return [(STAMPS / "answer.der").read_bytes()]


# ------------------------------------------------------------------ bundles and exported models


@cache
def _bundle() -> Path:
    path = folder() / "bundle"
    write_bundle(path, contents_of(busy()))
    return path


def _manifest(data: bytes) -> None:
    """bundle.json over the files of a real bundle, which is then read through as far as it goes."""
    (_bundle() / "bundle.json").write_bytes(data)
    contents = read_bundle(_bundle())
    for log in contents.logs:
        list(log.entries())
    assert contents.inspect is not None
    list(contents.inspect())


def _manifests() -> list[bytes]:
    other = folder() / "other"
    if not other.exists():
        write_bundle(other, contents_of(busy()))
    return [(other / "bundle.json").read_bytes()]


def _audit(data: bytes) -> None:
    """One file of a bundle, whichever the first byte says; an audit reports, and never raises."""
    _manifests()
    whole = folder() / "other"
    files = sorted(path for path in whole.rglob("*") if path.is_file())
    chosen = files[data[0] % len(files)] if data else files[0]
    kept = chosen.read_bytes()
    try:
        chosen.write_bytes(data[1:])
        audit_path(whole, NumpyArithmetic(), Anchors())
    finally:
        chosen.write_bytes(kept)


def _audits() -> list[bytes]:
    _manifests()
    files = sorted(path for path in (folder() / "other").rglob("*") if path.is_file())
    return [bytes([number]) + path.read_bytes() for number, path in enumerate(files[:256])]


def _unzip(data: bytes) -> None:
    with unpacked(file(data, "packed.zip")) as found:
        assert all(path.is_relative_to(found) for path in found.rglob("*"))


def _untar(data: bytes) -> None:
    with unpacked(file(data, "packed.tar.gz")) as found:
        assert all(path.is_relative_to(found) for path in found.rglob("*"))


def _untar_inside(data: bytes) -> None:
    """The archive inside the gzip, whose checksum would refuse most changes."""
    _untar(gzip.compress(data, 1, mtime=0))


def _archives(kind: str) -> list[bytes]:
    held = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("bundle/bundle.json", _manifests()[0])
            packed.writestr("bundle/logs/a/checkpoint", note())
        return [held.getvalue()]
    with tarfile.TarFile(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in (("bundle/bundle.json", _manifests()[0]), ("bundle/logs/a/checkpoint", note())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    plain = held.getvalue()
    return [plain if kind == "tar" else gzip.compress(plain, mtime=0)]


def _model(data: bytes) -> None:
    read_model(file(data, "some.model"))


def _models() -> list[bytes]:
    replica = busy().founder.replica
    log, seq = next(
        (log, seq)
        for log, size in replica.heads().items()
        for seq in range(size)
        if isinstance(replica.entry(log, seq), Snapshot)
    )
    header = make_header(replica, log, seq, "ab" * 32)
    return [encode(header) + b"\n" + bytes(64)]


def _tile(data: bytes) -> None:
    assert encode_entries(found) == data if (found := decode_entries(data, 3)) else True


def _value(data: bytes) -> None:
    """Any canonical document; the header of a model has most kinds of fields."""
    decode(data, dict, limit=1 << 16, what="anything")
    decode(data, Header, limit=1 << 16, what="a header")


TARGETS: Final = (
    Target("entry", _entry, entries, ("ledger.canonical.decode_entry", "ledger.batch.decode_batch")),
    Target("placed", _placed, entries, ("ledger.canonical.decode_entry",), slow=True),
    Target(
        "followed", _followed,
        lambda: [max((data for _, _, data in busy().everything() if kind in data), key=len) for kind in KINDS],
        ("ledger.batch.decode_batch",), slow=True,
    ),
    Target("value", _value, lambda: [_models()[0].partition(b"\n")[0]], ("ledger.canonical.decode",)),
    Target(
        "delta", _delta, _deltas,
        ("ledger.delta.decode", "gossip.merging.arithmetic.NumpyArithmetic.decode"),
    ),
    Target(
        "opening", _opening, lambda: [bytes.fromhex(row["blob"]) for row in vectors() if row["as"] == "opening"],
        ("ledger.opening.verify_opening",),
    ),
    Target(
        "sketch", _sketch, lambda: [bytes.fromhex(row["blob"]) for row in vectors() if row["as"] == "sketch"],
        ("ledger.sketch.verify_sketch",),
    ),
    Target("evidence", _evidence, lambda: [forked()[1]], ("ledger.fork.check_evidence",)),
    Target("shard", _shard, lambda: list(_lent()[1]), ("ledger.opening.verify_shard",)),
    Target("state", _state, lambda: [_snapshot()[0]], ("ledger.state_opening.open_state",), slow=True),
    Target(
        "note", _note, lambda: [note()],
        ("ledger.note.parse_note", "ledger.checkpoint.open_note", "ledger.checkpoint.parse_checkpoint",
         "ledger.cosignature.verify_cosignature"),
        words=("— ".encode(), b"\n\n", b"gossip.invalid/"),
    ),
    Target("verifier-key", _verifier_key, _keys, ("ledger.note.parse_verifier_key",)),
    Target(
        "proof", _proof, _proofs,
        ("ledger.proof.parse_proof", "ledger.proof.verify_proof", "ledger.proof.verify_prefix"),
        words=(b"extra ", b"index ", b"\n\n"),
    ),
    Target(
        "tlog-policy", _tlog_policy, _tlog_policies, ("ledger.tlog_policy.parse_policy",),
        words=(b"group g any ", b"quorum ", b"witness ", b"log ", b"# ", b"\t", b"all"),
    ),
    Target(
        "policy", _policy, lambda: [POLICY.encode(), DEFAULT_POLICY.encode()],
        ("ledger.policy.Policy.from_blob", "ledger.policy.Policy.parse", "ledger.policy_text.read_policy"),
        words=(b"[data.records]\n", b'on_fail = "weight"\n', b"permille = 500\n", b"all_in = [", b"min = ", b"max = "),
    ),
    Target(
        "stamp", _stamp, _answers,
        ("ledger.timestamp.open_response", "ledger.timestamp.read_token", "ledger.timestamp.verify_token"), slow=True,
    ),
    Target(
        "token", _token, lambda: [timestamp.open_response(_answers()[0])], ("ledger.timestamp.read_token",), slow=True
    ),
    Target(
        "roots", lambda data: timestamp.load_roots(data), lambda: [(STAMPS / "root.pem").read_bytes()],
        ("ledger.timestamp.load_roots",), own=True,
    ),
    Target("tile", _tile, lambda: [encode_entries([b"one", b"two two", b"3" * 300])], ("ledger.tiles.decode_entries",)),
    Target(
        "manifest", _manifest, _manifests, ("ledger.bundle_files.read_bundle", "ledger.bundle_files.open_bundle"),
        slow=True,
    ),
    Target("audit", _audit, _audits, ("ledger.bundle_files.open_bundle",), slow=True),
    Target("zip", _unzip, lambda: _archives("zip"), ("ledger.archive.unpacked",), slow=True, own=True),
    Target("targz", _untar, lambda: _archives("tar.gz"), ("ledger.archive.unpacked",), slow=True, own=True),
    Target("tar", _untar_inside, lambda: _archives("tar"), ("ledger.archive.unpacked",), slow=True, own=True),
    Target("model", _model, _models, ("ledger.export.read_model",), own=True),
)  # fmt: skip
