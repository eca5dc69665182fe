"""Your own data, your own model: four peers, each with two or three of the ten handwritten digits.

.venv/bin/python examples/own_task.py    (scikit-learn has the digits; `make test` installs it)
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from gossip import Examples, Task, simulate

IMAGES, DIGITS = load_digits(return_X_y=True)
HELD_OUT = np.arange(len(DIGITS)) % 4 == 0


class SomeDigits(Task):
    """What one peer has: only some of the digits. It is judged on all of them."""

    def __init__(self, *own: int) -> None:
        self.own = own

    def train(self) -> Examples:
        mine = ~HELD_OUT & np.isin(DIGITS, self.own)
        return Examples(IMAGES[mine], DIGITS[mine])

    def validation(self) -> Examples:
        return Examples(IMAGES[HELD_OUT], DIGITS[HELD_OUT])


if __name__ == "__main__":
    model = Path(__file__).with_name("own_model.json").read_text()
    tasks = [SomeDigits(0, 1, 2), SomeDigits(3, 4, 5), SomeDigits(6, 7), SomeDigits(8, 9)]
    print(simulate(tasks=tasks, model=model, rounds=60, seed=1))
