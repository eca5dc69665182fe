"""`gossip label CAPTURE --review`: one key each, on a real terminal, and on from where it stopped."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from cli.children import own_environment, own_program
from cli.remembered import REMEMBERED, Remembered
from cli.reviewing import Asked, Review, ranked
from gossip.advisor.review import questions
from gossip.advisor.scored import Scored
from gossip.directory import store_path
from gossip.filterlists.judging import Skip, Standing, judgement_of
from gossip.filterlists.sighting import Sighting
from gossip.judgements import append, judgements_path, read_standing
from ledger.store import PutMeta, Store
from tests.cli.test_label import counted, gossip, in_use, place, some, table

__all__ = ["place"]  # a fixture
WITHIN_S = 60.0


def asked(standing: Standing) -> Asked:
    """Three domains, the first seen on most sites."""
    rows = [
        Scored(Sighting(url=f"https://{host}.test/x.js?session=77aa", page=f"https://s{site}.test/", type="script",
                        third_party=True), 0.3, 0.2, 0.5, False)
        for host, sites in (("many", 5), ("some", 3), ("one", 1)) for site in range(sites)
    ]  # fmt: skip
    found = questions(rows, 0.6, decided=lambda url: standing.find(url) is not None, has_lists=False)
    return Asked(tuple(one for one in found if not standing.is_skipped(one.target)), 0.6, False)


@dataclass
class Pressed:
    """Keys as they are pressed; then the terminal goes."""

    left: Iterator[str]
    forgotten: int = 0

    def forget(self) -> None:
        self.forgotten += 1

    def read(self) -> str:
        return next(self.left, "")


def sit(place: Path, keys: Iterable[str], capsys: pytest.CaptureFixture[str]) -> str:
    now = read_standing(judgements_path(place))
    terminal = Pressed(iter(keys))
    Review(place, asked(now), raw=False, terminal=terminal).run()
    told = capsys.readouterr().out
    assert terminal.forgotten == told.count("  settles ")  # what was typed before a question is no answer to it
    return told


def labels(place: Path) -> dict[str, str]:
    return {one.target: one.label for one in read_standing(judgements_path(place)).judgements}


def test_answers_are_kept_as_they_are_given_and_the_next_sitting_goes_on(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = sit(place, ["x", "\x1b[A", "t", "q"], capsys)  # (an arrow ends in A, and is no "ad")
    assert labels(place) == {"many.test": "tracker"}
    assert "1 of 3  many.test and all below it" in told
    assert "settles       5 requests" in told
    assert "2 questions left" in told
    assert "session=…" in told
    assert "77aa" not in told
    told = sit(place, "s", capsys)
    assert told.lstrip().startswith("1 of 2  some.test")
    told = sit(place, "b", capsys)  # what was skipped is not asked again
    assert told.lstrip().startswith("1 of 1  one.test")
    assert labels(place) == {"many.test": "tracker", "one.test": "benign"}
    assert "nothing to ask" in sit(place, "a", capsys)


def test_what_is_judged_or_skipped_is_no_question_and_what_own_data_hold_is_nothing_new(
    place: Path, tmp_path: Path
) -> None:
    in_use(place, counted(some(0)))
    capture = table(tmp_path / "capture.jsonl", some(400, 60))
    first, second, third, *_ = ranked([capture], None, place).questions
    assert not first.is_unseen  # nobody knows what own data hold: there are none
    said = judgement_of(first.target.url if first.target.covers == "url" else first.target.text, "ad", time=1)
    append(place, said)
    append(place, Skip(covers=second.target.covers, target=second.target.text, time=2))
    assert {first.target, second.target}.isdisjoint(one.target for one in ranked([capture], None, place).questions)
    own = [row for row in some(400, 60) if third.sample.seen.url == row.url]
    wishes = Remembered(data=[str(table(tmp_path / "own.jsonl", own))])
    with Store(store_path(place)) as store:
        store.commit([PutMeta(REMEMBERED, msgspec.json.encode(wishes))])
    unseen = {one.target: one.is_unseen for one in ranked([capture], None, place).questions}
    assert (unseen[third.target], any(unseen.values())) == (False, True)


def test_a_sitting_says_what_came_of_it_if_anything_was_judged(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "trains    once it runs again" in sit(place, "tq", capsys)
    assert "trains" not in sit(place, "sq", capsys)


def test_undo_asks_again_also_what_was_skipped_and_not_what_another_sitting_answered(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sit(place, "a\x03", capsys)
    told = sit(place, "usuub", capsys)
    assert told.count("nothing was answered in this sitting") == 2
    assert labels(place) == {"many.test": "ad", "some.test": "benign"}
    assert not read_standing(judgements_path(place)).is_skipped(asked(Standing(())).questions[1].target)


def test_on_a_real_terminal_a_key_is_enough(place: Path, tmp_path: Path) -> None:
    in_use(place, counted(some(0)))
    capture = table(tmp_path / "capture.jsonl", some(400, 60))
    ours, theirs = pty.openpty()
    command = own_program("label", str(capture), "--review", "--dir", str(place))
    program = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=own_environment())
    os.close(theirs)
    said = ""

    def until(text: str) -> None:
        nonlocal said
        while text not in said:
            ready, _, _ = select.select([ours], [], [], WITHIN_S)
            assert ready, said
            try:
                said += os.read(ours, 4096).decode(errors="replace")
            except OSError:  # the far end has closed
                assert text in said, said

    until("[q]uit")
    os.write(ours, b"t")
    until("2 of ")
    assert len(labels(place)) == 1  # kept before the next is asked
    os.write(ours, b"q")
    until("judgement;")
    assert program.wait(WITHIN_S) == 0
    os.close(ours)
    assert list(labels(place).values()) == ["tracker"]
    assert "Traceback" not in said
    assert gossip("label", "--list", "--dir", str(place)).count("tracker") >= 1
