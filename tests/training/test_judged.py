"""A data set that its owner has judged: labels, rows of their own, what is counted and committed to, and its weight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gossip.filterlists.judging import Judgement, Standing, judgement_of
from gossip.filterlists.requests import parse_record
from gossip.filterlists.split import is_held_out
from gossip.training.blocks import Bags
from gossip.training.dataset import DataSet, cut_own, read_data
from gossip.training.judged import FELT, Felt
from gossip.training.spec import FILTERLIST, ModelSpec
from ledger.errors import LocalError
from ledger.opening import verify_shard
from tests.training.test_public_data import BOB, SWARM, opened, public, read

SPEC = ModelSpec.parse(FILTERLIST)
SALT = b"\x05" * 32
HELD = next(f"site{n}.test" for n in range(99) if is_held_out(f"site{n}.test", SPEC.validation_share))
OWN = next(f"site{n}.test" for n in range(99) if not is_held_out(f"site{n}.test", SPEC.validation_share))


def request(number: int, site: str = OWN, host: str = "cdn.test", label: str = "benign") -> dict[str, object]:
    return {"page": f"https://{site}/", "url": f"https://{host}/a{number}.js", "type": "script", "label": label}


def file(path: Path, *rows: dict[str, object]) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


def taken(path: Path, *said: Judgement, epsilon: float = 0.0, validation: Path | None = None) -> DataSet:
    data = read_data(SPEC, [path], validation, salt=SALT, felt=Felt(Standing(said), epsilon))
    data.rows.close()
    return data


def test_a_judgement_overrides_the_label_in_training_and_in_what_is_judged_by(tmp_path: Path) -> None:
    path = file(tmp_path / "rows.jsonl", *[request(n) for n in range(40)], *[request(n, HELD) for n in range(8)])
    plain, said = taken(path), taken(path, judgement_of("cdn.test", "tracker", time=1))
    assert (plain.labels, plain.judged) == ({"benign": 40}, {})
    assert (said.labels, said.judged) == ({"tracker": 40}, {"tracker": 40})
    assert plain.commitment.root != said.commitment.root
    assert plain.commitment.records == said.commitment.records == 40
    assert len(said.rows) == 40  # as many as FELT and more: they need no help
    assert said.held_out is not None
    assert set(said.held_out.labels.tolist()) == {SPEC.classes.index("tracker")}
    apart = taken(path, judgement_of("cdn.test", "tracker", time=1), validation=path)  # rows that only judge, as well
    assert apart.held_out is not None
    assert set(apart.held_out.labels.tolist()) == {SPEC.classes.index("tracker")}


def test_what_no_row_shows_is_rows_of_its_own_and_is_felt_but_counted_once(tmp_path: Path) -> None:
    path = file(tmp_path / "rows.jsonl", *[request(n) for n in range(40)], request(1, HELD, "new.test"))
    url = judgement_of("https://new.test/a1.js", "ad", page=f"https://{HELD}/", kind="script", time=1)
    said = taken(path, url, judgement_of("metrics.example", "tracker", time=2))
    assert said.judged == {"ad": 1, "tracker": 6}
    assert said.labels == {"benign": 40, "ad": 1, "tracker": 6}
    assert said.commitment.records == 47
    assert said.commitment.duplicates == 0
    assert len(said.rows) == 40 + FELT + 6 * (FELT // 6)
    under_a_promise = taken(path, url, epsilon=8.0)
    assert len(under_a_promise.rows) == under_a_promise.commitment.records == 41


def test_few_rows_of_a_judgement_are_shown_as_often_as_it_takes(tmp_path: Path) -> None:
    path = file(
        tmp_path / "rows.jsonl", *[request(n) for n in range(40)], *[request(n, host="x.test") for n in range(3)]
    )
    data = read_data(SPEC, [path], None, salt=SALT, felt=Felt(Standing([judgement_of("x.test", "ad", time=1)])))
    rows = data.rows.read(0, len(data.rows))
    assert isinstance(rows, Bags)
    assert np.bincount(rows.labels).tolist() == [40, 3 * (FELT // 3)]
    assert data.labels == {"benign": 40, "ad": 3}
    data.rows.close()


def test_taken_back_the_data_set_is_the_same_to_the_bit(tmp_path: Path) -> None:
    path = file(tmp_path / "rows.jsonl", *[request(n) for n in range(40)])
    assert taken(path).commitment == taken(path, *()).commitment
    assert taken(path, judgement_of("cdn.test", "benign", time=1)).commitment == taken(path).commitment


def test_what_is_opened_of_public_data_is_what_was_judged_and_no_own_row_is_public(tmp_path: Path) -> None:
    path = file(tmp_path / "rows.jsonl", *[request(n) for n in range(60)])
    said = Standing(
        [judgement_of("https://cdn.test/a7.js", "tracker", time=1), judgement_of("else.test", "ad", time=2)]
    )
    data = read([path], SPEC, felt=Felt(said))
    data.rows.close()
    assert data.judged == {"tracker": 1}
    assert data.commitment.records == 60
    shown = opened([path], data, SPEC, judged=said).records
    labels = {row.url: row.label for each in shown if (row := parse_record(each.key, each.value))}
    assert labels.pop("https://cdn.test/a7.js") == "tracker"
    assert set(labels.values()) == {"benign"}
    assert len(shown) == 59
    with pytest.raises(LocalError, match="no longer those that were committed to"):
        opened([path], data, SPEC)  # as the file says: that is not what was committed to
    lent = {
        "setting": replace(public([path]), lends=(BOB.peer,)), "swarm": SWARM, "leaves": path.with_name("leaves"),
        "root": data.commitment.root, "to": [BOB],
    }  # fmt: skip
    rows = [
        parse_record(each.key, each.value)
        for number, shard in enumerate(cut_own(SPEC, [path], None, judged=said, **lent))
        for each in verify_shard(shard, data.commitment, SWARM, number).records
    ]
    assert [row.url for row in rows if row and row.label == "tracker"] == ["https://cdn.test/a7.js"]
    with pytest.raises(LocalError, match="no longer those that were committed to"):
        cut_own(SPEC, [path], None, **lent)
