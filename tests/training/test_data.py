"""From files to rows: what is held out, what is counted, what is refused, and by which words."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gossip.filterlists.split import is_held_out, site_of
from gossip.training import dataset
from gossip.training.dataset import read_data
from gossip.training.spec import FILTERLIST, ModelSpec
from gossip.training.tables import read_table
from gossip.training.task import Examples, Task, chunks_of
from ledger.errors import LocalError
from tests.training import small
from tests.training.test_spec import OWN, changed

SALT = bytes(range(32))
REQUESTS = ModelSpec.parse(FILTERLIST)
FLOWERS = ModelSpec.parse(
    changed(
        OWN, features={"kind": "numbers/1", "columns": 2, "label": "kind", "scale": 2.0, "shift": 1.0},
        classes=["rose", "aster"], layers=[{"kind": "dense", "units": 2}], validation_share=0.0,
    )
)  # fmt: skip


def requests(path: Path, count: int, sites: int = 40) -> Path:
    with path.open("w") as file:
        for i in range(count):
            row = {"page": f"https://s{i % sites}.com/", "url": f"https://a{i}.net/{i}.js", "type": "script"}
            file.write(json.dumps({**row, "label": ("benign", "ad", "tracker")[i % 3], "third_party": True}) + "\n")
    return path


def table(path: Path, *rows: object, header: tuple[str, ...] = ("long", "kind", "wide")) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])  # type: ignore[arg-type]
    return path


# ------------------------------------------------------------------ requests


def test_sites_held_out_are_not_trained_on_and_the_counts_are_of_what_is(tmp_path: Path) -> None:
    path = requests(tmp_path / "a.jsonl", 600)
    data = read_data(REQUESTS, [path], None, salt=SALT)
    out = sum(is_held_out(site_of(f"https://s{i % 40}.com/"), 0.25) for i in range(600))
    assert 0 < out < 300
    assert data.held_out is not None
    assert len(data.held_out) == out
    assert len(data.rows) == data.commitment.records == sum(data.labels.values()) == 600 - out
    assert [source.name for source in data.sources] == ["a.jsonl"]
    data.rows.close()


def test_what_the_owner_says_of_the_licence_is_said_of_every_file(tmp_path: Path) -> None:
    files = [requests(tmp_path / name, 90) for name in ("a.jsonl", "b.jsonl")]
    data = read_data(REQUESTS, files, None, salt=SALT, licence="CC-BY-4.0")
    assert [(source.name, source.licence) for source in data.sources] == [(f.name, "CC-BY-4.0") for f in files]
    data.rows.close()
    with pytest.raises(LocalError, match="this cannot be a licence's name"):
        read_data(REQUESTS, files, None, salt=SALT, licence="as is, no warranty")


def test_with_a_validation_file_everything_is_trained_on(tmp_path: Path) -> None:
    a, b = requests(tmp_path / "a.jsonl", 300), requests(tmp_path / "b.jsonl", 90)
    data = read_data(REQUESTS, [a, a], b, salt=SALT)
    assert data.held_out is not None
    assert (len(data.rows), len(data.held_out)) == (600, 90)
    assert data.commitment.duplicates == 300
    data.rows.close()


def test_the_commitment_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    a = requests(tmp_path / "a.jsonl", 200)
    b = tmp_path / "b.jsonl"
    b.write_text("".join(sorted(a.read_text().splitlines(keepends=True), reverse=True)))
    given = ((a, SALT), (b, SALT), (a, SALT[::-1]))
    first, second, other = (read_data(REQUESTS, [path], a, salt=salt) for path, salt in given)
    assert first.commitment == second.commitment
    assert first.commitment.root != other.commitment.root
    for data in (first, second, other):
        data.rows.close()


def test_a_long_file_to_be_judged_by_is_thinned_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MAX_JUDGED_ROWS", 1_000)
    few = requests(tmp_path / "few.jsonl", 30)
    many = requests(tmp_path / "many.jsonl", 21_000)
    data = read_data(REQUESTS, [few], many, salt=SALT)
    assert data.held_out is not None
    assert 300 < len(data.held_out) <= 1_000
    labels = np.bincount(data.held_out.labels)
    assert labels.min() > 0.2 * labels.sum()
    data.rows.close()


def test_marked_rows_are_found_again(tmp_path: Path) -> None:
    path = requests(tmp_path / "a.jsonl", 30)
    marked = tmp_path / "b.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for row in lines[1::2]:
        row["group"] = "odd"
    marked.write_text("".join(json.dumps(row) + "\n" for row in lines))
    data = read_data(REQUESTS, [path], marked, salt=SALT)
    assert {name: rows.tolist() for name, rows in data.groups.items()} == {"odd": list(range(1, 30, 2))}
    data.rows.close()


def test_nothing_to_train_on_is_said_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(LocalError, match=r"no row to train on: in empty\.jsonl"):
        read_data(REQUESTS, [empty], None, salt=SALT)


def test_a_label_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    two = ModelSpec.parse(
        changed(FILTERLIST, classes=["benign", "ad"], layers=[{"kind": "embedding_bag", "buckets": 65536, "units": 2}])
    )
    with pytest.raises(LocalError, match="label tracker"):
        read_data(two, [requests(tmp_path / "a.jsonl", 9)], None, salt=SALT)


# ------------------------------------------------------------------ tables


def test_a_csv_is_scaled_as_declared_and_its_label_column_may_stand_anywhere(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", (1, "rose", 2.5), (3, "aster", -1))
    (chunk,) = chunks_of(FLOWERS, [path], held_out_share=0.0)
    np.testing.assert_array_equal(chunk.block.inputs, [[0, 3], [4, -4]])  # type: ignore[union-attr]
    assert chunk.block.labels.tolist() == [0, 1]


def test_an_npz_reads_as_the_same_rows(tmp_path: Path) -> None:
    luck = np.random.default_rng(1)
    x, y = luck.random((9_000, 2)), luck.integers(0, 2, 9_000)
    names = np.array(["rose", "aster"])[y]
    np.savez(tmp_path / "a.npz", x=x, y=names)
    np.savez_compressed(tmp_path / "b.npz", x=x.astype(np.float32), y=names.astype(np.bytes_))
    np.savetxt(tmp_path / "c.txt", x)
    table(tmp_path / "c.csv", *([*row, name] for row, name in zip(x, names, strict=True)), header=("a", "b", "kind"))
    roots = []
    for name in ("a.npz", "b.npz", "c.csv"):
        data = read_data(FLOWERS, [tmp_path / name], None, salt=SALT)
        roots.append((data.commitment, data.labels))
        data.rows.close()
    assert roots[0] == roots[1] == roots[2]


@pytest.mark.parametrize(
    ("rows", "header", "complaint"),
    [
        ([(1, "rose", "wide")], None, "row 2 cannot be used: 'wide' is no number"),
        ([(1, "rose", 2), (1, "rose", "nan")], None, "row 3 cannot be used: 'nan' is no finite number"),
        ([(1, "tulip", 2)], None, "row 2 cannot be used: its label 'tulip'"),
        ([(1, "rose")], None, "row 2 cannot be used: it has 2 fields, the header 3"),
        ([(1, 2, 3)], ("a", "b", "c"), "no column is called 'kind'"),
        ([(1, 2, 3, "rose")], ("a", "b", "c", "kind"), "3 columns of numbers, the model takes 2"),
    ],
)
def test_a_bad_table_is_named_with_row_and_reason(
    tmp_path: Path, rows: list[tuple[object, ...]], header: tuple[str, ...] | None, complaint: str
) -> None:
    path = table(tmp_path / "t.csv", *rows, **({"header": header} if header else {}))  # type: ignore[arg-type]
    with pytest.raises(LocalError) as caught:
        list(chunks_of(FLOWERS, [path], held_out_share=0.0))
    assert f"{path}: {complaint}" in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.zeros((2, 2))},
        {"x": np.zeros((2, 3)), "y": np.zeros(2, int)},
        {"x": np.zeros((2, 2)), "y": np.zeros(3, int)},
        {"x": np.zeros((2, 2)), "y": np.array(["rose", None], object)},
        {"x": np.asfortranarray(np.zeros((2, 2))), "y": np.array(["rose", "rose"])},
        {"x": np.full((2, 2), 2e30), "y": np.array(["rose", "rose"])},  # as in a csv
        {"x": np.full((2, 2), np.inf), "y": np.array(["rose", "rose"])},
    ],
)
def test_an_archive_that_does_not_fit_or_needs_pickle_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(LocalError, match=r"t\.npz"):
        list(chunks_of(FLOWERS, [path], held_out_share=0.0))


@pytest.mark.parametrize("name", ["none.csv", "none.npz", "table.xlsx"])
def test_a_missing_or_unknown_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(LocalError, match=name):
        list(chunks_of(FLOWERS, [tmp_path / name], held_out_share=0.0))


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(b"PK but not really")
    with pytest.raises(LocalError, match=r"t\.npz: cannot be used"):
        list(chunks_of(FLOWERS, [tmp_path / "t.npz"], held_out_share=0.0))


# ------------------------------------------------------------------ a task of one's own


class Flowers(Task):
    def train(self) -> Examples:
        return Examples([[1.0, 2.5], [3.0, -1.0]], ["rose", "aster"])


def test_a_task_of_ones_own_reads_as_the_table_it_is(tmp_path: Path) -> None:
    train, validation = Flowers().save(tmp_path)
    assert validation is None
    (chunk,) = chunks_of(FLOWERS, [train], held_out_share=0.0)
    np.testing.assert_array_equal(chunk.block.inputs, [[0, 3], [4, -4]])  # type: ignore[union-attr]


def test_a_task_whose_arrays_do_not_match_says_which(tmp_path: Path) -> None:
    class Wrong(Flowers):
        def validation(self) -> Examples:
            return Examples([1.0, 2.0], ["rose"])

    with pytest.raises(LocalError, match=r"Wrong\.validation\(\) gave inputs of shape \(2,\) for 1 labels"):
        Wrong().save(tmp_path)


def test_streaming_holds_one_chunk_of_a_long_file(tmp_path: Path) -> None:
    """Structure, not bytes: what is yielded is bounded, and reading is no further than what was asked for."""
    path = requests(tmp_path / "a.jsonl", 12_000)
    with path.open("a") as file:
        file.write("broken\n")
    rows: Iterator[dataset.Chunk] = chunks_of(REQUESTS, [path], held_out_share=0.0)
    assert len(next(rows).block) == len(next(rows).block) == 4_096
    with pytest.raises(LocalError, match="row 12001"):
        list(rows)


def test_a_byte_order_mark_is_read_away_and_utf_16_is_named(tmp_path: Path) -> None:
    spec = ModelSpec.parse(small.MODEL)
    rows = small.table(tmp_path / "rows.csv", 40)
    text = "label,w,x,y,z\na,1,2,3,4\n"  # the mark would be part of the label column's name
    rows.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [len(part.labels) for part in read_table(rows, spec)] == [1]
    rows.write_bytes(text.encode("utf-16"))
    with pytest.raises(LocalError, match=r"rows\.csv: cannot be read: it begins as UTF-16 does; save it as UTF-8"):
        list(read_table(rows, spec))
