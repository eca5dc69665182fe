"""Time to accuracy: how long a few peers take from the start of their commands until all have a good model.

    gossip bench time-to-accuracy --json
    {"system":"gossip","peers":4,"acc":0.91,"t85_s":4.1,"t90_s":5.2,"wall_s":6.0,"cpu_s":9.1,"bytes_per_peer":812345,
     "mb85":0.41,"mb90":0.78,"rss_mb":311.0,"first_merge_s":3.6}                             (one line; figures made up)

Another system's runner prints the same line, and stands beside it. What each figure is:

    start          the moment before the first peer's command is started; all others follow at once, some milliseconds
                   apart. Not counted is what is done once and before: writing each peer's rows to its file, and one
                   person's `gossip new` and `gossip invite --ticket`; and compiling this model once, as this user had
                   it done in an earlier swarm (`--cold`: nobody had, and every peer compiles). Counted is all that
                   follows: starting Python, imports, reading rows, finding one another, joining, training, scoring
    first_merge_s  of each peer from the start of its own command until it has merged an update of another: the last
    t85_s, t90_s   from the start until every peer's newest score of the shared model on the test rows is as high. A
                   peer scores the model that a round began from once that round is trained: it had it earlier
    cpu_s          of all processes of all peers until t90_s, or until the end where that is null
    wall_s         from the start until the last process has ended
    mb85, mb90     10^6 bytes received by a peer until then, on average; bytes_per_peer: until the end
    rss_mb         of the largest peer: each of its processes at its highest, added
    acc            the mean of the peers' newest scores at the end

null is what was not reached, or cannot be had on this system.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from cli.bench import mnist
from cli.bench.figures import Figure, Goal, Section
from cli.bench.race import Moment, Race, Setting, run
from cli.bench.told import METRIC, Told, first, last_accuracy, mean, reached
from gossip.training.spec import ModelSpec, Numbers
from ledger.errors import GossipError, LinkError, LocalError

PEERS: Final = 4
BOUND_S: Final = 60.0
SLOW: Final = 5.0
SYSTEMS: Final = ("gossip", "jax")
FIRST_MERGE: Final = Goal(3.5)
ALL_90: Final = Goal(4.5)
CPU_90: Final = Goal(7)
MB_85: Final = Goal(0.3)
MB_90: Final = Goal(1.0)
RESIDENT: Final = Goal(320)
STALL: Final = Goal(1)
SLOWDOWN: Final = Goal(1.6)


def prepared(
    place: Path, model: str, rows: Path | None, *, peers: int, seed: int, system: str, slow: float, kill: bool,
    bound_s: float, cold: bool,
) -> Setting:  # fmt: skip
    """What is asked for, with every peer's rows on disk. LocalError if a race could not be run or measured."""
    spec = ModelSpec.parse(model)
    if system not in SYSTEMS:
        raise LocalError(f"no system is called {system}", next_step=f"choose from {', '.join(SYSTEMS)}")
    if system != "gossip" and (slow > 1 or kill):
        raise LocalError("one process alone has nobody to wait for", next_step="leave --slow and --kill out")
    if METRIC not in spec.metrics or not isinstance(spec.features, Numbers):
        raise LocalError(
            "time to accuracy cannot be told of this model",
            next_step='let it see numbers/1 and have "metrics": ["accuracy"]',
        )
    inputs, labels = mnist.digits() if rows is None else mnist.table(rows)
    test_rows = min(mnist.TEST_ROWS, len(labels) // 5)
    shares = mnist.write_shares(place, inputs, labels, peers=peers, seed=seed, test_rows=test_rows)
    return Setting(shares, model, seed, bound_s, slow=slow, kill=kill, system=system, cold=cold)


def raced(setting: Setting, keep: Path | None = None) -> Race:
    """One race, in `keep` or in a folder that is gone afterwards."""
    with ExitStack() as stack:
        place = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gossip-bench-")))
        place.mkdir(parents=True, exist_ok=True)
        try:
            return run(setting, place)
        except LinkError as error:
            if keep is not None:
                raise
            raise LinkError(error.what, why=error.why, next_step="--keep FOLDER keeps what it said") from error


def facts(race: Race) -> dict[str, Any]:
    """The line, before it is printed: these keys, in this order."""
    start, (at85, at90) = race.begun[0], race.targets
    peaks = [peak for peak in race.peak_mb if peak is not None]
    merges = first_merges(race)
    return {
        "system": race.setting.system,
        "peers": len(race.told),
        "acc": _rounded(mean(last_accuracy(told) for number, told in _present(race)), 4),
        "t85_s": _rounded(at85.at - start if at85 else None),
        "t90_s": _rounded(at90.at - start if at90 else None),
        "wall_s": _rounded(race.over - start),
        "cpu_s": _rounded((at90 or race.end).cpu_s, 2),
        "bytes_per_peer": round(mean(race.end.received) or 0),
        "mb85": _megabytes(at85),
        "mb90": _megabytes(at90),
        "rss_mb": _rounded(max(peaks), 1) if peaks else None,
        "first_merge_s": _rounded(max(merges) if len(merges) == len(race.told) else None),
    }


def line(race: Race) -> str:
    return json.dumps(facts(race), separators=(",", ":"))


def first_merges(race: Race) -> list[float]:
    """Of each peer that merged anything, seconds from the start of its own command."""
    moments = [first(told, "merged") for told in race.told]
    return [at - begun for at, begun in zip(moments, race.begun, strict=True) if at is not None]


def others_t90(race: Race) -> float | None:
    """Until all but the second peer had reached the last target: what one that is slow costs the rest."""
    others: list[Told] = [told for number, told in enumerate(race.told) if number != 1]
    at = reached(others, 0.9)
    return None if at is None else at - race.begun[0]


# ------------------------------------------------------------------ for people


def figures(race: Race, name: str = "") -> Iterator[Figure]:
    """One race as rows."""
    said, peers = facts(race), len(race.told)
    late = "" if said["t90_s"] else f"not within {race.setting.bound_s:g} s"
    if race.setting.system != "gossip":  # nobody to merge with or to receive from, and the goals are those of a swarm
        yield Figure(f"{name}85%", said["t85_s"], "s")
        yield Figure(f"{name}90%", said["t90_s"], "s", note=late)
        yield Figure(f"{name}CPU until then", said["cpu_s"] if said["t90_s"] else None, "s")
        yield Figure(f"{name}memory", said["rss_mb"], "MB", digits=0)
        yield Figure(f"{name}accuracy at the end", said["acc"], "%")
        return
    merges = " ".join(f"{merge:.1f}" for merge in sorted(first_merges(race)))
    each = f"each: {merges} s; " if merges else ""
    each += "bare JAX mesh 1.8, best of six other systems 6.7"
    yield Figure(
        f"{name}start -> first merged update, last of {peers}", said["first_merge_s"], "s", FIRST_MERGE, note=each
    )
    yield Figure(f"{name}85% on all", said["t85_s"], "s")
    yield Figure(
        f"{name}90% on all", said["t90_s"], "s", ALL_90, note=f"{late and late + '; '}bare mesh 2.3, others from 8.2"
    )
    after = race.end.at - race.begun[0]
    note = f"{race.end.cpu_s or 0:.1f} s to the end, after {after:.1f} s; bare mesh 4.0, others from 14"
    yield Figure(f"{name}CPU until then, all peers", said["cpu_s"] if said["t90_s"] else None, "s", CPU_90, note=note)
    yield Figure(
        f"{name}received by a peer until 85%", said["mb85"], "MB", MB_85, 2, "bare mesh 1.6 (int8), others from 3.5"
    )
    yield Figure(
        f"{name}received by a peer until 90%", said["mb90"], "MB", MB_90, 2, "bare mesh 4.2 (int8), others from 11.7"
    )
    yield Figure(
        f"{name}memory of the largest peer", said["rss_mb"], "MB", RESIDENT, 0, "bare mesh 275, others 242 to 415"
    )
    yield Figure(f"{name}accuracy at the end, mean", said["acc"], "%")
    if race.setting.slow > 1:
        yield Figure(
            f"{name}90% on all but the slow one",
            others_t90(race),
            "s",
            note="to compare with that of a run without --slow",
        )
    if (stalls := race.stalls()) is not None:
        note = (
            f"before: {stalls[1]:.2f} s; within {race.setting.around_s:g} s each; bare mesh 0.05, best other system 0.7"
        )
        yield Figure(f"{name}one killed: longest stall of another", stalls[0], "s", STALL, 2, note)


def measure(*, quick: bool = False) -> Section:
    """One plain race; unless quick also with nothing compiled before, with one peer slowed, with one killed, and JAX in
    one process. What cannot be measured is a row, too."""
    rows: list[Figure] = []
    try:
        rows.extend(_measured(quick))  # one by one: those before a failure stay
    except GossipError as error:
        rows.append(Figure("the rest", None, note=str(error)))
    title = f"time to accuracy: {PEERS} peers as processes, MNIST-5k, Dirichlet {mnist.ALPHA}, one run each"
    return Section(title, tuple(rows))


def _measured(quick: bool) -> Iterator[Figure]:
    inputs, labels = mnist.digits()
    with tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder:
        shares = mnist.write_shares(Path(folder), inputs, labels, peers=PEERS, seed=1, test_rows=mnist.TEST_ROWS)
        plain = Setting(shares, mnist.MODEL, seed=1, bound_s=BOUND_S)
        race = raced(plain)
        yield from figures(race)
        if quick:
            return
        yield from _cold(raced(replace(plain, cold=True)))
        yield from _slowed(race, raced(replace(plain, slow=SLOW)))
        yield from (row for row in figures(raced(replace(plain, kill=True))) if row.name.startswith("one killed"))
        yield from _alone(raced(replace(plain, system="jax")))


def _cold(race: Race) -> Iterator[Figure]:
    said = facts(race)
    note = f"90% on all after {said['t90_s'] or '-'} s, {said['cpu_s']} s of a core"
    yield Figure("nothing compiled before: first merge, last", said["first_merge_s"], "s", note=note)


def _slowed(plain: Race, slowed: Race) -> Iterator[Figure]:
    name = f"one {SLOW:.0f}x slower"
    usual, other = others_t90(plain), others_t90(slowed)
    ratio = other / usual if usual and other else None
    yield Figure(f"{name}: 90% on the others / plain", ratio, "", SLOWDOWN, 2, "bare mesh 1.5, best other system 2.5")
    yield Figure(f"{name}: 90% on all", facts(slowed)["t90_s"], "s")


def _alone(race: Race) -> Iterator[Figure]:
    said = facts(race)
    note = f"{said['cpu_s']} s of a core, {said['rss_mb']} MB"
    yield Figure("single-process JAX, all rows: 85%", said["t85_s"], "s")
    yield Figure("single-process JAX, all rows: 90%", said["t90_s"], "s", note=note)


def _present(race: Race) -> list[tuple[int, Told]]:
    return [(number, told) for number, told in enumerate(race.told) if number not in race.gone]


def _megabytes(moment: Moment | None) -> float | None:
    return None if moment is None else round((mean(moment.received) or 0.0) / 1e6, 3)


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
