"""What hostile peers publish, as plain functions of what honest ones do: the attacks that ByzFL names.

    honest: the newest deltas of the honest peers, one a row --attack--> one vector

Why it exists: the figures of `make attack` mean something only if the attacks are those of the literature. Names and
definitions are ByzFL's (Gonzalez, Guerraoui, Pinot, Rizk, Stephan and Taburet, "ByzFL: Research Framework for Robust
Federated Learning", arXiv 2505.24802), where it has them; label flipping is done to data (digits.py). Factors are set
to where they hurt a fold that clips: what is longer than 1.5 times the middle norm is scaled down to that, so a
direction is all that is left to choose, and every attack that can afford it is made long.

It refuses to know ledgers, weights and who is whose friend (hostile.py).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Vectors = NDArray[np.float32]  # one a row

IPM_FACTOR: Final = 100.0  # the mean of vectors that differ is short: with 2, ByzFL's default, no clip is reached
ALIE_FACTOR: Final = 1.5  # ByzFL's default
SCALE: Final = 10.0
GAUSSIAN: Final = 1.0  # standard deviation of each coordinate, ByzFL's default: a hundred honest norms long


def sign_flip(honest: Vectors) -> Vector:
    """The opposite of their mean. Allen-Zhu, Ebrahimianghazani, Li and Alistarh, "Byzantine-Resilient Non-Convex
    Stochastic Gradient Descent", ICLR 2021; ByzFL's SignFlipping."""
    return -honest.mean(axis=0)


def inner_product(honest: Vectors, factor: float = IPM_FACTOR) -> Vector:
    """Their mean times -factor. Xie, Koyejo and Gupta, "Fall of Empires: Breaking Byzantine-tolerant SGD by Inner
    Product Manipulation", UAI 2019; ByzFL's InnerProductManipulation."""
    return np.float32(-factor) * honest.mean(axis=0)


def little_is_enough(honest: Vectors, factor: float = ALIE_FACTOR) -> Vector:
    """Their mean and `factor` standard deviations of each coordinate. Baruch, Baruch and Goldberg, "A Little Is Enough:
    Circumventing Defenses For Distributed Learning", NeurIPS 2019; ByzFL's ALittleIsEnough."""
    spread = honest.std(axis=0, ddof=1) if len(honest) > 1 else np.zeros_like(honest[0])
    return np.asarray(honest.mean(axis=0) + np.float32(factor) * spread, dtype=np.float32)


def mimic(honest: Vectors, whom: int = 0) -> Vector:
    """What one of them published: it counts as often as it has friends. Karimireddy, He and Jaggi, "Byzantine-Robust
    Learning on Heterogeneous Datasets via Bucketing", ICLR 2022; ByzFL's Mimic."""
    return np.array(honest[whom])


def gaussian(honest: Vectors, luck: np.random.Generator, sigma: float = GAUSSIAN) -> Vector:
    """Noise. Blanchard, El Mhamdi, Guerraoui and Stainer, "Machine Learning with Adversaries: Byzantine Tolerant
    Gradient Descent", NeurIPS 2017; ByzFL's Gaussian."""
    return np.asarray(luck.normal(0, sigma, size=honest.shape[1]), dtype=np.float32)


def scaling(own: Vector, factor: float = SCALE) -> Vector:
    """What was learned from own data, `factor` times as long: who shouts decides. Bhagoji, Chakraborty, Mittal and
    Calo, "Analyzing Federated Learning through an Adversarial Lens" (explicit boosting), ICML 2019."""
    return np.float32(factor) * own


def replacement(theta: Vector, wanted: Vector, friends: int, peers: int, eta: float) -> Vector:
    """What would put the model at `wanted` in one step if `friends` of `peers` said so and nothing were clipped.
    Bagdasaryan, Veit, Hua, Estrin and Shmatikov, "How To Backdoor Federated Learning", AISTATS 2020."""
    return np.asarray((wanted - theta) * (peers / (eta * friends)), dtype=np.float32)
