"""What the swarm gave me: a mix of two models that own held-out sites choose, and honest figures of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.filterlists.judging import Standing, judgement_of
from gossip.training.metrics import average_precision
from gossip.training.own_rows import read_own_rows
from gossip.training.personal import PRIOR_SHARE, Judges, Personal, blend, choose_share, halves, personal
from gossip.training.scoring import logits_of
from gossip.training.spec import FILTERLIST, ModelSpec

SPEC = ModelSpec.parse(FILTERLIST)


def of(score: np.ndarray) -> np.ndarray:
    """Logits whose log-odds of blocking are `score`."""
    return np.stack([-score, np.full(len(score), -0.693147), np.full(len(score), -0.693147)], axis=1)


def a_peer(seed: int, *, swarm: float, alone: float, sites: int = 10, each: int = 40) -> tuple:
    """Labels of some sites, and two models that see through noise of these strengths."""
    luck = np.random.default_rng(seed)
    rows = sites * each
    labels = (luck.random(rows) < 0.4).astype(np.uint8)
    truth = np.where(labels != 0, 2.0, -2.0)
    seen = [of(truth + strength * luck.normal(0, 2, rows)) for strength in (swarm, alone)]
    return seen[0], seen[1], Judges(labels, np.repeat(np.arange(sites), each), luck.random(rows) < 0.1)


def area(logits: np.ndarray, rows: Judges) -> float:
    return average_precision(-logits[:, 0], rows.labels != 0)


@given(st.integers(0, 99), st.floats(0.2, 4), st.floats(0.2, 4))
@settings(max_examples=40, deadline=None)
def test_nobody_ends_worse_than_alone(seed: int, swarm: float, alone: float) -> None:
    one, other, rows = a_peer(seed, swarm=swarm, alone=alone)
    gains = personal(one, other, rows).gains
    assert gains.alone is not None
    assert gains.mine.pr_auc >= gains.alone.pr_auc - 0.01
    assert gains.alone.pr_auc == pytest.approx(area(other, rows))
    assert gains.swarm.pr_auc == pytest.approx(area(one, rows))


def test_a_swarm_that_sees_less_than_oneself_is_hardly_listened_to() -> None:
    one, other, rows = a_peer(1, swarm=4, alone=0.5)
    assert choose_share(one, other, rows.labels) > 0.6
    one, other, rows = a_peer(1, swarm=0.5, alone=4)
    assert choose_share(one, other, rows.labels) <= 0.1


def test_two_that_err_differently_are_better_together_than_either() -> None:
    one, other, rows = a_peer(2, swarm=1, alone=1.2, sites=40)
    gains = personal(one, other, rows).gains
    assert gains.alone is not None
    assert gains.mine.pr_auc > max(gains.swarm.pr_auc, gains.alone.pr_auc)


def test_few_rows_choose_little() -> None:
    one, other, rows = a_peer(3, swarm=4, alone=0.5)
    few = choose_share(one[:6], other[:6], rows.labels[:6])
    assert PRIOR_SHARE <= few < choose_share(one, other, rows.labels)
    assert choose_share(one[:0], other[:0], rows.labels[:0]) == PRIOR_SHARE


def test_the_figure_is_of_rows_that_did_not_choose() -> None:
    """Two sites that disagree which model is right: chosen on themselves they would look well."""
    luck = np.random.default_rng(4)
    labels = np.tile([0, 1], 400).astype(np.uint8)
    truth = np.where(labels != 0, 4.0, -4.0)
    first = np.arange(800) < 400
    noise = luck.normal(0, 4, 800)
    one, other = of(np.where(first, truth, noise)), of(np.where(first, noise, truth))
    rows = Judges(labels, first.astype(np.int64), np.zeros(800, np.bool_))
    best = np.where(first[:, None], one, other)
    assert area(best, rows) > 0.99
    assert personal(one, other, rows).gains.mine.pr_auc < 0.9


def test_without_a_model_of_its_own_the_swarms_is_mine() -> None:
    one, _, rows = a_peer(5, swarm=1, alone=1)
    found = personal(one, None, rows)
    assert (found.share, found.gains.alone) == (0, None)
    assert found.gains.mine == found.gains.swarm
    assert found.calibration.measured


def test_the_interval_is_of_sites_and_four_of_them_give_none() -> None:
    one, other, rows = a_peer(6, swarm=1, alone=1, sites=4)
    assert personal(one, other, rows).gains.mine.low is None
    one, other, rows = a_peer(6, swarm=1, alone=1, sites=12)
    mine = personal(one, other, rows).gains.mine
    assert mine.low is not None
    assert mine.high is not None
    assert mine.low < mine.pr_auc < mine.high
    luck = np.random.default_rng(0)
    again = []
    for _ in range(300):  # the plain way to draw sites
        drawn = np.concatenate([np.flatnonzero(rows.sites == site) for site in luck.integers(0, 12, 12)])
        again.append(average_precision(-one[drawn, 0], rows.labels[drawn] != 0))
    swarm = personal(one, other, rows).gains.swarm
    assert swarm.low == pytest.approx(np.quantile(again, 0.025), abs=0.01)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_halves_cut_no_site_and_are_as_even_as_sites_allow(sites: list[int]) -> None:
    which = np.array(sites)
    half = halves(which)
    for site in set(sites):
        assert len(set(half[which == site].tolist())) == 1
    assert abs(int(half.sum()) - int((~half).sum())) <= np.bincount(which).max()


def test_of_a_linear_model_the_mixed_weights_are_the_mixed_logits(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text("".join(row("news.example", f"cdn{n}.example", "benign") for n in range(20)))
    own = read_own_rows(SPEC, [], file)
    assert own is not None
    luck = np.random.default_rng(0)
    swarm, alone = (luck.normal(0, 1, SPEC.parameters).astype(np.float32) for _ in range(2))
    mixed = blend(swarm, alone, 0.3).astype(np.float32)
    np.testing.assert_allclose(
        logits_of(SPEC, mixed, own.bags),
        blend(logits_of(SPEC, swarm, own.bags), logits_of(SPEC, alone, own.bags), 0.3),
        atol=1e-4,
    )


def test_it_is_the_same_again_and_keeps_as_json() -> None:
    one, other, rows = a_peer(7, swarm=1, alone=1)
    found = personal(one, other, rows, "own list")
    assert found == personal(one, other, rows, "own list")
    assert found.gains.against == found.calibration.against == "own list"
    assert msgspec.json.decode(msgspec.json.encode(found), type=Personal) == found


# ------------------------------------------------------------------ own rows


def row(site: str, host: str, label: str) -> str:
    return f'{{"page":"https://{site}/","url":"https://{host}/x.js","type":"script","label":"{label}"}}\n'


def test_own_rows_are_those_that_training_holds_out_with_their_sites_and_what_is_new(tmp_path: Path) -> None:
    from gossip.training.dataset import read_data

    file = tmp_path / "own.jsonl"
    file.write_text(
        "".join(
            row(f"site{n}.example", host, "ad") for n in range(40) for host in ("known.example", f"only{n}.example")
        )
    )
    own, data = read_own_rows(SPEC, [file], None), read_data(SPEC, [file], None, salt=bytes(32))
    assert own is not None
    assert data.held_out is not None
    np.testing.assert_array_equal(own.bags.tokens, data.held_out.tokens)
    np.testing.assert_array_equal(own.bags.labels, data.held_out.labels)
    assert own.trained == len(data.rows)
    assert len(set(own.sites.tolist())) == len(own.sites) // 2
    np.testing.assert_array_equal(own.new, np.arange(len(own.new)) % 2 == 1)
    data.rows.close()


def test_the_owners_word_is_over_the_files(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text(row("news.example", "cdn.example", "ad") + row("news.example", "ads.example", "ad"))
    judged = Standing([judgement_of("cdn.example", "benign", time=0)])
    own = read_own_rows(SPEC, [], file, judged)
    assert own is not None
    assert own.bags.labels.tolist() == [0, 1]


def test_where_nothing_is_held_out_there_is_nothing_to_judge_by(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text("")
    assert read_own_rows(SPEC, [file], None) is None
