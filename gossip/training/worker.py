"""The training process: answers questions on stdin until stdin closes. Started by worker_client.py.

Training lives in a process of its own because jax costs 150 MB and a second to import, compiles for half a
second at a time, and must never hold up the node that talks to the network. It is polite (nice 5), uses one
thread (several peers share a laptop), and cannot outlive its parent: a closed pipe is the end.

While it waits to be told what to load, jax is already being imported in a thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

NICENESS: Final = 5
M_MMAP_THRESHOLD: Final = -3  # glibc's malloc.h
XLA_FLAGS: Final = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def main() -> None:
    """Serve until stdin closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land between two answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the node decides what it means
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    os.environ.update(XLA_FLAGS=XLA_FLAGS, JAX_PLATFORMS="cpu")  # read by jax when it is imported
    _return_large_blocks()
    threading.Thread(target=_import_jax, daemon=True).start()
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answers)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer each question; a failure is an answer, too."""
    from gossip.training import protocol
    from ledger.errors import GossipError, LinkError, LocalError

    def say(message: protocol.Answer, payload: bytes = b"") -> None:
        answers.write(protocol.frame(message, payload))
        answers.write(payload)
        answers.flush()

    teller = _Teller(say)
    while prefix := questions.read(protocol.LENGTH_BYTES):
        try:
            request = protocol.read_request(_exactly(questions, protocol.header_length(prefix)))
            payload = _exactly(questions, request.payload)
        except (EOFError, LinkError):
            break  # the other end is gone or is no node
        try:
            teller.answer(request, payload)
        except GossipError as error:
            fault = "local" if isinstance(error, LocalError) else "world"
            say(protocol.Failed(fault=fault, what=error.what, why=error.why, next_step=error.next_step))  # type: ignore[arg-type]
        except Exception as error:  # the outermost edge: the node hears of it, and decides
            why = f"{type(error).__name__}: {error}"[:500]
            say(protocol.Failed(fault="world", what="training failed", why=why, next_step="see the log"))
    teller.close()


class _Teller:
    """One session and how to speak of it."""

    def __init__(self, say: Callable[..., None]) -> None:
        from gossip.training.session import Session

        self._say, self._make = say, Session.load
        self._session: Session | None = None

    def answer(self, request: object, payload: bytes) -> None:
        import numpy as np

        from gossip.training import protocol
        from ledger.errors import LocalError

        theta = np.frombuffer(payload, "<f4").astype(np.float32, copy=False)
        match request:
            case protocol.Load():
                self._session, loaded = self._make(
                    request.model,
                    [Path(file) for file in request.files],
                    Path(request.validation) if request.validation else None,
                    theta,
                    salt=bytes.fromhex(request.salt),
                    cache=Path(request.cache) if request.cache else None,
                    keep=Path(request.keep) if request.keep else None,
                    progress=lambda state: self._say(protocol.Progress(state=state)),
                )
                _return_memory()
                self._say(loaded)
            case _ if self._session is None:
                raise LocalError("nothing is loaded yet", next_step="send `load` first")
            case protocol.Train():
                trained, blob = self._session.train(request.round, theta)
                self._say(trained, blob)
            case protocol.Evaluate():
                self._say(self._session.evaluate(theta))
            case _:
                raise LocalError(f"{type(request).__name__} is no question")

    def close(self) -> None:
        if self._session is not None:
            self._session.remember()


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _import_jax() -> None:
    import gossip.training.learner  # noqa: F401


def _return_large_blocks() -> None:
    """Have glibc give every freed megabyte back at once; by default it learns to keep up to 32 MB pieces."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)


def _return_memory() -> None:
    """Give what reading and compiling left behind back to the system: 40 MB of 270 on glibc; elsewhere nothing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    main()
