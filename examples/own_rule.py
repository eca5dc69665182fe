"""A rule and data of your own, beside those of the literature: nothing of gossip/ is edited.

.venv/bin/python examples/own_rule.py    (scikit-learn has the data; `make test` installs it)
"""

import sys

try:
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import scale
except ModuleNotFoundError:
    sys.exit(f"the data are scikit-learn's; install it with: {sys.executable} -m pip install scikit-learn")

from gossip import Scenario, simulate
from gossip.fast import Setting
from gossip.fast.data import Rows
from gossip.fast.study import Study, run_study


def cautious(own, own_age, other, other_age):
    """A quarter of the way to a model that has seen as much as mine; nothing of one that has seen less."""
    return own + (other - own) * (0.25 * (other_age >= own_age))


if __name__ == "__main__":
    measured, is_benign = load_breast_cancer(return_X_y=True)
    mine = Study("tumours", "", Setting(peers=8, seed=1), data="tumours", alpha=0.3)
    _, found = run_study(mine, rows=Rows.of(scale(measured), is_benign), rules=[cautious, "average", "fold"])
    for rule, outcome in found.items():
        print(f"{rule:10} {outcome.mean:.3f}, worst {outcome.worst:.3f}, {outcome.received / 1000:.0f} KB received")

    swarm = simulate(Scenario(peers=8, churn=0.5, seed=1), rule=cautious)  # the same rule on the toy problem
    print(f"on the toy problem {swarm.mean:.3f}")
