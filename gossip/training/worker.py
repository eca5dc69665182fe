"""The training process: answers questions on stdin until stdin closes. Started by worker_client.py.

Training lives in a process of its own because jax costs 150 MB and a second to import, compiles for half a
second at a time, and must never hold up the node that talks to the network. It is polite (nice 5, once loaded:
until then people wait for it), uses one thread (several peers share a laptop), and cannot outlive its parent:
a closed pipe is the end.

While it waits to be told what to load, jax is already being imported in a thread.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Literal

import numpy as np
import numpy.random  # lazy otherwise, and then imported beside jax
from numpy.typing import NDArray

from gossip.training import memory, protocol
from gossip.training.session import Session
from ledger.errors import GossipError, LinkError, LocalError

NICENESS: Final = 5
XLA_FLAGS: Final = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def main() -> None:
    """Serve until stdin closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land between two answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the node decides what it means
    os.environ.update(XLA_FLAGS=XLA_FLAGS, JAX_PLATFORMS="cpu")  # read by jax when it is imported
    memory.return_large_blocks()
    gc.disable()  # until all is loaded, which stays: looking for garbage in it takes a tenth of the start
    with suppress(BrokenPipeError):
        Worker(answers).serve(sys.stdin.buffer)
    os._exit(0)  # at once: jax may still be half imported, and nothing here is left to be put away


class Worker:
    """One session, asked over a pipe."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._session: Session | None = None
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
                self._answer(request, np.frombuffer(payload, "<f4").astype(np.float32, copy=False))
            except GossipError as error:
                self._fail(
                    "local" if isinstance(error, LocalError) else "world", error.what, error.why, error.next_step
                )
            except Exception as error:  # the outermost edge: the node hears of it, and decides
                self._fail("world", "training failed", f"{type(error).__name__}: {error}"[:500], "")
        if self._session is not None:
            self._session.close()

    def _answer(self, request: protocol.Request, theta: NDArray[np.float32]) -> None:
        if isinstance(request, protocol.Load):
            self._load(request, theta)
        elif self._session is None:
            raise LocalError("nothing is loaded yet", next_step="send `load` first")
        elif isinstance(request, protocol.Train):
            self._say(*self._session.train(request.round, theta))
        else:
            self._say(self._session.evaluate(theta))

    def _load(self, request: protocol.Load, start: NDArray[np.float32]) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
        self._session, loaded = Session.load(
            request.model,
            [Path(file) for file in request.files],
            Path(request.validation) if request.validation else None,
            start,
            salt=bytes.fromhex(request.salt),
            cache=Path(request.cache) if request.cache else None,
            keep=Path(request.keep) if request.keep else None,
            licence=request.licence,
            progress=self._progress,
        )
        gc.freeze()
        gc.enable()
        memory.return_freed()
        with suppress(OSError, AttributeError):
            os.nice(NICENESS - os.nice(0))
        self._say(loaded)

    def _progress(self, state: protocol.State) -> None:
        self._say(protocol.Progress(state=state))
        if state == "importing jax":
            self._importing.join()

    def _fail(self, fault: Literal["local", "world"], what: str, why: str, next_step: str) -> None:
        self._say(protocol.Failed(fault=fault, what=what, why=why, next_step=next_step))

    def _say(self, message: protocol.Answer, payload: bytes = b"") -> None:
        self._answers.write(protocol.frame(message, payload))
        self._answers.write(payload)
        self._answers.flush()


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError
    return data


if __name__ == "__main__":
    main()
