"""Each hostile program is what it says: properties of the vectors that it publishes."""

from __future__ import annotations

import numpy as np
import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import encode_update
from tests.attack import vectors
from tests.attack.digits import CLASSES, Digits, shares
from tests.attack.hostile import PROGRAMS, Sight, dense

LUCK = np.random.default_rng(7)
HONEST = LUCK.normal(0.02, 0.05, size=(12, 600)).astype(np.float32)
MEAN = HONEST.mean(axis=0)
NORMS = np.linalg.norm(HONEST, axis=1)


def sight() -> Sight:
    return Sight(
        theta=np.zeros(600, np.float32), own=HONEST[3], honest=HONEST, wanted=np.full(600, 0.1, np.float32), friends=4,
        peers=16, eta=1.5, luck=np.random.default_rng(1),
    )  # fmt: skip


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_a_sign_flip_is_the_opposite_of_the_mean_and_as_long() -> None:
    found = PROGRAMS["sign flip"](sight())
    assert cosine(found, MEAN) == pytest.approx(-1)
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(MEAN), rel=1e-5)


def test_inner_products_with_honest_work_are_against_it_and_the_vector_is_longer_than_any_clip() -> None:
    found = PROGRAMS["IPM"](sight())
    assert float(found @ MEAN) < 0
    np.testing.assert_allclose(found, -100 * MEAN, rtol=1e-5)
    assert np.linalg.norm(found) > 1.5 * np.median(NORMS)


def test_a_little_is_within_what_honest_peers_say_in_every_coordinate_and_off_in_the_sum() -> None:
    found = PROGRAMS["ALIE"](sight())
    spread = HONEST.std(axis=0, ddof=1)
    np.testing.assert_allclose((found - MEAN) / spread, 1.5, rtol=1e-3)
    assert np.linalg.norm(found - MEAN) > np.median(np.linalg.norm(HONEST - MEAN, axis=1))


def test_a_mimic_says_what_one_other_says_in_other_bytes() -> None:
    """So it is no copy byte for byte, which another rule finds (crossed.copied)."""
    change = np.where(np.abs(HONEST[0]) > 0.06, HONEST[0], 0).astype(np.float32)
    blob, sent = encode_update(change, 0.2)
    published = dense(NumpyArithmetic().decode(blob, 600))
    np.testing.assert_array_equal(published, sent)
    found = vectors.mimic(published[np.newaxis])
    again, _ = encode_update(found, 1.0)
    assert again != blob
    np.testing.assert_allclose(dense(NumpyArithmetic().decode(again, 600)), published, atol=1e-3)


def test_noise_is_long_and_points_nowhere() -> None:
    found = PROGRAMS["Gaussian"](sight())
    assert np.std(found) == pytest.approx(1, abs=0.1)
    assert np.linalg.norm(found) > 10 * np.median(NORMS)
    assert abs(cosine(found, MEAN)) < 0.2


def test_scaling_is_honest_work_ten_times_as_long() -> None:
    assert cosine(PROGRAMS["scaling"](sight()), HONEST[3]) == pytest.approx(1)
    assert np.linalg.norm(PROGRAMS["scaling"](sight())) == pytest.approx(10 * NORMS[3], rel=1e-5)


def test_a_replacement_would_put_the_model_where_it_wants_it_if_nothing_were_clipped() -> None:
    world = sight()
    moved = world.theta + world.friends * world.eta / world.peers * PROGRAMS["replacement"](world)
    np.testing.assert_allclose(moved, world.wanted, rtol=1e-5)


def test_flipped_labels_are_nine_less_the_true_ones_and_are_what_is_committed_to() -> None:
    honest, liar = Digits(2, None, 3), Digits(2, None, 3, (1,))
    assert honest.records(0) == liar.records(0)
    for (row, label), (same, turned) in zip(honest.records(1), liar.records(1), strict=True):
        assert row == same
        assert int(turned) == CLASSES - 1 - int(label)
    assert liar.labels(1) != honest.labels(1)


def test_shares_are_of_all_rows_once_and_the_smaller_alpha_the_fewer_labels_a_peer_has() -> None:
    mains = []
    for alpha in (None, 1.0, 0.3):
        dealt = shares(16, alpha, 0)
        rows = np.concatenate(dealt)
        assert len(rows) == len(set(rows.tolist())) == 1437
        assert min(map(len, dealt)) >= 20
        digits = Digits(16, alpha, 0)
        mains.append(
            np.mean([max(digits.labels(peer).values()) / sum(digits.labels(peer).values()) for peer in range(16)])
        )
    assert mains == sorted(mains)
