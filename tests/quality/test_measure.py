"""Faults planted in a data set are counted, each as what it is, and the rest is counted as if they were not there."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from gossip.filterlists.requests import read_requests
from gossip.filterlists.split import is_held_out, site_of
from gossip.quality import measure as measuring
from gossip.quality.measure import MAX_FAULTS, measure
from ledger.errors import LocalError
from ledger.opening import public_salt
from ledger.provenance import commit_records
from ledger.sketch import make_sketch, overlap_permille, verify_sketch
from tests.quality.stories import LIST, NUMBERS, SPEC, requests, write


def test_a_sound_set_has_nothing_planted_in_it(tmp_path: Path) -> None:
    found = measure(SPEC, [write(tmp_path / "a.jsonl", requests(300))])
    assert found.rows == 300
    assert found.labels == {"ad": 100, "tracker": 100, "benign": 100}
    assert (found.repeats.all.duplicates, found.repeats.all.conflicts, found.repeats.near) == (0, 0, 0)
    assert (found.malformed, found.faults, found.sites, found.domains_exact) == (0, (), 40, True)
    assert found.domains == (("cdn.test", {"benign": 100, "ad": 100, "tracker": 100}),)


def test_each_planted_fault_is_counted_as_what_it_is(tmp_path: Path) -> None:
    rows = requests(300)
    planted = [
        *rows,
        *rows[:30],  # copies
        *({**row, "label": "benign" if row["label"] == "ad" else "ad"} for row in rows[:12]),  # contradictions
        *({**row, "url": f"{row['url']}?cb={number}"} for number, row in enumerate(rows[:20])),
        *({**row, "url": f"{row['url']}?cb=x{number}"} for number, row in enumerate(rows[:20])),  # nearly the former
        "{broken", {**rows[0], "type": "scrpt"}, {**rows[0], "label": "advert"}, "y" * 70_000,
    ]  # fmt: skip
    found = measure(SPEC, [write(tmp_path / "a.jsonl", planted)])
    assert found.rows == 382
    assert found.malformed == 4
    assert (found.repeats.all.duplicates, found.repeats.all.conflicts) == (30, 12)
    assert found.repeats.near == 20
    assert found.repeats.near_conflicts == 12
    assert [fault[fault.index("row") :].partition(" cannot")[0] for fault in found.faults] == [
        "row 383",
        "row 384",
        "row 385",
        "row 386",
    ]


def test_only_the_first_faults_are_named_and_all_are_counted(tmp_path: Path) -> None:
    found = measure(SPEC, [write(tmp_path / "a.jsonl", ["{bad"] * 500 + list(requests(3)))])
    assert (found.malformed, len(found.faults), found.rows) == (500, MAX_FAULTS, 3)


def test_a_file_cut_off_in_the_middle_is_named_and_what_was_read_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    whole = gzip.compress(
        "".join(json.dumps({**row, "n": i * 7919}) + "\n" for i, row in enumerate(requests(4_000))).encode()
    )
    path.write_bytes(whole[: len(whole) // 2])
    found = measure(SPEC, [path, write(tmp_path / "b.jsonl", requests(5, 9_000))])
    assert found.malformed == 1
    assert "cannot be read after row" in found.faults[0]
    assert found.rows > 500
    assert found.files[1].rows == 5


def test_counts_are_those_of_the_commitment_to_come(tmp_path: Path) -> None:
    """The very rows that training would commit to, with its counts, and the sketch that it would publish."""
    rows = requests(600)
    path = write(tmp_path / "a.jsonl", [*rows, *rows[:50], *({**row, "label": "tracker"} for row in rows[100:130])])
    salt = public_salt("ab" * 32)
    found = measure(SPEC, [path], salt=salt)
    trained = [row for row in read_requests(path) if not is_held_out(site_of(row.page), SPEC.validation_share)]
    leaves = bytearray()
    made = commit_records(((row.key, row.value) for row in trained), salt, keep=leaves.extend)
    counts = found.repeats.trained
    assert 0 < counts.rows < found.rows == 680
    assert (counts.rows, counts.duplicates, counts.conflicts) == (made.records, made.duplicates, made.conflicts)
    assert sum(found.trained_labels.values()) == counts.rows
    assert found.keys is not None
    published = verify_sketch(make_sketch(leaves), made)
    assert published.keys <= found.keys.keys
    assert overlap_permille(found.keys, published) == overlap_permille(published, found.keys) == 1000


def test_overlap_is_seen_by_sketch(tmp_path: Path) -> None:
    salt = public_salt("ab" * 32)
    mine = measure(SPEC, [write(tmp_path / "a.jsonl", requests(4_000))], salt=salt).keys
    half = measure(SPEC, [write(tmp_path / "b.jsonl", requests(4_000, 2_000))], salt=salt).keys
    other = measure(SPEC, [write(tmp_path / "c.jsonl", requests(4_000, 50_000))], salt=salt).keys
    assert mine is not None
    assert half is not None
    assert other is not None
    assert overlap_permille(mine, mine) == 1000
    assert 400 < overlap_permille(mine, half) < 600
    assert overlap_permille(mine, other) == 0


def test_filter_lists_are_told_by_how_they_begin_and_their_rules_counted(tmp_path: Path) -> None:
    path = tmp_path / "fields.txt"
    path.write_text(LIST)
    data = write(tmp_path / "rows.txt", requests(4))
    found = measure(SPEC, [path, data], licence="MPL-2.0")
    fields, rows = found.files
    assert (fields.kind, fields.rows, fields.source.name, fields.source.version) == ("list", 2, "Fields", "7")
    assert (fields.source.licence, rows.source.licence) == ("CC-BY-SA-4.0", "MPL-2.0")
    assert (rows.kind, rows.rows, found.rows) == ("requests", 4, 4)


def test_tables_of_numbers_are_counted_too(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("x,y,label\n1,2,setosa\n1,2,setosa\n1,2,iris\n3,4,iris\n")
    packed = tmp_path / "b.npz"
    np.savez(packed, x=np.array([[5.0, 6.0]]), y=np.array(["iris"]))
    found = measure(NUMBERS, [table, packed])
    assert found.labels == {"setosa": 2, "iris": 3}
    assert (found.repeats.all.duplicates, found.repeats.all.conflicts, found.repeats.near) == (1, 1, 0)


def test_bad_rows_of_a_table_are_named_and_the_reading_goes_on(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("x,y,label\n1,2,setosa\n1,zwei,iris\n1,2\n1,2,rose\n1,nan,iris\n3,4,iris\n")
    found = measure(NUMBERS, [table])
    assert (found.rows, found.malformed, found.labels) == (2, 4, {"setosa": 1, "iris": 1})
    for number, (fault, why) in enumerate(zip(found.faults, ("'zwei'", "2 fields", "'rose'", "'nan'"), strict=True)):
        assert f"row {number + 3} " in fault
        assert why in fault
    packed = tmp_path / "b.npz"
    np.savez(
        packed, x=np.array([[5.0, 6.0], [np.inf, 0.0], [7.0, 8.0], [9.0, 1.0]]), y=np.array(["iris"] * 3 + ["rose"])
    )
    found = measure(NUMBERS, [packed])
    assert (found.rows, found.malformed, found.labels) == (2, 2, {"iris": 2})


def test_files_that_the_model_does_not_take_are_named(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("x,label\n1,a\n")
    assert "the model takes labelled requests" in measure(SPEC, [table]).faults[0]
    found = measure(NUMBERS, [write(tmp_path / "a.jsonl", requests(3))])
    assert (found.rows, found.malformed) == (0, 3)
    with pytest.raises(LocalError, match="nothing to check"):
        measure(SPEC, [])
    with pytest.raises(LocalError, match=r"none\.jsonl: cannot be read"):
        measure(SPEC, [tmp_path / "none.jsonl"])


def test_names_are_counted_in_a_table_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MAX_COUNTED", 16)
    rows = [row for number, row in enumerate(requests(400)) for _ in range(20 if number == 0 else 1)]
    rows = [
        {**row, "url": row["url"].replace("cdn.", f"{row['url'][17:-3]}.")} if i > 19 else row
        for i, row in enumerate(rows)
    ]
    found = measure(SPEC, [write(tmp_path / "a.jsonl", rows)])
    assert not found.domains_exact
    assert found.sites <= 16
    assert found.rows == 419


def test_the_sample_is_spread_evenly_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MAX_SAMPLE", 64)
    rows = requests(2_000)
    found = measure(SPEC, [write(tmp_path / "a.jsonl", rows)])
    places = [next(i for i, row in enumerate(rows) if row["url"] == each.url) for each in found.sample]
    assert 16 < len(places) <= 64
    assert places == sorted(places)
    assert places[0] < 200
    assert places[-1] > 1_800
    assert not any(is_held_out(site_of(row.page), SPEC.validation_share) for row in found.sample)


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    paths = [write(tmp_path / "a.jsonl", requests(2_000)), write(tmp_path / "b.jsonl", requests(2_000, 5_000))]
    measure(SPEC, paths, progress=lambda done, total, name: heard.append((done, total)))
    size = sum(path.stat().st_size for path in paths)
    assert heard == sorted(heard)
    assert heard[-1] == (size, size)
    assert len(heard) > 4
