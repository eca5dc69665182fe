"""The training process: it answers, it says whose fault a failure is, and it never outlives its node."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.training import protocol
from gossip.training.protocol import OwnData
from gossip.training.spec import ModelSpec
from gossip.training.task import Examples, Task
from gossip.training.worker_client import TrainerProcess
from ledger.errors import LinkError, LocalError
from tests.training.test_spec import OWN

SPEC = ModelSpec.parse(OWN)
SALT = bytes(32)
START = NumpyArithmetic().to_float32(NumpyArithmetic().start(SPEC.layout(), "22" * 32))


def own(*files: Path) -> OwnData:
    return OwnData.private(SPEC.text, files, None, SALT)


class Digits(Task):
    def train(self) -> Examples:
        x, y = load_digits(return_X_y=True)
        return Examples(x, y)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Digits().save(tmp_path_factory.mktemp("digits"))[0]


@pytest.fixture
async def trainer() -> AsyncIterator[TrainerProcess]:
    async with TrainerProcess() as started:
        yield started


def test_a_process_trains_in_rounds_and_names_what_it_is_doing(table: Path, tmp_path: Path) -> None:
    async def story() -> None:
        states: list[str] = []
        keep = tmp_path / "keep.npz"
        async with TrainerProcess(lambda progress: states.append(progress.state)) as trainer:
            loaded, sketch = await trainer.load(own(table), START, keep=keep)
            assert sketch == b""
            assert list(dict.fromkeys(states)) == ["reading data", "importing jax", "compiling"]
            assert loaded.parameters == SPEC.parameters
            assert loaded.epoch_s > 0
            arithmetic = NumpyArithmetic()
            theta = arithmetic.start(SPEC.layout(), "22" * 32)
            for number in range(6):
                trained = await trainer.train(number, arithmetic.to_float32(theta))
                arithmetic.add(theta, arithmetic.decode(trained.blob, SPEC.parameters), 1 << 16)
            assert trained.scores_swarm is not None
            assert trained.scores_alone is not None
            assert trained.counts.examples == loaded.held_out == trained.scores_swarm.examples
            scored = (await trainer.evaluate(arithmetic.to_float32(theta))).swarm
            assert scored is not None
            assert scored.f1 > 0.6
            pid = trainer.pid
        assert pid is not None
        assert trainer.pid is None
        assert keep.exists()  # written on the way out
        assert keep.stat().st_mode & 0o077 == 0  # it says more about the data than any update

    asyncio.run(story())


async def test_what_the_user_must_change_comes_back_as_their_error_and_the_process_lives(
    trainer: TrainerProcess, table: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text(",".join([f"p{i}" for i in range(64)] + ["digit"]) + "\n" + "1," * 64 + "eleven\n")

    with pytest.raises(LocalError, match=r"broken\.csv: row 2 cannot be used: its label 'eleven'"):
        await trainer.load(own(broken), START)
    with pytest.raises(LocalError, match="nothing is loaded yet"):
        await trainer.train(0, START)
    loaded, _ = await trainer.load(own(table), START)
    assert loaded.records > 1_000
    with pytest.raises(LocalError, match="do not fit"):
        await trainer.train(0, START[:-1])


async def test_a_killed_process_is_the_worlds_fault(trainer: TrainerProcess) -> None:
    assert trainer.pid is not None
    os.kill(trainer.pid, signal.SIGKILL)
    with pytest.raises(LinkError, match="the training process ended: signal 9"):
        await trainer.evaluate(START)
    with pytest.raises(LinkError):
        await trainer.evaluate(START)


async def test_a_question_given_up_ends_the_process(trainer: TrainerProcess, table: Path) -> None:
    asking = asyncio.create_task(trainer.load(own(table), START))
    await asyncio.sleep(0)  # it is asked
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(LinkError):
        await trainer.evaluate(START)


async def test_without_a_process_there_is_no_answer() -> None:
    with pytest.raises(LocalError, match="not started"):
        await TrainerProcess().evaluate(START)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x05\x00",
        b"\xff\xff\xff\xff",
        (9).to_bytes(4, "little") + b"not json!",
        protocol.frame(protocol.Train(round=1), bytes(100)) + b"only a few",
        (26).to_bytes(4, "little") + b'{"kind":"train","round":1}'[:20],
    ],
)
def test_a_pipe_that_closes_or_carries_something_else_ends_the_process(said: bytes) -> None:
    command = [sys.executable, "-c", "from gossip.training.worker import main; main()"]
    done = subprocess.run(command, input=said, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0
    assert done.stdout == b""


def test_lengths_are_refused_before_anything_is_read() -> None:
    with pytest.raises(LinkError):
        protocol.header_length((protocol.MAX_HEADER_BYTES + 1).to_bytes(4, "little"))
    for payload in (-1, protocol.MAX_PAYLOAD_BYTES + 1):
        header = protocol.frame(protocol.Evaluate())[4:].replace(b'"payload":0', f'"payload":{payload}'.encode())
        with pytest.raises(LinkError, match="payload"):
            protocol.read_request(header)


def test_the_nodes_end_loads_no_jax() -> None:
    code = "import sys, gossip.training.worker_client, gossip.training.task; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"jax", "optax", "tldextract"} & set(loaded)


def test_the_comparison_prints_one_json_object(table: Path, tmp_path: Path) -> None:
    import json

    model = tmp_path / "model.json"
    model.write_text(OWN)
    command = [sys.executable, "-m", "gossip.training.pooled", str(model), "--data", str(table), "--rounds", "3"]
    done = subprocess.run([*command, "--validation", str(table)], capture_output=True, timeout=240, check=True)
    said = json.loads(done.stdout)
    assert said["rounds"] == 3
    assert 0 < said["sites"]["pr_auc"] <= 1
