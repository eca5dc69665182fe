"""The training process: answers questions on stdin until stdin closes. Started by worker_client.py.

Training lives in a process of its own because jax costs 150 MB and a second to import, compiles for half a
second at a time, and must never hold up the node that talks to the network. It is polite (nice 10, once loaded:
until then people wait for it), uses one thread (several peers share a laptop, and a round on the digits took 8 ms with
two threads and 4 with one), keeps to the cores that it was given (boot.py), and cannot outlive its parent: a closed
pipe is the end.

While it waits to be told what to load, jax is already being imported in a thread. A process that is not to train
imports none: it looks at what others sent, and opens own records, beside the training that goes on. What others sent
is read there alone, so that whatever it does to that process, training does not notice.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, assert_never

import numpy as np
import numpy.random  # lazy otherwise, and then imported beside jax
from numpy.typing import NDArray

from gossip.training import memory, protocol
from gossip.training.budget import NothingLeft
from gossip.training.checks import Checks
from gossip.training.divergence import Diverged
from gossip.training.session import Session, cut_own, open_own
from ledger.errors import GossipError, LinkError, LocalError

NICENESS: Final = 10
FREE: Final = "free some space, or check the disk, and start again; nothing that was published is lost"
DISK_ENDS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)  # another process would meet the same
XLA_FLAGS: Final = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def main(trains: bool = True) -> None:
    """Serve until stdin closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land between two answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the node decides what it means
    os.environ.update(XLA_FLAGS=XLA_FLAGS, JAX_PLATFORMS="cpu")  # read by jax when it is imported
    memory.return_large_blocks()
    gc.disable()  # until all is loaded, which stays: looking for garbage in it takes a tenth of the start
    with suppress(BrokenPipeError):
        Worker(answers, trains=trains).serve(sys.stdin.buffer)
    os._exit(0)  # at once: jax may still be half imported, and nothing here is left to be put away


class Worker:
    """One session, if it trains, asked over a pipe."""

    def __init__(self, answers: BinaryIO, *, trains: bool) -> None:
        self._answers = answers
        self._session: Session | None = None
        self._checks = Checks()
        self._failed: Exception | None = None  # after the newest answer
        self._importing: threading.Thread | None = None
        if not trains:
            _be_polite()
            return
        # numpy and what else this thread needs is imported by now: two threads must not meet halfway in a package.
        self._importing = threading.Thread(
            target=importlib.import_module, args=("gossip.training.learner",), daemon=True
        )
        self._importing.start()

    def serve(self, questions: BinaryIO) -> None:
        """Answer each question; a failure is an answer, too."""
        while prefix := questions.read(protocol.LENGTH_BYTES):
            try:
                request = protocol.read_request(_exactly(questions, protocol.header_length(prefix)))
                payload = _exactly(questions, request.payload)
            except (EOFError, LinkError):
                break  # the other end is gone or is no node
            try:
                self._answer(request, payload)
            except NothingLeft as error:
                self._fail("spent", error.what, error.why, error.next_step)
            except Diverged as error:
                self._fail("diverged", error.what, error.why, error.next_step)
            except GossipError as error:
                self._fail(
                    "local" if isinstance(error, LocalError) else "world", error.what, error.why, error.next_step
                )
            except OSError as error:
                if error.errno not in DISK_ENDS:
                    self._fail("world", "training failed", str(error)[:500], "")
                    continue
                what = f"cannot write {error.filename}" if error.filename else "this peer's disk cannot be written"
                self._fail("local", what, error.strerror or "", FREE)
            except Exception as error:  # the outermost edge: the node hears of it, and decides
                self._fail("world", "training failed", f"{type(error).__name__}: {error}"[:500], "")
        if self._session is not None:
            self._session.close()

    def _answer(self, request: protocol.Request, payload: bytes) -> None:
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed
        match request:
            case protocol.Load():
                self._load(request, _theta(payload))
            case protocol.Train():
                session = self._loaded()
                self._say(
                    *session.train(
                        request.round, _theta(payload), spent=request.spent, steps=request.steps,
                        density=request.density, published=request.published,
                    )
                )  # fmt: skip
                self._go_on(session)
            case protocol.Evaluate():
                self._say(self._loaded().evaluate(_theta(payload)))
            case protocol.Open():
                self._say(protocol.Opened(), open_own(request))
            case protocol.Cut():
                shards = cut_own(request)
                self._say(protocol.Shards(sizes=[len(shard) for shard in shards]), b"".join(shards))
            case protocol.Inspect():
                self._say(self._checks.inspect(request, protocol.unpacked(payload)))
            case protocol.Judge():
                own = None if self._session is None else self._session.judged_by
                self._say(self._checks.judge(request, _theta(payload), own))
            case _:
                assert_never(request)

    def _go_on(self, session: Session) -> None:
        """Once the answer is out. What fails here is said when something is asked again: one question, one answer."""
        try:
            session.go_on()
        except Exception as error:  # as in `serve`, which decides what it means
            self._failed = error

    def _loaded(self) -> Session:
        if self._session is None:
            raise LocalError("nothing is loaded yet", next_step="send `load` first")
        return self._session

    def _load(self, request: protocol.Load, start: NDArray[np.float32]) -> None:
        if self._importing is None:
            raise LocalError("this process does not train")
        if self._session is not None:
            self._session.close()
            self._session = None
        self._session, loaded, sketch = Session.load(
            request.own,
            start,
            cache=Path(request.cache) if request.cache else None,
            keep=Path(request.keep) if request.keep else None,
            licence=request.licence,
            lists=[Path(file) for file in request.lists],
            epsilon=request.epsilon,
            account=Path(request.account) if request.account else None,
            progress=self._progress,
        )
        gc.freeze()
        gc.enable()
        memory.return_freed()
        _be_polite()
        self._say(loaded, sketch)

    def _progress(self, progress: protocol.Progress) -> None:
        self._say(progress)
        if progress.state == "importing jax" and self._importing is not None:
            self._importing.join()

    def _fail(self, fault: protocol.Fault, what: str, why: str, next_step: str) -> None:
        self._say(protocol.Failed(fault=fault, what=what, why=why, next_step=next_step))

    def _say(self, message: protocol.Answer, payload: bytes = b"") -> None:
        self._answers.write(protocol.frame(message, payload))
        self._answers.write(payload)
        self._answers.flush()


def _theta(payload: bytes) -> NDArray[np.float32]:
    if len(payload) % 4:
        raise LocalError(f"{len(payload)} bytes are no weights", why="a float32 has 4")
    return np.frombuffer(payload, "<f4").astype(np.float32, copy=False)


def _be_polite() -> None:
    with suppress(OSError, AttributeError):
        os.nice(NICENESS - os.nice(0))


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError
    return data


if __name__ == "__main__":
    main()
