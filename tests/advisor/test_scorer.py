"""What a model says of requests: the right figure in the right place, for each row alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from gossip.advisor.scorer import P_AD, P_BLOCK, P_TRACKER, Scorer
from gossip.filterlists.engine import Hit
from gossip.filterlists.sighting import Sighting
from gossip.training.calibration import UNCALIBRATED
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError
from tests.advisor.models import DECLARED, MEASURED, scorer, spec, weights

PAGE = "https://news.example/"
ROWS = [
    Sighting("https://ads.example/x.js", PAGE, "script"),
    Sighting("https://pixel.example/p.gif", PAGE, "image"),
    Sighting("https://news.example/own.js", PAGE, "script"),
    Sighting("https://fonts.example/a.woff", PAGE, "font"),
]


def test_each_probability_stands_in_its_place_whatever_order_the_model_declares() -> None:
    found = scorer().score(ROWS)
    assert found.shape == (4, 3)
    assert found[0, P_AD] > 0.95 > 0.05 > found[0, P_TRACKER]
    assert found[1, P_TRACKER] > 0.95 > 0.05 > found[1, P_AD]
    assert (found[2:, P_BLOCK] < 0.05).all()
    np.testing.assert_allclose(found[:, P_AD] + found[:, P_TRACKER], found[:, P_BLOCK], atol=1e-6)


def test_what_is_to_be_blocked_is_said_at_the_calibrated_threshold() -> None:
    p_block = float(scorer().score(ROWS)[0, P_BLOCK])
    for threshold, blocked in ((p_block, True), (float(np.nextafter(p_block, 2)), False)):
        from msgspec.structs import replace

        judged = scorer(replace(MEASURED, threshold=threshold)).judge(ROWS)
        assert judged[0].block is blocked
        assert judged[0].p_block == p_block


def test_a_row_has_the_same_score_in_whatever_company_it_is_scored() -> None:
    together = scorer().score(ROWS)
    alone = np.concatenate([scorer().score([row]) for row in ROWS])
    np.testing.assert_array_equal(together, alone)
    assert scorer().score([]).shape == (0, 3)


@dataclass
class Known:
    """Lists with a word on one host each."""

    names: tuple[str, ...] = ("A", "B", "C")

    def label(self, page: str, url: str, kind: str) -> str:
        raise AssertionError

    def hits(self, page: str, url: str, kind: str) -> tuple[Hit, ...]:
        if "ads." in url:
            return (Hit("A", "||ads.example^", ""), Hit("B", "||ads.example^", "@@||ads.example/x.js"))
        return (Hit("C", "", "@@||pixel.example^"),) if "pixel." in url else ()


def test_lists_are_named_by_what_they_do() -> None:
    ad, pixel, own, _ = scorer().judge(ROWS, Known())  # type: ignore[arg-type]
    assert (ad.listed_by, ad.excepted_by, ad.is_open) == (("A",), ("B",), False)
    assert (pixel.listed_by, pixel.excepted_by, pixel.is_open) == ((), ("C",), False)
    assert (own.listed_by, own.excepted_by, own.is_open) == ((), (), False)  # nothing to block
    assert scorer().judge(ROWS)[0].is_open


def test_a_model_that_does_not_tell_ads_from_trackers_is_refused() -> None:
    two = DECLARED.replace('["tracker", "benign", "ad"]', '["no", "benign", "yes"]')
    with pytest.raises(LocalError, match="does not score requests"):
        Scorer(ModelSpec.parse(two), weights(), UNCALIBRATED, "other")
    with pytest.raises(LocalError, match="its declaration has 3,072"):
        Scorer(spec(), weights()[:-1], UNCALIBRATED, "short")
