"""When a peer waits for others: by how late their updates come, with hysteresis, and said."""

from __future__ import annotations

from gossip.events import Note
from gossip.peer.outbox import Outbox
from gossip.peer.tempo import MOST_ROUNDS, MOST_S, Tempo


def told(out: Outbox) -> list[dict[str, object]]:
    return [effect.fields for effect in out.take() if isinstance(effect, Note) and effect.kind == "tempo"]


def test_the_tempo_follows_the_lag_and_each_switch_is_told_with_its_reason() -> None:
    out = Outbox()
    tempo = Tempo("adaptive", out)
    modes = []
    for lag_s in (0.1, 0.9, 1.1, 0.9, 0.6, 0.4, 0.9):
        tempo.measured(lag_s, 1.0)
        modes.append(tempo.mode)
    assert modes == ["eager", "eager", "paced", "paced", "paced", "eager", "eager"]
    assert told(out) == [
        {"mode": "paced", "reason": "others' updates come 1.1 rounds late"},
        {"mode": "eager", "reason": "others' updates come 0.4 rounds late"},
    ]


def test_a_paced_peer_pauses_as_long_as_most_updates_take_and_never_without_end() -> None:
    tempo = Tempo("adaptive", Outbox())
    assert tempo.pause_s(4.0, 1.0) == 0.0
    tempo.measured(4.0, 1.0)
    assert tempo.pause_s(4.0, 1.0) == 4.0
    assert tempo.pause_s(1000.0, 1.0) == MOST_ROUNDS
    assert tempo.pause_s(1000.0, 100.0) == MOST_S


def test_what_its_owner_fixes_stays() -> None:
    out = Outbox()
    eager, paced = Tempo("eager", out), Tempo("paced", out)
    for tempo in (eager, paced):
        tempo.measured(100.0, 1.0)
        tempo.measured(0.0, 1.0)
    assert (eager.mode, paced.mode) == ("eager", "paced")
    assert told(out) == []
