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
        self._answers, self._session, self._path = answers, None, path

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
