"""Public data from file to opening: committed to under the swarm's salt, kept as leaves, opened to who asks."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gossip.egress import Receiver, ZoneSetting
from gossip.filterlists.requests import file_digest, parse_record
from gossip.filterlists.split import is_held_out, site_of
from gossip.training.dataset import DataSet, open_own, read_data
from gossip.training.spec import ModelSpec
from ledger.entry import MAX_SKETCH_BYTES
from ledger.errors import LocalError
from ledger.opening import VerifiedOpening, challenge_text, overlap_permille, verify_opening, verify_sketch
from tests.training.test_data import FLOWERS, REQUESTS, SALT, requests, table

SWARM = "2a" * 32
BOB = Receiver("b0" * 32, "trainer")


def public(files: Sequence[Path], *opens: str) -> ZoneSetting:
    return ZoneSetting("public", opens, pins=tuple(map(file_digest, files)))


def read(files: Sequence[Path], spec: ModelSpec = REQUESTS, *opens: str, **more: Any) -> DataSet:
    leaves = files[0].with_name("leaves")
    return read_data(spec, files, None, salt=SALT, setting=public(files, *opens), swarm=SWARM, leaves=leaves, **more)


def opened(files: Sequence[Path], data: DataSet, spec: ModelSpec = REQUESTS, **other: Any) -> VerifiedOpening:
    """A challenge by Bob, answered and verified."""
    count = 59
    text = challenge_text(SWARM, BOB.peer, "da" * 32, count)
    signature = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).sign(text).hex()
    asked = {
        "setting": public(files), "swarm": SWARM, "leaves": files[0].with_name("leaves"),
        "root": data.commitment.root, "to": BOB, "signature": signature, "count": count,
    }  # fmt: skip
    blob = open_own(spec, files, None, **{**asked, **other})
    return verify_opening(blob, data.commitment, SWARM, signature, count)


def test_a_challenge_is_answered_with_records_of_the_files(tmp_path: Path) -> None:
    """Of those trained on only: what is held out was never committed to."""
    files = [requests(tmp_path / "a.jsonl", 600), requests(tmp_path / "b.jsonl", 90)]
    data = read(files)
    assert data.commitment.duplicates > 30  # all rows of b are in a
    found = opened(files, data)
    rows = [parse_record(record.key, record.value) for record in found.records]
    assert len(rows) == 59
    for row in rows:
        assert row is not None
        assert not is_held_out(site_of(row.page), REQUESTS.validation_share)
        number = int(re.findall(r"(\d+)\.js", row.url)[0])
        assert (row.label, row.third_party) == (("benign", "ad", "tracker")[number % 3], True)
    assert any(record.repeats for record in found.records)
    assert found.duplicates_permille < 200
    data.rows.close()


@pytest.mark.parametrize("name", ["t.csv", "t.npz"])
def test_rows_of_a_table_are_opened_as_they_are_in_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "t.csv":
        table(path, *((number, ("rose", "aster")[number % 2], number / 2) for number in range(100)))
    else:
        numbers = np.arange(100)
        np.savez(path, x=np.stack([numbers, numbers / 2], 1), y=np.array(["rose", "aster"])[numbers % 2])
    data = read([path], FLOWERS)
    records = opened([path], data, FLOWERS).records
    assert len(records) == 59
    for record in records:
        long, wide = np.frombuffer(record.key, "<f4")
        assert (wide, record.value) == (long / 2, (b"rose", b"aster")[int(long) % 2])
    assert data.suffixes == ""  # rows without hosts depend on no list
    data.rows.close()


def test_a_file_that_changed_since_is_not_opened(tmp_path: Path) -> None:
    files = [requests(tmp_path / "a.jsonl", 200)]
    data = read(files)
    setting = public(files)
    assert opened(files, data)
    text = files[0].read_text()
    files[0].write_text(text + text.splitlines()[0] + "\n")
    with pytest.raises(LocalError, match=r"not those that were made public: changed: a\.jsonl; look at them"):
        opened(files, data, setting=setting)
    # Said to be public as it is now: still not what was committed to.
    with pytest.raises(LocalError, match="no longer those that were committed to"):
        opened(files, data)
    files[0].write_text(text.replace('"ad"', '"tracker"'))
    with pytest.raises(LocalError, match="no longer those that were committed to"):
        opened(files, data)
    data.rows.close()


def test_nothing_is_committed_to_as_public_that_was_not_made_so(tmp_path: Path) -> None:
    files = [requests(tmp_path / "a.jsonl", 200)]
    setting = public(files)
    requests(tmp_path / "a.jsonl", 201)
    with pytest.raises(LocalError, match=r"not those that were made public: changed: a\.jsonl"):
        read_data(REQUESTS, files, None, salt=SALT, setting=setting, swarm=SWARM)
    with pytest.raises(LocalError, match="public data need a swarm"):
        read_data(REQUESTS, files, None, salt=SALT, setting=public(files))


def test_the_gate_is_asked(tmp_path: Path) -> None:
    files = [requests(tmp_path / "a.jsonl", 200)]
    data = read(files)
    for setting, to in (
        (ZoneSetting(pins=public(files).pins), BOB),
        (public(files, "auditor"), BOB),
        (public(files), Receiver(BOB.peer, "")),
    ):
        with pytest.raises(LocalError, match="no records are opened"):
            opened(files, data, setting=setting, to=to)
    assert opened(files, data, setting=public(files, BOB.peer))
    data.rows.close()


def test_leaves_of_something_else_are_not_opened(tmp_path: Path) -> None:
    """An opening that is false bans its author: a damaged disk must not make one."""
    files = [requests(tmp_path / "a.jsonl", 200)]
    data, leaves = read(files), tmp_path / "leaves"
    kept = leaves.read_bytes()
    assert len(kept) == 64 * data.commitment.records
    damaged = bytearray(kept)
    damaged[77] ^= 1
    for broken in (bytes(damaged), kept[:-64], b"", kept[:-1]):
        leaves.write_bytes(broken)
        with pytest.raises(LocalError):
            opened(files, data)
    leaves.unlink()
    with pytest.raises(LocalError, match="leaves of the commitment cannot be read"):
        opened(files, data)
    leaves.write_bytes(kept)
    with pytest.raises(LocalError):
        opened(files, data, root="ab" * 32)
    assert opened(files, data)
    data.rows.close()


def test_zones_differ_in_salt_sketch_and_leaves(tmp_path: Path) -> None:
    files = [requests(tmp_path / "a.jsonl", 2_000)]
    for_all, for_some = read(files), read(files, REQUESTS, "auditor")
    private = read_data(REQUESTS, files, None, salt=SALT, swarm=SWARM, leaves=tmp_path / "none")
    assert for_all.commitment == for_some.commitment
    assert private.commitment.root != for_all.commitment.root
    assert private.commitment.records == for_all.commitment.records
    assert (for_some.sketch, private.sketch) == (b"", b"")
    assert not (tmp_path / "none").exists()
    assert 256 * 64 < len(for_all.sketch) <= MAX_SKETCH_BYTES
    assert len(verify_sketch(for_all.sketch, for_all.commitment).keys) == 256
    assert (tmp_path / "leaves").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "leaves"]
    for data in (for_all, for_some, private):
        data.rows.close()


def test_two_peers_see_what_they_have_in_common(tmp_path: Path) -> None:
    """Whatever their own salts are."""
    mine = [requests(tmp_path / "a.jsonl", 3_000)]
    theirs = [requests(tmp_path / "b.jsonl", 1_500)]
    data = [
        read_data(REQUESTS, files, None, salt=salt, setting=public(files), swarm=SWARM)
        for files, salt in ((mine, SALT), (theirs, SALT[::-1]))
    ]
    a, b = (verify_sketch(each.sketch, each.commitment) for each in data)
    assert overlap_permille(b, a) == 1000
    assert 380 < overlap_permille(a, b) < 620
    elsewhere = read_data(REQUESTS, mine, None, salt=SALT, setting=public(mine), swarm="2b" * 32)
    assert overlap_permille(verify_sketch(elsewhere.sketch, elsewhere.commitment), a) == 0
    for each in (*data, elsewhere):
        each.rows.close()


def test_contradictions_are_counted_apart_from_copies(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"page": "https://s1.com/", "url": "https://a.net/x.js", "type": "script", "third_party": True}
    said = ["ad", "ad", "tracker", "ad", "benign", "tracker"]
    path.write_text("".join(json.dumps({**row, "label": label}) + "\n" for label in said))
    data = read_data(REQUESTS, [path], requests(tmp_path / "v.jsonl", 9), salt=SALT)
    assert (data.commitment.records, data.commitment.duplicates, data.commitment.conflicts) == (6, 3, 2)
    data.rows.close()


def test_who_made_it_and_by_which_list_is_said(tmp_path: Path) -> None:
    data = read([requests(tmp_path / "a.jsonl", 90)])
    assert re.fullmatch(r"gossip(/[0-9.]+\S*)?", data.generator)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d_\S+", data.suffixes)
    assert [source.sha256 for source in data.sources] == [sha256((tmp_path / "a.jsonl").read_bytes()).hexdigest()]
    data.rows.close()


@pytest.mark.parametrize("kind", ["jsonl", "csv", "npz"])
def test_progress_rises_to_the_whole(tmp_path: Path, kind: str) -> None:
    names = [tmp_path / f"{name}.{kind}" for name in "ab"]
    spec = REQUESTS if kind == "jsonl" else FLOWERS
    for path in names:
        if kind == "jsonl":
            requests(path, 10_000)
        elif kind == "csv":
            table(path, *((number, "rose", 2) for number in range(10_000)))
        else:
            np.savez(path, x=np.ones((10_000, 2)), y=np.array(["rose"] * 10_000))
    heard: list[tuple[int, int, int]] = []
    data = read(names, spec, progress=lambda rows, done, of: heard.append((rows, done, of)))
    assert heard == sorted(heard)
    assert len(heard) >= 6
    total = sum(path.stat().st_size for path in names)
    assert heard[-1] == (20_000, total, total)
    assert heard[0][1] < total / 2
    data.rows.close()
