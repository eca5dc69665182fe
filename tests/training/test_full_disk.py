"""A disk that is full under the training process: the user has to do something, and another process would not help."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gossip.training import protocol
from gossip.training.worker import Worker
from ledger.errors import LinkError, LocalError

FULL = Path("/dev/full")  # what is written there finds no space, ever


class Writes(Worker):
    """Answers by writing to a file."""

    def __init__(self, answers: io.BytesIO, path: Path) -> None:
        self._answers, self._session, self._path, self._failed = answers, None, path, None

    def _answer(self, request: protocol.Request, payload: bytes) -> None:
        self._path.write_bytes(b"what it spent")


def answered(path: Path) -> protocol.Answer:
    answers = io.BytesIO()
    Writes(answers, path).serve(io.BytesIO(protocol.frame(protocol.Evaluate())))
    told = answers.getvalue()
    return protocol.read_answer(told[protocol.LENGTH_BYTES :])


@pytest.mark.skipif(not FULL.is_char_device(), reason="no /dev/full here")
def test_a_full_disk_is_the_users_to_mend_and_says_so() -> None:
    failed = answered(FULL)
    assert isinstance(failed, protocol.Failed)
    error = failed.error()
    assert isinstance(error, LocalError)
    assert "No space left on device; free some space" in str(error)


def test_another_failure_of_the_system_may_pass(tmp_path: Path) -> None:
    failed = answered(tmp_path / "no folder" / "file")
    assert isinstance(failed, protocol.Failed)
    assert isinstance(failed.error(), LinkError)


class Trains:
    """A session whose rounds are good, and that cannot keep what comes after them."""

    def train(self, number: int, *_: object, **__: object) -> tuple[protocol.Trained, bytes]:
        return protocol.Trained(
            round=number, steps=1, examples=1, alone=None, swarm=None, groups={}, seconds=1.0, epsilon=0
        ), b"delta"

    def go_on(self) -> None:
        FULL.write_bytes(b"what should survive a restart")

    def close(self) -> None:
        pass


@pytest.mark.skipif(not FULL.is_char_device(), reason="no /dev/full here")
def test_what_fails_when_an_answer_is_out_is_the_answer_to_the_next_question() -> None:
    answers = io.BytesIO()
    worker = Worker(answers, trains=False)
    worker._session = Trains()  # type: ignore[assignment]
    questions = protocol.frame(protocol.Train(round=1)) + protocol.frame(protocol.Train(round=2))
    worker.serve(io.BytesIO(questions))
    answers.seek(0)
    kinds = []
    while prefix := answers.read(protocol.LENGTH_BYTES):
        answer = protocol.read_answer(answers.read(protocol.header_length(prefix)))
        answers.read(answer.payload)
        kinds.append(type(answer))
    assert kinds == [protocol.Trained, protocol.Failed]
