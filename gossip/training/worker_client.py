"""The node's end of the training process.

    trainer = TrainerProcess(on_progress)
    await trainer.spawn()                     at once: jax is imported while the node does other things
    loaded, sketch = await trainer.load(...)  as soon as the model is known
    trained = await trainer.train(7, theta)   one question at a time
    await trainer.close()

    checker = TrainerProcess(trains=False)    the same without jax: for looking at others' work, and opening one's own
    found = await checker.inspect(...)

The process failing is the world's fault (LinkError): the node may start another. What the user must change
comes back as LocalError. Cancelling a question ends the process: half an answer in a pipe is worth nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from gossip.training import protocol
from gossip.training.protocol import (
    Answer,
    Cut,
    Evaluate,
    Evaluated,
    Failed,
    Inspect,
    Inspected,
    Judge,
    Judged,
    Load,
    Loaded,
    Open,
    Opened,
    OwnData,
    Progress,
    Records,
    Request,
    Result,
    Shards,
    Train,
    Trained,
)
from ledger.entry import Scores
from ledger.errors import LinkError, LocalError

T = TypeVar("T")
Theta = NDArray[np.float32]
CLOSE_WITHIN_S: Final = 3.0  # it may be in the middle of a round
TAIL_BYTES: Final = 2_000  # of what it printed, for the error message
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_BOOT: Final = "import sys; sys.path.insert(0, sys.argv[1]); from gossip.training.boot import main; main(*sys.argv[2:])"


@dataclass(frozen=True, slots=True)
class TrainedResult:
    """One round. Scores are None where nothing is held out; `groups` has (alone, swarm) for marked rows."""

    blob: bytes
    steps: int
    examples: int
    scores_alone: Result | None
    scores_swarm: Result | None
    groups: dict[str, tuple[Result, Result]]
    counts: Scores  # of the weights trained from, as the update entry states them
    seconds: float
    epsilon: int  # thousandths: spent with this delta and all before it; 0 if nothing is promised


class TrainerProcess:
    """One training process. Its methods are for one task at a time. One that does not train answers `open`, `inspect`
    and `judge` (without own rows) alone. It keeps to `cores` (none: any)."""

    def __init__(
        self, on_progress: Callable[[Progress], None] = lambda progress: None, *, trains: bool = True,
        cores: Sequence[int] = (),
    ) -> None:  # fmt: skip
        self._on_progress = on_progress
        self._trains = trains
        self._cores = tuple(cores)
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._said = b""

    @property
    def pid(self) -> int | None:
        """Of the running process, for its memory; None if there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def tell(self, on_progress: Callable[[Progress], None]) -> None:
        """From now on, say there how it goes on."""
        self._on_progress = on_progress

    async def spawn(self) -> None:
        """Start the process; it begins to import jax."""
        if self._process is not None:
            raise LocalError("this trainer has been started before")
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-c",
            _BOOT,
            _ROOT,
            "train" if self._trains else "check",
            ",".join(map(str, self._cores)),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )
        self._listening = asyncio.create_task(self._listen())

    async def load(
        self, own: OwnData, start: Theta, *, cache: Path | None = None, keep: Path | None = None, licence: str = "",
        lists: Sequence[Path] = (), epsilon: float = 0.0, account: Path | None = None,
    ) -> tuple[Loaded, bytes]:  # fmt: skip
        """Have data read and the model compiled. `start`: the swarm's starting weights. Gives the sketch, too: b"" for
        data that have none. With an `epsilon` every round is charged to `account` before it is trained."""
        request = Load(
            own=own, cache=str(cache) if cache else "", keep=str(keep) if keep else "", licence=licence,
            lists=[str(path) for path in lists], epsilon=epsilon, account=str(account) if account else "",
        )  # fmt: skip
        answer, sketch = await self._ask(request, _bytes(start))
        return self._expect(answer, Loaded), sketch

    async def train(
        self, round_number: int, theta: Theta, *, spent: int = 0, steps: int = 0, density: int = 0, published: str = ""
    ) -> TrainedResult:
        """`spent`: thousandths of epsilon, as the newest update says; `published`: its delta. `steps` and `density`
        (thousandths of the share declared): 0 as the model declares. NothingLeft if a round would break a promise,
        Diverged if it gave nothing."""
        asked = Train(round=round_number, spent=spent, steps=steps, density=density, published=published)
        answer, blob = await self._ask(asked, _bytes(theta))
        trained = self._expect(answer, Trained)
        return TrainedResult(
            blob=blob, steps=trained.steps, examples=trained.examples, scores_alone=trained.alone,
            scores_swarm=trained.swarm, groups=trained.groups, counts=protocol.counts(trained.swarm),
            seconds=trained.seconds, epsilon=trained.epsilon,
        )  # fmt: skip

    async def evaluate(self, theta: Theta) -> Evaluated:
        answer, _ = await self._ask(Evaluate(), _bytes(theta))
        return self._expect(answer, Evaluated)

    async def open(self, asked: Open) -> bytes:
        """The opening that a challenge asks for. LocalError if the data are not here as they were committed to."""
        answer, blob = await self._ask(asked)
        self._expect(answer, Opened)
        return blob

    async def cut(self, asked: Cut) -> tuple[bytes, ...]:
        """The shards that own data are lent in. LocalError as `open`, or if they are too long."""
        answer, payload = await self._ask(asked)
        ends = list(accumulate(self._expect(answer, Shards).sizes, initial=0))
        return tuple(payload[begin:end] for begin, end in pairwise(ends))

    async def inspect(self, asked: Inspect, records: Records) -> Inspected:
        answer, _ = await self._ask(asked, protocol.packed(records))
        return self._expect(answer, Inspected)

    async def judge(self, asked: Judge, models: Sequence[Theta]) -> Judged:
        answer, _ = await self._ask(asked, _bytes(np.concatenate(models)))
        return self._expect(answer, Judged)

    async def close(self) -> None:
        """End the process: politely, then not."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), CLOSE_WITHIN_S)
        except (TimeoutError, asyncio.CancelledError):
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._listening is not None:
            await self._listening

    async def __aenter__(self) -> Self:
        await self.spawn()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _ask(self, request: Request, payload: bytes | memoryview = b"") -> tuple[Answer, bytes]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise LocalError("this trainer is not started", next_step="call spawn() first")
        try:
            process.stdin.write(protocol.frame(request, payload))
            process.stdin.write(payload)
            await process.stdin.drain()
            while True:
                length = protocol.header_length(await process.stdout.readexactly(protocol.LENGTH_BYTES))
                answer = protocol.read_answer(await process.stdout.readexactly(length))
                blob = await process.stdout.readexactly(answer.payload)
                if not isinstance(answer, Progress):
                    return answer, blob
                self._on_progress(answer)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise await self._died() from error
        except (asyncio.CancelledError, LinkError):
            with suppress(ProcessLookupError):
                process.kill()
            raise

    async def _died(self) -> LinkError:
        assert self._process is not None
        code = await self._process.wait()
        if self._listening is not None:
            await self._listening
        last = self._said.decode(errors="replace").strip().splitlines()[-1:]
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        return LinkError(
            f"the {'training' if self._trains else 'checking'} process ended",
            why=": ".join([how, *last]),
            next_step="if it happens again, check free memory",
        )

    def _expect(self, answer: Answer, kind: type[T]) -> T:
        if isinstance(answer, Failed):
            raise answer.error()
        if not isinstance(answer, kind):
            raise LinkError("the training process answered another question", why=type(answer).__name__)
        return answer

    async def _listen(self) -> None:
        """Keep the tail of what the process prints, and keep its pipe from filling up."""
        assert self._process is not None
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(4096):
            self._said = (self._said + data)[-TAIL_BYTES:]


def _bytes(theta: Theta) -> memoryview:
    return np.ascontiguousarray(theta, "<f4").view(np.uint8).data
