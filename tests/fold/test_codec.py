"""The author's half: what is kept, how it is rounded, and that nothing is lost but time."""

from __future__ import annotations

import numpy as np
import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import ErrorFeedback, default_density, encode_update
from ledger.delta import BLOCK, MAX_EXPONENT, MIN_EXPONENT, decode, encode
from ledger.errors import LocalError

ARITHMETIC = NumpyArithmetic()


def noise(parameters: int, seed: int = 0, scale: float = 0.01) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(parameters) * scale).astype(np.float32)


@pytest.mark.parametrize("parameters", [1, 2, 100, 257, 5000, 40_000, 200_000])
@pytest.mark.parametrize("density", [None, 0.001, 0.03, 1.0])
def test_what_is_sent_is_what_the_blob_says(parameters: int, density: float | None):
    change = noise(parameters)
    blob, sent = encode_update(change, density)
    delta = decode(blob, parameters)
    assert encode(delta) == blob
    worth = np.zeros(parameters)
    for index, value in delta.terms():
        worth[index] = value / 2**24
    np.testing.assert_array_equal(sent, worth)
    share = default_density(parameters) if density is None else density
    assert len(delta.values) == min(parameters, max(1, round(share * parameters)))


def test_the_largest_are_kept():
    for seed in range(5):
        change = noise(100_000, seed)
        kept = np.flatnonzero(encode_update(change, 0.01)[1])
        smallest = np.abs(change[kept]).min()
        rest = np.delete(np.abs(change), decode(encode_update(change, 0.01)[0], len(change)).indices)
        assert rest.max() <= smallest


def test_a_change_in_few_places_keeps_them_all():
    change = np.zeros(1_000_000, dtype=np.float32)
    change[::5000] = 0.5
    _, sent = encode_update(change, 0.001)
    np.testing.assert_array_equal(np.flatnonzero(sent), np.flatnonzero(change))


def test_each_block_has_the_smallest_exponent_that_holds_it():
    change = noise(BLOCK * 40, scale=1.0) * np.repeat(np.logspace(-9, 1.5, 40), BLOCK).astype(np.float32)
    change[:BLOCK] = 0
    change[BLOCK] = 127 * 2.0**-10  # exactly at the edge
    change[BLOCK + 1 : 2 * BLOCK] = 0
    delta = decode(encode_update(change, 1.0)[0], len(change))
    for block, exponent in enumerate(delta.exponents):
        peak = float(np.abs(change[block * BLOCK : (block + 1) * BLOCK]).max())
        fitting = [z for z in range(MIN_EXPONENT, MAX_EXPONENT + 1) if peak <= 127 * 2.0**z]
        assert exponent == (min(fitting) if fitting else MAX_EXPONENT)
    assert delta.exponents[1] == -10


def test_values_round_to_nearest_and_halves_away_from_zero():
    step = 2.0**-10
    change = np.array([127, 2.5, -2.5, 3.49, -3.51, 0.5, -0.5, 0.49]) * step
    delta = decode(encode_update(change.astype(np.float32), 1.0)[0], 8)
    assert delta.values == (127, 3, -3, 3, -4, 1, -1, 0)


def test_error_feedback_sends_everything_in_the_end():
    parameters = 2000
    waiting = ErrorFeedback(parameters, density=0.05)
    change = noise(parameters)
    received = np.zeros(parameters)
    for round_ in range(60):
        blob = waiting.compress(change if round_ == 0 else np.zeros(parameters, dtype=np.float32))
        for index, value in decode(blob, parameters).terms():
            received[index] += value / 2**24
    np.testing.assert_allclose(received, change, atol=2.0**-17)
    np.testing.assert_allclose(received + waiting.residual, change, atol=1e-7)


def test_what_is_too_large_for_the_format_waits_too():
    waiting = ErrorFeedback(4, density=1.0)
    waiting.compress(np.array([20, 0, 0, -20], dtype=np.float32))
    assert waiting.residual.tolist() == [20 - 127 / 16, 0, 0, -20 + 127 / 16]


def test_training_that_diverged_publishes_nothing_and_keeps_nothing():
    waiting = ErrorFeedback(4)
    waiting.compress(np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32))
    before = waiting.residual.copy()
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(LocalError, match="not finite"):
            waiting.compress(np.array([0, bad, 0, 0], dtype=np.float32))
    np.testing.assert_array_equal(waiting.residual, before)


def test_a_delta_of_a_middling_model_is_a_fiftieth_of_its_size_or_less():
    for parameters in (20_000, 150_000, 1_000_000):
        blob = ErrorFeedback(parameters).compress(noise(parameters))
        assert len(blob) * 50 <= 4 * parameters


def test_sparser_as_models_grow():
    shares = [default_density(parameters) for parameters in (100, 1000, 10_000, 10**6, 10**7, 10**8)]
    assert shares == [1.0, 0.1, 0.05, 0.01, 0.01, 0.001]
