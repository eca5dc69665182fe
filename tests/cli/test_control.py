"""Asking a node over its socket: answers, refusals, silence, nonsense, and no node at all."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli import control
from gossip.directory import control_path
from ledger.errors import LinkError, LocalError


@contextmanager
def node(place: Path, *answers: bytes | None) -> Iterator[list[bytes]]:
    """A node that gives one answer (None: never) to each question."""
    heard: list[bytes] = []
    done = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(control_path(place)))
        server.listen()

        def serve() -> None:
            for answer in answers:
                try:
                    link, _ = server.accept()
                except OSError:  # nobody asks any more
                    return
                with link:
                    heard.append(link.makefile("rb").readline())
                    if answer is None:
                        done.wait(10)
                    else:
                        link.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield heard
        finally:
            done.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_question_and_its_answer(tmp_path: Path) -> None:
    with node(tmp_path, b'{"ok":true,"ticket":"gossip1-x"}\n') as heard:
        assert control.ask(tmp_path, "invite", uses=3) == {"ok": True, "ticket": "gossip1-x"}
    assert json.loads(heard[0]) == {"command": "invite", "uses": 3}


def test_no_node_is_an_answer(tmp_path: Path) -> None:
    assert control.ask(tmp_path, "status") is None


def test_a_socket_left_by_kill_9_is_no_node(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(control_path(tmp_path)))
    assert control.ask(tmp_path, "status") is None


def test_a_refusal_is_the_users_to_solve(tmp_path: Path) -> None:
    refusal = b'{"ok":false,"error":"only the founder can invite"}\n'
    with node(tmp_path, refusal), pytest.raises(LocalError, match="only the founder"):
        control.ask(tmp_path, "invite")


@pytest.mark.parametrize("answer", [b"", b"[]\n", b'{"ok":tru', b"\xff\xfe\n"])
def test_nonsense_or_a_sudden_end_is_the_nodes_fault(tmp_path: Path, answer: bytes) -> None:
    with node(tmp_path, answer), pytest.raises(LinkError):
        control.ask(tmp_path, "status")


def test_a_node_that_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    with node(tmp_path, None), pytest.raises(LinkError, match="does not answer"):
        control.ask(tmp_path, "status", timeout_s=0.05)
