"""Files of the user's own, and what the owner's programs say to the node: any GossipError will do, nothing else."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import sqlite3
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, Final

import numpy as np

from cli.model import read_declaration
from cli.policy import read_policy
from gossip import backup, directory, judgements, model_file, releases, zones
from gossip.config import PeerConfig
from gossip.events import DataReady, Drain, Event, Found, Judged, LinkUp, Received, Relabelled, Started, Timer, Trained
from gossip.filterlists.engine import engine_of, is_installed
from gossip.filterlists.headers import is_list, read_header, require_list, source_of
from gossip.filterlists.judging import Said, Skip, Undo, judgement_of, rows_for
from gossip.filterlists.requests import parse_record, scan_requests
from gossip.filterlists.sighting import Sighting
from gossip.model_file import is_model_file, read_model_file
from gossip.peer_ids import peer_id_of
from gossip.recording.records import MAGIC as RECORDING
from gossip.recording.records import (
    BlobSought,
    CheckpointSought,
    CosignedSought,
    End,
    Head,
    ModelPartSought,
    ModelSought,
    Record,
    Step,
    VoteSought,
    WitnessedSought,
    decode_event,
    decode_record,
    encode_event,
    encode_record,
    read_records,
)
from gossip.scorers import load_scorer
from gossip.sim.scenario_file import load_scenario
from gossip.training import budget, protocol, session
from gossip.training.spec import BUILTIN, ModelSpec
from gossip.training.tables import read_table
from gossip.transport import control
from gossip.transport.multiaddresses import Multiaddress
from gossip.transport.tickets import Ticket, split_address
from gossip.transport.words import read as read_words
from gossip.transport.words import say
from ledger.canonical import encode
from ledger.entry import FORMAT_VERSION, Data, Measured, Scores
from ledger.errors import LocalError
from ledger.kept import StoredCheckpoint, StoredVote
from ledger.keys import PrivateKey
from ledger.mark import SignedMark, WitnessMark
from ledger.store import Store
from tests.fuzz.of_network import KEY, SWARM
from tests.fuzz.target import Target, file, folder

ROW: Final = (
    b'{"page":"https://news.example/","url":"https://ads.example/x.js","type":"script","label":"ad","third_party":true}\n'
    b'{"page":"https://a.example/","url":"wss://\xc3\xbc.example:8443/s?q=1","type":"xhr","label":"benign","group":"g"}\n'
)
LIST: Final = b"""[Adblock Plus 2.0]
! Title: EasyList
! Version: 202608130520
! Last modified: 13 Aug 2026 05:20 UTC
! Licence: https://easylist.to/pages/licence.html
! Homepage: https://easylist.to/
!#if env_firefox
||ads.example^$script,third-party
!#else
/banner/*$domain=~a.example
!#endif
##.ad
"""
TABLE: Final = {
    "model": 1, "features": {"kind": "numbers/1", "columns": 2, "label": "label"}, "classes": ["a", "b"],
    "layers": [{"kind": "dense", "units": 2}], "loss": "softmax", "optimiser": {"kind": "sgd", "rate": 0.1},
    "batch": 4, "local_steps": 2, "metrics": ["f1"],
}  # fmt: skip


# ------------------------------------------------------------------ data and declarations


def _requests(data: bytes) -> None:
    for row in scan_requests(file(data, "rows.jsonl")):
        if isinstance(row, LocalError):
            raise row
        _ = row.party, row.key, row.value


def _requests_packed(data: bytes) -> None:
    """What is inside the gzip."""
    _requests(gzip.compress(data, 1, mtime=0))


def _header(data: bytes) -> None:
    path = file(data, "list.txt")
    is_list(path)
    found = read_header(path)
    if found.modified:
        date.fromisoformat(found.modified)
    source_of(path)
    require_list(path)


def _rules(data: bytes) -> None:
    if is_installed():
        engine_of([("ad", file(data, "rules.txt"))]).label("https://a.example/", "https://ads.example/x.js", "script")


@cache
def _numbers() -> ModelSpec:
    return ModelSpec.parse(json.dumps(TABLE))


def _table(name: str, data: bytes) -> None:
    faults: list[LocalError] = []
    for rows in read_table(file(data, name), _numbers(), fault=faults.append):
        assert np.isfinite(rows.inputs).all()
        assert len(rows.inputs) == len(rows.labels)
    if faults:
        raise faults[0]


def _arrays() -> list[bytes]:
    held, plain = io.BytesIO(), io.BytesIO()
    values = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.savez(plain, x=values, y=np.array(["a", "b", "a", "b"]))
    np.savez_compressed(held, x=values.astype(np.int16), y=np.array([b"a", b"b", b"a", b"b"]))
    return [plain.getvalue(), held.getvalue()]


def _declaration(data: bytes) -> None:
    path = file(data, "model.json")
    text, _ = read_declaration(path, None)
    spec = ModelSpec.parse(text)
    assert ModelSpec.parse(spec.text) == spec
    _ = spec.parameters, spec.negative_class, spec.norm0


def _scorer_file(data: bytes) -> None:
    """What is read can be scored with, and says what it is in one spelling."""
    path = file(data, "some.gossip")
    scorer = load_scorer(path, None)
    scorer.score([Sighting("https://ads.example/x.js", "https://a.example/", "script")])
    if is_model_file(path):
        assert data.startswith(model_file.header_bytes(read_model_file(path)))


def _scorer_files() -> list[bytes]:
    from tests.advisor import models

    path = folder() / "made.gossip"
    path.unlink(missing_ok=True)
    return [models.model_file(path).read_bytes()]


def _scenario(data: bytes) -> None:
    load_scenario(file(data, "scenario.toml"))


def _scenarios() -> list[bytes]:
    return [
        b'about = "half"\npeers = 6\nseconds = 20\nloss = 0.1\n\n[[cut]]\nshare = 0.5\nat = 5\nuntil = 10\n',
        b"[[crash]]\npeers = [1, 2]\nat = 3\n\n[[disk_full]]\npeers = [1]\nat = 2\nuntil = 4\n",
        b"[[slow]]\npeers = [1]\nfactor = 5\n\n[[late]]\nshare = 0.25\nat = 7\n",
    ]


def _policy_file(data: bytes) -> None:
    from cli.policy import _other_faults

    path = file(data, "policy.toml")
    try:
        read_policy(path)
    except LocalError:
        _other_faults(path)
        raise


# ------------------------------------------------------------------ what a peer keeps of its own


def _key(data: bytes) -> None:
    PrivateKey.load(file(data, "key"))


def _key_text() -> list[bytes]:
    path = folder() / "made.key"
    path.unlink(missing_ok=True)
    KEY.save(path)
    return [path.read_bytes()]


def _mark(data: bytes) -> None:
    SignedMark(file(data, "signed")).read()


def _witness_mark(data: bytes) -> None:
    mark = WitnessMark(file(data, "witnessed"))
    mark.vote()
    for log in list(mark._kept.logs):
        mark.witnessed(log)


def _zones(data: bytes) -> None:
    path = file(data, "peer/zones")
    for entry in zones.public_files(path.parent):
        _ = entry.state
    zones.setting(path.parent, [path])


def _zones_text() -> list[bytes]:
    entry = {"opens": ["auditor"], "path": "/nowhere/requests.jsonl", "sha256": "5d" * 32}
    return [encode({"files": [entry], "format": zones.FORMAT})]


def _judgements(data: bytes) -> None:
    path = file(data, "peer/judgements.jsonl")
    said = judgements.read_said(path.parent)
    standing = judgements.read_standing(path)
    for one in standing.judgements:
        assert standing.find(one.url) is not None
        for row in rows_for(one):
            parse_record(row.key, row.value)
    for number, one in enumerate(said):
        assert judgements.read_line(path, number, encode(one)) == one


def _judged_lines() -> list[bytes]:
    said: tuple[Said, ...] = (
        judgement_of("metrics.example", "tracker", note="why", time=1), Undo(time=2),
        judgement_of("https://cdn.test:8443/x.js?v=1#top", "benign", page="https://news.test/", kind="xhr", time=3),
        Skip(covers="url", target="cdn.test/x", time=4),
    )  # fmt: skip
    return [b"".join(encode(one) + b"\n" for one in said), encode(said[0]) + b'\n{"do":"und']


def _releases(data: bytes) -> None:
    kept = releases.read_index(data)
    assert encode(kept) == data.removesuffix(b"\n")


def _released() -> list[bytes]:
    one = releases.Release(
        name="2026-q1", log="77" * 32, seq=87, model_hash="5d" * 32, sha256="9f" * 32, updates=212, time=1_767_225_600
    )
    return [encode(releases.Index(in_use="2026-q1", releases=[one])) + b"\n", encode(releases.Index())]


def _backup(data: bytes) -> None:
    """What is in a backup once it is unlocked; the lock itself lets nothing through that was changed."""
    backup.opened(data)


@cache
def _backups() -> list[bytes]:
    from gossip.setup import create_swarm

    place = folder() / "founder"
    if not place.exists():
        text, task = read_declaration(None, None)
        create_swarm(place, name="fuzzed", task=task, model_text=text, peer_name="anna", seed=1)
    return [backup.make(place, None, ("127.0.0.1:4100",))]


def _account(data: bytes) -> None:
    path = file(data, "account")
    budget.promised_in(path)


def _accounts() -> list[bytes]:
    return [b'{"delta":100000,"epsilon":3000,"format":"' + budget.FORMAT.encode() + b'","spent":[[4000,900000,64]]}']


def _kept(data: bytes) -> None:
    session._kept(file(data, "kept.npz"), _numbers())


def _kept_arrays() -> list[bytes]:
    held = io.BytesIO()
    weights = np.zeros(_numbers().parameters, np.float32)
    np.savez(held, alone=weights, residual=weights, rounds=3, noisy=False)
    return [held.getvalue()]


def _lock(data: bytes) -> None:
    directory.running_pid(file(data, "peer/lock").parent)


def _store(data: bytes) -> None:
    """A store whose bytes have changed, as the commands that read one go through it."""
    path = file(data, "store.db")
    with Store.open_readonly(path) as store:
        for name in ("swarm", "founder", "self", "name"):
            store.find_meta(name)
        for log in store.logs():
            list(store.entries(log))
            store.checkpoint(log)
            store.cosigned(log)


@cache
def _stores() -> list[bytes]:
    _backups()
    from gossip.directory import store_path

    link = sqlite3.connect(store_path(folder() / "founder"))
    link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    link.execute("PRAGMA journal_mode=DELETE")
    link.close()
    return [store_path(folder() / "founder").read_bytes()]


# ------------------------------------------------------------------ what is typed, pasted or sent by programs of ours


def _ticket(data: bytes) -> None:
    ticket = Ticket.parse(data.decode("utf-8", "replace"), now=5.0)
    ticket.endpoints()
    assert len(ticket.endpoints()) + len(ticket.bootstraps()) + len(ticket.relays()) == len(ticket.addresses)
    assert all(Multiaddress.parse(text).text == text for text in (*ticket.bootstraps(), *ticket.relays()))


def _multiaddress(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    found = Multiaddress.parse(text)
    assert found.text == text
    assert Multiaddress.parse(found.node).circuit == found.circuit


def _signed_ticket(data: bytes) -> None:
    """Whatever is in it, its inviter has signed it."""
    from base64 import urlsafe_b64encode
    from dataclasses import replace

    from gossip.transport import tickets

    try:
        bare = Ticket._from_bytes(data + bytes(64))
    except (IndexError, UnicodeDecodeError):  # as Ticket.parse does
        raise LocalError("no ticket") from None
    whole = data + KEY.sign(replace(bare, signature=bytes(64))._transcript())
    prefix = tickets.PREFIX if data[0] == 2 else tickets.WIDE_PREFIX
    _ticket((prefix + urlsafe_b64encode(whole).decode().rstrip("=")).encode())


def _unsigned() -> list[bytes]:
    from base64 import urlsafe_b64decode

    bodies = [ticket.text[len("gossip2-") :] for ticket in (_invite(), _wide_invite())]
    return [urlsafe_b64decode(body + "=" * (-len(body) % 4))[:-64] for body in bodies]


def _invite() -> Ticket:
    return Ticket(
        swarm=SWARM, founder="66" * 32, key=KEY.public, addresses=("127.0.0.1:4100", "gossip.example:1"),
        secret=bytes(16), role="trainer", uses=3, expires=1 << 40,
    ).signed(KEY)  # fmt: skip


def _wide_invite() -> Ticket:
    node = "/dns4/boot.example.org/tcp/4001/p2p/QmachM8DDVoj4HfSH9irLcyypBog7nP7MPwcJ6X43y88hL"
    relay = f"/ip4/203.0.113.7/tcp/4001/p2p/{peer_id_of(KEY.public)}/p2p-circuit"
    return Ticket(
        swarm=SWARM, founder="66" * 32, key=KEY.public, addresses=("127.0.0.1:4100", node, relay), secret=bytes(16),
        role="trainer", uses=3, expires=1 << 40, rendezvous=bytes(range(32)),
    ).signed(KEY)  # fmt: skip


def _words(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    assert say(read_words(text)) == text.lower()


def _address(data: bytes) -> None:
    split_address(data.decode("utf-8", "replace"))


def _request(data: bytes) -> None:
    """One line at the control socket, and what the node's own commands make of its fields."""

    async def asked() -> dict[str, Any]:
        reader = asyncio.StreamReader(limit=control.MAX_REQUEST_BYTES)
        reader.feed_data(data.replace(b"\n", b" ") + b"\n")
        reader.feed_eof()
        return await control._reply(reader, _anything)

    answer = asyncio.run(asked())
    json.dumps(answer).encode()
    if not answer["ok"]:
        raise LocalError(str(answer["error"]))


async def _anything(command: str, request: Mapping[str, Any]) -> dict[str, Any]:
    from gossip.node.anchoring import _decoded

    _decoded(request.get("token"))
    return {"command": command[:40]}


def _pipe(data: bytes) -> None:
    """A header and a payload between the node and its training process."""
    size = protocol.header_length(data[:4])
    header, payload = data[4 : 4 + size], data[4 + size :]
    for read in (protocol.read_request, protocol.read_answer):
        try:
            read(header)
        except Exception as error:
            if read is protocol.read_answer:
                raise
            last = error
            assert last is not None
    protocol.unpacked(payload)


def _pipes() -> list[bytes]:
    return [protocol.frame(protocol.Progress(state="compiling")) + protocol.packed([(b"key", b"value")])]


# ------------------------------------------------------------------ recordings


def _record(data: bytes) -> None:
    record = decode_record(data)
    assert encode_record(record)[4:] == data
    if isinstance(record, Step):
        event = decode_event(record)
        assert encode_event(event) == (record.kind, record.event)


def _recording(data: bytes) -> None:
    *rest, last = read_records(io.BytesIO(data))
    assert isinstance(last, End)
    assert isinstance(rest[0], Head)
    times = [step.now for step in rest[1:] if isinstance(step, Step)]
    assert times == sorted(times)


@cache
def _recorded() -> tuple[bytes, ...]:
    """Each kind of record, and steps with each kind of thing that is looked up."""
    head = Head("5d" * 32, "77" * 32, "9f" * 32, bytes(32), 7, (3, "c0" * 32), PeerConfig(known=(bytes(32),)), 2,
                "ab" * 32, (BlobSought("5d" * 32, True),))  # fmt: skip
    looked_up = (
        CheckpointSought("77" * 32, StoredCheckpoint(3, b"note", 2, (bytes(32),))), WitnessedSought("77" * 32, None),
        VoteSought(StoredVote("77" * 32, 3, "c0" * 32)), CosignedSought("77" * 32, (3, b"note")),
        ModelSought("5d" * 32), ModelPartSought(0, 9, b"123456789"),
    )  # fmt: skip
    data = Data(
        v=FORMAT_VERSION, swarm="5d" * 32, seq=1, prev="5d" * 32, time=1, meets=[], seen=[], heads="5d" * 32,
        root="5d" * 32, records=8, labels={"no": 4, "yes": 4}, duplicates=0, features="f/1", zone="private", sources=[],
    )  # fmt: skip
    events: tuple[Event, ...] = (
        Started(), Found("a.example", 80, None), LinkUp(1, bytes(32), True, address=("a.example", 80)),
        Received(1, b"\x01\x01" + bytes(32)), DataReady(data, 1.5), Judged(3, (Measured(
            on="holdout", given=Scores(examples=9, tp=1, fp=2, fn=3), without=Scores(examples=9, tp=1, fp=2, fn=3)),)),
        Trained(1, b"delta", 3, 9, Scores(examples=9, tp=1, fp=2, fn=3), 0.5), Timer("links"), Relabelled(), Drain(),
    )  # fmt: skip
    steps = [
        Step(1e9 + number, *encode_event(event), looked_up if number == 3 else (), ("Send", "Note"), bytes(16), "")
        for number, event in enumerate(events)
    ]
    records: tuple[Record, ...] = (head, *steps, End("the node stopped"))
    return tuple(map(encode_record, records))


TARGETS: Final = (
    Target(
        "scorer-file", _scorer_file, _scorer_files,
        ("gossip.model_file.read_model_file", "gossip.scorers.load_scorer"), own=True, slow=True,
    ),
    Target(
        "recording-step", _record, lambda: [record[4:] for record in _recorded()],
        ("gossip.recording.records.decode_record", "gossip.recording.records.decode_event"),
        words=(b"\xa7NewKey", b"\xdd\xff\xff\xff\xff", b"\xc6\x7f\xff\xff\xff", b"\x91" * 60), own=True,
    ),
    Target(
        "recording", _recording, lambda: [RECORDING + b"".join(_recorded()), RECORDING + b"".join(_recorded()[:3])],
        ("gossip.recording.records.read_records",), words=(b"\xff\xff\xff\x7f",), own=True,
    ),
    Target(
        "requests", _requests, lambda: [ROW, gzip.compress(ROW, mtime=0)],
        ("gossip.filterlists.requests.scan_requests", "gossip.filterlists.requests.read_requests",
         "gossip.filterlists.requests.opened"),
        words=(b"\xff\xfe", b"\xef\xbb\xbf", b"http://[", b"\\ud800"), own=True, slow=True,
    ),
    Target(
        "requests-packed", _requests_packed, lambda: [ROW], ("gossip.filterlists.requests.opened",), own=True, slow=True
    ),
    Target(
        "list", _header, lambda: [LIST, gzip.compress(LIST, mtime=0)], ("gossip.filterlists.headers.read_header",),
        words=(b"! Title: ", b"! Version: ", b"0000-00-00", b"99 Feb 99999"), own=True, slow=True,
    ),
    Target("rules", _rules, lambda: [LIST], ("gossip.filterlists.engine.engine_of",), own=True, slow=True),
    Target(
        "csv", lambda data: _table("rows.csv", data), lambda: [b"u,label,v\n1,a,2\n3.5,b,-1e3\n"],
        ("gossip.training.tables.read_table",), words=(b'"', b"nan", b"1e39", b"\r", b"label"), own=True, slow=True,
    ),
    Target(
        "npz", lambda data: _table("rows.npz", data), _arrays, ("gossip.training.tables.read_table",), own=True,
        slow=True, words=(b"\x93NUMPY\x02\x00", b"'descr': '|O'", b"PK\x01\x02", b"(999999999999,)"),
    ),
    Target(
        "declaration", _declaration,
        lambda: [*(text.encode() for text in BUILTIN.values()), json.dumps(TABLE).encode()],
        ("gossip.training.spec.ModelSpec.parse", "cli.model.read_declaration"), own=True, slow=True,
    ),
    Target(
        "policy-file", _policy_file, lambda: [b"policy = 1\n\n[data.records]\nmin = 3\n\n[update.steps]\nmax = 9\n"],
        ("cli.policy.read_policy",), words=(b"[data.zzz]\n", b"max = ", b"\r\n", b"\xef\xbb\xbf"), own=True, slow=True,
    ),
    Target(
        "scenario", _scenario, _scenarios, ("gossip.sim.scenario_file.load_scenario",), own=True, slow=True,
        words=(b"nan", b"1e400", b"[[twin]]\n", b"share = ", b"\xff", b"peers = [", b"\r"),
    ),
    Target("key", _key, _key_text, ("ledger.keys.PrivateKey.load",), own=True, slow=True),
    Target(
        "mark", _mark, lambda: [encode({"root": "5d" * 32, "size": 12})], ("ledger.mark.SignedMark.read",), own=True,
        slow=True,
    ),
    Target(
        "witness-mark", _witness_mark,
        lambda: [encode({"logs": {"77" * 32: [30, "c0" * 32]}, "vote": ["77" * 32, 33, "9f" * 32]})],
        ("ledger.mark.WitnessMark",), own=True, slow=True,
    ),
    Target("zones", _zones, _zones_text, ("gossip.zones.public_files",), own=True, slow=True),
    Target(
        "judgements", _judgements, _judged_lines,
        ("gossip.judgements.read_said", "gossip.judgements.read_standing", "gossip.judgements.read_line"), own=True,
        slow=True,
    ),
    Target("releases", _releases, _released, ("gossip.releases.read_index",)),
    Target("backup", _backup, _backups, ("gossip.backup.read", "gossip.backup.opened"), own=True, slow=True),
    Target("account", _account, _accounts, ("gossip.training.budget.promised_in",), own=True, slow=True),
    Target("kept", _kept, _kept_arrays, ("gossip.training.session",), own=True, slow=True),
    Target("lock", _lock, lambda: [b"4711\n", b""], ("gossip.directory.running_pid",), own=True, slow=True),
    Target("store", _store, _stores, ("ledger.database.Database.open_readonly",), own=True, slow=True, limit=1 << 20),
    Target("ticket", _ticket, lambda: [_invite().text.encode(), _wide_invite().text.encode()],
           ("gossip.transport.tickets.Ticket.parse",), own=True),
    Target("ticket-signed", _signed_ticket, _unsigned, ("gossip.transport.tickets.Ticket.parse",), own=True, slow=True),
    Target("multiaddress", _multiaddress, lambda: [text.encode() for text in _wide_invite().addresses[1:]],
           ("gossip.transport.multiaddresses.Multiaddress.parse",), own=True,
           words=(b"/ip6/2001:db8::1", b"/dns4/", b"/udp/4001/quic-v1", b"/p2p-circuit", b"/ws", b"/p2p/Qm")),
    Target("address", _address, lambda: [b"192.168.1.7:4100"], ("gossip.transport.tickets.split_address",), own=True),
    Target("words", _words, lambda: [say(bytes(range(4))).encode()], ("gossip.transport.words.read",), own=True),
    Target("control", _request, lambda: [b'{"command":"status"}', b'{"command":"anchor","size":3,"token":"AAAA"}'],
           ("gossip.transport.control",), own=True, slow=True),
    Target("pipe", _pipe, _pipes,
           ("gossip.training.protocol.read_request", "gossip.training.protocol.read_answer",
            "gossip.training.protocol.unpacked"), own=True),
)  # fmt: skip
