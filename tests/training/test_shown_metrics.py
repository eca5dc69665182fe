"""A declaration's `metrics` decide what a peer shows, and in which order."""

from __future__ import annotations

import pytest

from cli.render import leading
from gossip.training.protocol import Result
from gossip.training.spec import FILTERLIST, ModelSpec
from ledger.errors import LocalError

RESULT = Result(examples=10, tp=4, fp=1, fn=1, pr_auc=0.75, f1=0.8, accuracy=0.6)


def declared(metrics: str) -> ModelSpec:
    return ModelSpec.parse(FILTERLIST.replace('"metrics": ["pr_auc", "f1"]', f'"metrics": {metrics}'))


def test_only_what_is_declared_is_shown_and_the_first_leads():
    assert RESULT.shown(declared('["f1"]').metrics) == {"f1": 0.8}
    assert leading(RESULT.shown(declared('["f1", "pr_auc"]').metrics)) == 0.8
    assert leading(RESULT.shown(declared('["pr_auc", "f1"]').metrics)) == 0.75
    assert RESULT.shown(declared('["accuracy", "f1"]').metrics) == {"accuracy": 0.6, "f1": 0.8}
    assert leading(None) is None


def test_no_metric_at_all_is_refused_nor_one_that_nobody_knows():
    for metrics in ("[]", '["recall"]'):
        with pytest.raises(LocalError, match="metrics"):
            declared(metrics)
