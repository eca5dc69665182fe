"""The examples do what they say, on data that are no filter lists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_own_task_teaches_all_digits_to_peers_that_have_a_few() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "own_task.py")],
        capture_output=True, text=True, timeout=600, check=False, cwd=EXAMPLES.parent,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(EXAMPLES.parent), "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    score = re.search(r"score (0\.\d+) on held-out rows", done.stdout)
    assert score is not None
    assert float(score[1]) > 0.8  # a peer that has three digits cannot exceed .3 alone
    assert "all hold the same model" in done.stdout


def test_own_rule_and_own_data_stand_beside_the_fold() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "own_rule.py")],
        capture_output=True, text=True, timeout=600, check=False, cwd=EXAMPLES.parent,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(EXAMPLES.parent), "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scores = dict(re.findall(r"^(cautious|average|fold) +(0\.\d+)", done.stdout, re.MULTILINE))
    assert float(scores["fold"]) > 0.9
    assert 0.7 < float(scores["cautious"]) != float(scores["average"])
    assert re.search(r"toy problem 0\.[6-9]", done.stdout)


def test_own_rule_without_its_data_ends_in_one_line() -> None:
    hidden = "import runpy, sys; sys.modules['sklearn'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", hidden, str(EXAMPLES / "own_rule.py")],
        capture_output=True, text=True, timeout=240, check=False, env={"PYTHONPATH": str(EXAMPLES.parent)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"the data are scikit-learn's; install it with: {sys.executable} -m pip install scikit-learn"
    ]


def test_examples_for_newcomers_are_short() -> None:
    for name in ("own_task.py", "own_model.json", "own_rule.py"):
        assert len((EXAMPLES / name).read_text().splitlines()) < 40, name
