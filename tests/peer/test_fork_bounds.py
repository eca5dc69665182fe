"""What is held of a branch before it is known to be the one that was cited."""

from __future__ import annotations

from copy import copy

import pytest

from gossip.limits import Limits
from gossip.wire.frames import Want
from tests.peer.bench import frames_to
from tests.peer.test_bad_member import data, dropped
from tests.peer.test_forks import Story, other_branch, rows_of, seen, show


@pytest.mark.parametrize("limit", [4096, 1 << 20], ids=["too long", "long"])
def test_a_branch_that_goes_on_without_end_is_not_held_back_without_end(limit: int) -> None:
    """Only its last entry shows whether a branch is the one that was cited: until then it costs so much and no more."""
    story = Story(limits=Limits(branch_bytes=limit))
    bench = story.bench
    twin = other_branch(story.forker, 1, longer=30)
    story.prove(twin, 3)
    story.honest.add(data(**story.honest.chain([story.founder, seen(twin)])))
    bench.say(2, story.honest.frame(1))
    answer = bench.say(2, rows_of(story.honest, 1, story.founder, twin))
    while (want := [f for f in frames_to(answer, 2) if isinstance(f, Want) and f.log == twin.log][-1]).start > 1:
        answer = bench.say(2, show(twin, want.start))
    part = copy(twin)
    part.entries = twin.entries[:20]
    answer = bench.say(2, part.frame(1))
    assert dropped(answer) == ([2] if limit == 4096 else [])
    assert sum(tape.held_bytes for tape in bench.machine._tapes.branches(twin.log)) <= limit
    if limit > 4096:
        bench.say(2, twin.frame(20))
    assert len(bench.book.replica.strands(twin.log)) == (1 if limit == 4096 else 2)
