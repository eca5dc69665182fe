"""What machines and lines can do, as far as it shows from here: of ourselves, of each link, of each other trainer.

    Trained, published ------> own round: seconds a step, seconds from update to update
    an update is folded -----> its author: seconds from update to update, steps, lag, presence
    a Piece, Entries come ---> a link (pace.py): round trip, bytes a second

From these follow how many local steps the next round takes, what share of the model it publishes, and how many links
are aimed at:

    T       = the middle of what a round of the declared length takes, of all active trainers, us included
    steps   = declared x T / what it takes us, within a quarter (for who is slow: 1) and 4 times the declared ones;
              changed when it is off by three quarters
    density = so that sending an update to all who fetch it of us takes a quarter of T at most, a tenth at the least
    links   = half as many on a slow line that is full

A round's time is normalised by its steps, so that what one peer does about its pace moves nobody else's aim: otherwise
everybody would follow everybody, with no end. Others' steps and clocks are their own words: a liar moves the middle as
far as one voice does. Who is here, how soon updates come, and how much sooner one could have had them goes by our own
clock, and by what their author or two members said. It refuses to know what training is, and it decides nothing but
these three numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from ledger.entry import PeerId, Update

WINDOW: Final = 8  # updates of each trainer
OWN_WINDOW: Final = 3  # own rounds: their length is our own doing, so what was long ago says little
LEAST_HEARD: Final = 3  # updates, until a trainer's pace counts
ABSENT_AFTER: Final = 4  # of its own intervals without a word ...
ABSENT_S: Final = 10.0  # ... and so long
MOST_STEPS: Final = 4  # x declared: longer rounds drift apart where data differ (docs/pace.md)
DEAD_BAND: Final = (
    1.75  # steps are left as they are within this factor: four peers on two cores differ by half by chance
)
FIRST_S: Final = 2.0  # of a round before others' pace is known: who is ten times slower finds that out at once
SENDING_SHARE: Final = 0.25  # of the time between two updates may be spent on sending one
ROOM_BAND: Final = 1.25  # a line must have so much more room than the whole update takes before all of it is sent again
LEAST_DENSITY: Final = 100  # thousandths: error feedback makes less than a tenth very late
SLOW_LINE: Final = 64_000  # bytes a second, below which fewer links are aimed at


@dataclass(slots=True)
class Trainer:
    """What one other trainer has shown."""

    heard: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """Of its newest updates: when each was folded here, the time that it states, its steps."""
    size: int = 0  # of its log as it is held here
    announced: dict[PeerId, tuple[int, int, float]] = field(default_factory=dict)
    """By whom it was said that there are more: how many entries, how many more, and when that was news of that one."""
    lag_s: float = 0.0  # from that to an update in the fold, lately

    @property
    def last_at(self) -> float:
        return self.heard[-1][0] if self.heard else 0.0

    @property
    def span_s(self) -> float:
        """Time between the first and the last update of the window. Who catches up hears many at once, so what their
        author's clock says counts as well."""
        first, last = self.heard[0], self.heard[-1]
        return max(last[0] - first[0], float(last[1] - first[1] - 1))

    @property
    def interval_s(self) -> float:
        """From update to update; 0: not known."""
        return self.span_s / (len(self.heard) - 1) if len(self.heard) >= LEAST_HEARD else 0.0

    @property
    def step_s(self) -> float:
        """Seconds for each local step, everything between two updates included; 0: not known."""
        if len(self.heard) < LEAST_HEARD:
            return 0.0
        return self.span_s / max(1, sum(steps for _, _, steps in list(self.heard)[1:]))

    @property
    def arrival_s(self) -> float:
        """From update to update, as they got here; 0: not known."""
        return (self.last_at - self.heard[0][0]) / (len(self.heard) - 1) if len(self.heard) >= LEAST_HEARD else 0.0

    def is_present(self, now: float) -> bool:
        """Whether it publishes still. By our clock alone: whoever claims years between its updates is not here for
        years."""
        return bool(self.heard) and now - self.last_at <= max(ABSENT_S, ABSENT_AFTER * self.arrival_s)

    def said_at(self, author: PeerId, size: int) -> float | None:
        """When it was news that there are `size` entries: by the author's own word; else by that of two, so that
        nobody alone makes it seem long ago; else, if there is but one to say so, by that one's, of the very next."""
        due = {by: said for by, said in self.announced.items() if said[0] <= size}
        if author in due:
            return due[author][2]
        if len(due) > 1:
            return sorted(at for _, _, at in due.values())[1]
        return next((at for _, more, at in due.values() if more == 1), None)


@dataclass(frozen=True, slots=True)
class Line:
    """Our way to all others."""

    bytes_s: float  # that it took when it was needed; 0: not known
    is_full: bool  # whether it has no room left
    round_trip_s: float  # of most links; 0: not known
    links: int


class Profile:
    """The pace of everybody who trains."""

    def __init__(self) -> None:
        self._trainers: dict[PeerId, Trainer] = {}
        self._own: deque[tuple[float, int]] = deque(maxlen=OWN_WINDOW)  # seconds from update to update, steps
        self._published_at: float | None = None
        self._rounds = 0
        self._epoch_s = 0.0
        self.round_s = 0.0  # of the newest own round, from its beginning to its end
        self.declared = 0  # local steps of a round; 0: every round is as long as the trainer likes
        self.steps = 0  # of the next round

    # -------------------------------------------------------------- what is seen

    def ready(self, declared: int, epoch_s: float) -> None:
        """The trainer has measured a round of the declared length, which may differ from what it was in its last
        life."""
        self.declared, self._epoch_s = declared, epoch_s
        self.steps = min(self.steps or declared, MOST_STEPS * declared)
        self.rested()

    def rested(self) -> None:
        """What follows was not waited for by training: the next interval says nothing."""
        self._published_at = None

    def published(self, steps: int, seconds: float, now: float) -> None:
        """An own round of so many seconds became an update."""
        self._rounds += 1
        self.round_s = seconds
        last, self._published_at = self._published_at, now
        self._own.append((seconds if last is None else now - last, steps))

    def announced(self, by: PeerId, rows: Sequence[tuple[PeerId, int, bytes]], now: float) -> None:
        """A member that we have a link to said which logs have grown."""
        for peer, size, _ in rows:
            trainer = self._trainers.get(peer)
            if trainer is not None and by not in trainer.announced and size > trainer.size:
                trainer.announced[by] = (size, size - trainer.size, now)

    def left(self, by: PeerId) -> None:
        """Our link to that member ended: what it announced will be fetched elsewhere, or much later."""
        for trainer in self._trainers.values():
            trainer.announced.pop(by, None)

    def merged(self, peer: PeerId, update: Update, now: float) -> None:
        """Another trainer's update was folded."""
        trainer = self._trainers.setdefault(peer, Trainer())
        steps = min(update.steps, MOST_STEPS * self.declared) if self.declared else update.steps  # as honest ones do
        trainer.heard.append((now, update.time, steps))
        self.held(peer, update.seq, now, is_update=True)

    def held(self, peer: PeerId, seq: int, now: float, *, is_update: bool = False) -> None:
        """An entry of another peer was admitted."""
        trainer = self._trainers.get(peer)
        if trainer is None:
            return
        trainer.size = max(trainer.size, seq + 1)
        if trainer.announced:
            since = trainer.said_at(peer, trainer.size) if is_update else None
            if since is not None:
                trainer.lag_s += (now - since - trainer.lag_s) / 4 if trainer.lag_s else now - since
            trainer.announced = {by: said for by, said in trainer.announced.items() if said[0] > trainer.size}

    # -------------------------------------------------------------- what follows

    def active(self, now: float) -> Iterator[tuple[PeerId, Trainer]]:
        """Others who publish."""
        return ((peer, trainer) for peer, trainer in self._trainers.items() if trainer.is_present(now))

    def trainers(self) -> Iterator[tuple[PeerId, Trainer]]:
        """Others of whom anything was folded since the start, who is away included."""
        return iter(sorted(self._trainers.items()))

    @property
    def step_s(self) -> float:
        """Our own seconds for each local step, what lies between two rounds included; 0: not known."""
        if not self._own:
            return self._epoch_s / self.declared if self.declared else 0.0
        return sum(seconds for seconds, _ in self._own) / max(1, sum(steps for _, steps in self._own))

    def lag_s(self, now: float, round_trip_s: float) -> float:
        """How long most of the others' updates take to get into the fold here, from when they are announced at the
        other end; a quarter may take longer. 0: not known. Two round trips it takes at the least (entries, delta), and
        half of one until the announcement is here."""
        lags = sorted(trainer.lag_s for _, trainer in self.active(now))
        usual = lags[3 * (len(lags) - 1) // 4] if lags else 0.0
        return max(usual, 2 * round_trip_s) + round_trip_s / 2

    @property
    def own_interval_s(self) -> float:
        """From update to update, as the next round will be; 0: not known."""
        return self.step_s * (self.steps or self.declared)

    def aim_s(self, now: float) -> float:
        """T: how long an update is to take; 0 if nothing is known of others. Of an even number of middles the
        geometric one: two meet halfway."""
        others = sorted(trainer.step_s for _, trainer in self.active(now) if trainer.step_s > 0)
        if not others or not self.declared or not self.step_s:
            return 0.0
        all_of_us = sorted([*others, self.step_s])
        half = len(all_of_us) // 2
        middle = all_of_us[half] if len(all_of_us) % 2 else sqrt(all_of_us[half - 1] * all_of_us[half])
        return middle * self.declared

    def next_steps(self, now: float) -> int:
        """Local steps of the round that begins now; 0: as the trainer likes."""
        aim = self.aim_s(now)
        if aim > 0:
            wanted = min(MOST_STEPS * self.declared, max(1, round(aim / self.step_s), self._least_steps(now)))
            if not 1 / DEAD_BAND <= wanted / self.steps <= DEAD_BAND:
                self.steps = wanted
        elif self._rounds < LEAST_HEARD and self.step_s:
            self.steps = min(self.declared, max(1, round(FIRST_S / self.step_s)))
        else:
            self.steps = self.declared
        return self.steps

    def _least_steps(self, now: float) -> int:
        """A quarter of the declared steps, unless others' updates really come faster than ours of so many steps would:
        when they get here shows by our clock, how many steps were taken for them is a word."""
        arrivals = sorted(trainer.arrival_s for _, trainer in self.active(now) if trainer.step_s > 0)
        usual = arrivals[len(arrivals) // 2]
        least = self.declared // MOST_STEPS
        return min(least, int(usual / self.step_s)) if usual else least  # 0: all came at once, which says nothing

    def density_permille(self, now: float, size_bytes: int, density: int, bandwidth: float, fetchers: int) -> int:
        """Of the declared share of elements, how much the next update publishes; 0: all. The last one, made at
        `density`, had `size_bytes`, and so many `fetchers` asked us for it, on a line of `bandwidth` bytes a second
        (0: not known)."""
        interval = self.aim_s(now) or self.own_interval_s
        if not (bandwidth and size_bytes and fetchers and interval):
            return 0
        whole = size_bytes * 1000 / (density or 1000)
        room = SENDING_SHARE * interval * bandwidth / (whole * fetchers)
        if room >= (1.0 if not density else ROOM_BAND):
            return 0
        return max(LEAST_DENSITY, min(1000, round(1000 * min(1.0, room))))


def links_for(line: Line, links: int, least: int) -> int:
    """How many links a line is good for, where `links` are usual: half as many, if it is slow and full."""
    is_slow = line.is_full and 0 < line.bytes_s < SLOW_LINE
    return min(links, max(least, links // 2)) if is_slow else links
