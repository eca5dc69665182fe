"""DP-SGD: each row's say is bounded, noise is there, and the divisor tells nobody how many rows came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jax_privacy")

from gossip.training.blocks import Numbers, NumberSpool, Sampler
from gossip.training.budget import make_plan
from gossip.training.private import CLIP_NORM, PrivateLearner
from gossip.training.spec import ModelSpec

MODEL = """{"model":1,"features":{"kind":"numbers/1","columns":4},"classes":["a","b"],
"layers":[{"kind":"dense","units":2}],"optimiser":{"kind":"sgd","rate":1.0},"batch":32,"local_steps":1}"""
pytestmark = pytest.mark.filterwarnings("ignore:optax.global_norm is deprecated:DeprecationWarning")  # jax_privacy
SPEC = ModelSpec.parse(MODEL)


@pytest.fixture
def spool():
    made = []

    def make(inputs: np.ndarray, labels: np.ndarray) -> NumberSpool:
        made.append(NumberSpool(None, 4))
        made[-1].append(Numbers(inputs.astype(np.float32), labels.astype(np.uint8)))
        return made[-1]

    yield make
    for rows in made:
        rows.close()


@pytest.fixture(scope="module")
def plan():
    return make_plan(8.0, records=2_000, batch=SPEC.batch, steps=SPEC.local_steps)


@pytest.fixture
def moved(spool):
    """By how much one step moves weights that start at zero."""

    def step(plan, inputs, labels):
        rows = spool(inputs, labels)
        learner = PrivateLearner(SPEC, rows.read(0, len(rows)), plan)
        sampler = Sampler(rows, width=0, padding=0, seed=1)
        return learner.round(np.zeros(SPEC.parameters, np.float32), learner.sample(sampler))

    return step


def test_without_noise_one_outrageous_row_moves_the_model_by_its_clip_and_no_more(moved, plan):
    quiet = replace(plan, noise=0.0, rate=1.0)
    inputs = np.zeros((200, 4))
    inputs[0] = 1e6
    plain = inputs.copy()
    plain[0] = 0
    labels = np.zeros(200)
    apart = moved(quiet, inputs, labels) - moved(quiet, plain, labels)
    assert np.linalg.norm(apart) <= 2 * CLIP_NORM / quiet.batch * 1.001, "its own gradient in place of the zero row's"
    assert np.linalg.norm(apart) > 0


def test_the_divisor_is_the_expected_size_of_a_batch(moved, plan):
    quiet = replace(plan, noise=0.0, rate=1.0)
    few, many = (moved(quiet, np.ones((rows, 4)), np.zeros(rows)) for rows in (100, 200))
    assert np.allclose(2 * few, many, rtol=1e-4)


def test_noise_has_the_deviation_of_the_plan(spool, plan):
    rows = spool(np.ones((100, 4)), np.zeros(100))
    learner = PrivateLearner(
        SPEC, rows.read(0, len(rows)), replace(plan, rate=1e-9)
    )  # no row is ever drawn: what moves is noise alone
    sampler, start = Sampler(rows, width=0, padding=0, seed=1), np.zeros(SPEC.parameters, np.float32)
    steps = [learner.round(start, learner.sample(sampler)) for _ in range(60)]
    deviation = np.std(np.concatenate(steps))
    assert deviation == pytest.approx(plan.noise * CLIP_NORM / plan.batch, rel=0.15)


def test_two_rounds_draw_other_noise_and_other_rows(spool, plan):
    rows = spool(np.random.default_rng(1).normal(size=(2_000, 4)), np.arange(2_000) % 2)
    learner = PrivateLearner(SPEC, rows.read(0, len(rows)), plan)
    sampler = Sampler(rows, width=0, padding=0, seed=1)
    one, two = learner.sample(sampler), learner.sample(sampler)
    assert not np.array_equal(one[0], two[0])
    assert one[1].sum() != two[1].sum() or not np.array_equal(one[2], two[2])


def test_rows_come_as_often_as_the_plan_says(spool, plan):
    rows = spool(np.zeros((2_000, 4)), np.zeros(2_000))
    learner = PrivateLearner(SPEC, rows.read(0, len(rows)), plan)
    sampler = Sampler(rows, width=0, padding=0, seed=1)
    sizes = [learner.sample(sampler)[1].sum() for _ in range(100)]
    assert abs(np.mean(sizes) - 32) < 5 * np.sqrt(32 / 100)
    assert len(set(sizes)) > 5, "a batch of fixed size is another mechanism"


def test_it_still_learns(spool):
    spec = ModelSpec.parse(MODEL.replace('"local_steps":1', '"local_steps":40'))
    plan = make_plan(8.0, records=2_000, batch=spec.batch, steps=spec.local_steps)
    luck = np.random.default_rng(3)
    labels = np.arange(2_000) % 2
    inputs = luck.normal(size=(2_000, 4)) + 2 * (2 * labels[:, None] - 1)
    rows = spool(inputs, labels)
    learner = PrivateLearner(spec, rows.read(0, len(rows)), plan)
    theta = learner.round(
        np.zeros(spec.parameters, np.float32), learner.sample(Sampler(rows, width=0, padding=0, seed=1))
    )
    scored = learner.score(theta, rows.read(0, len(rows)))
    assert scored.tp / scored.examples > 0.95
