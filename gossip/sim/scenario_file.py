"""Scenarios in files: what stands in one is a Scenario, peers named by number or by share.

    about = "Two halves hear nothing of each other for a while."
    seconds = 60.0
    [[cut]]
    share = 0.5
    at = 10.0
    until = 40.0

Why it exists: a finding is a scenario and a seed, and both must fit into a report. Shares make one file good for
swarms of any size: a share takes the peers with the highest numbers, so that the founder, number 0, comes last.

Rules kept here: a key that is not known, a number that is none or a peer that does not exist is a LocalError of one
line that names the file and the place. It refuses to know what scenarios do. docs/simulator.md lists the keys.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Final, Protocol, get_args, get_origin

import msgspec
from msgspec import Meta

from gossip.sim.scenario import BadDisk, Crash, Cut, Fault, Scenario, Signatures, Twin
from ledger.errors import LocalError

MAX_PEERS: Final = 1_000
MAX_SECONDS: Final = 10_000_000  # four months
MAX_FILE_BYTES: Final = 1 << 20

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Length = Annotated[float, Meta(ge=0, le=MAX_SECONDS)]
_PACKAGED: Final = files("gossip.sim") / "scenarios"


class _Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`peers` or `share` says whom a table is about."""

    peers: list[int] | None = None
    share: Share | None = None

    def numbers(self, peers: int) -> tuple[int, ...]:
        if (self.peers is None) == (self.share is None):
            raise LocalError("a table says neither or both of whom it is about", next_step="give either peers or share")
        if self.peers is not None:
            return tuple(self.peers)
        assert self.share is not None
        count = max(1, round(self.share * peers)) if self.share else 0
        return tuple(range(peers - count, peers))


class _Late(_Table):
    at: Seconds


class _Slow(_Table):
    factor: Annotated[float, Meta(gt=0)]


class _Line(_Table):
    bytes_s: Annotated[float, Meta(gt=0)]


class _Pruner(_Table):
    keep: Annotated[int, Meta(ge=0)]


class _Skew(_Table):
    seconds: float


class _Flipped(_Table):
    labels: Share


class _Cheat(_Table):
    fault: Fault


class _Crash(_Table):
    at: Seconds
    down_s: Seconds = 5.0


class _Span(_Table):
    at: Seconds
    until: Seconds


class _Twin(_Table):
    at: Seconds
    until: Seconds | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The keys of a file, as docs/simulator.md has them. What is left out is as in Scenario."""

    about: str = ""
    peers: Annotated[int, Meta(ge=1, le=MAX_PEERS)] = 20
    seconds: Length = 60.0
    settle_s: Length = 60.0
    seed: int = 0
    round_s: Length = 2.0
    loss: Share = 0.0
    delay_s: Seconds = 0.02
    jitter_s: Seconds = 0.01
    duplicate: Share = 0.0
    reorder: Share = 0.0
    held_s: Seconds = 0.5
    churn: Share = 0.0
    torn: bool = False
    signatures: Signatures = "real"
    admins: Annotated[int, Meta(ge=1)] = 1
    threshold: Annotated[int, Meta(ge=1)] = 1
    witnesses: Annotated[int, Meta(ge=0)] = 1
    density: Annotated[float, Meta(gt=0, le=1)] | None = None
    late: list[_Late] = []
    slow: list[_Slow] = []
    line: list[_Line] = []
    skew: list[_Skew] = []
    observer: list[_Table] = []
    leader: list[_Table] = []
    pruner: list[_Pruner] = []
    public: list[_Table] = []
    flipped: list[_Flipped] = []
    cheat: list[_Cheat] = []
    crash: list[_Crash] = []
    cut: list[_Span] = []
    twin: list[_Twin] = []
    disk_full: list[_Span] = []
    disk_error: list[_Span] = []


_TABLES: Final[dict[str, type[_Table]]] = {
    field.name: get_args(field.type)[0] for field in msgspec.structs.fields(_File) if get_origin(field.type) is list
}
_PLACE: Final = re.compile(r"at `\$\.([^`]+)`")
_UNKNOWN: Final = re.compile(r"unknown field `([^`]+)`")
_SAME: Final = (
    "peers", "seconds", "settle_s", "seed", "round_s", "loss", "delay_s", "jitter_s", "duplicate", "reorder", "held_s",
    "churn", "torn", "signatures", "admins", "threshold", "witnesses", "density",
)  # fmt: skip


class _Entry(Protocol):
    """Of a folder on disk or in a package."""

    def read_bytes(self) -> bytes: ...


def scenario_names() -> tuple[str, ...]:
    """The scenarios that come with the program."""
    return tuple(sorted(one.name.removesuffix(".toml") for one in _PACKAGED.iterdir() if one.name.endswith(".toml")))


def about_scenario(name_or_path: str | Path) -> str:
    """What a scenario is there to show, in its own words."""
    return _read(name_or_path)[0].about


def load_scenario(name_or_path: str | Path, peers: int | None = None, seed: int | None = None) -> Scenario:
    """The scenario of that name, or in that file, with so many peers and that seed instead of its own. LocalError if
    there is none, or it makes no sense."""
    file, place = _read(name_or_path)
    if peers is not None:
        if not 1 <= peers <= MAX_PEERS:
            raise LocalError(f"cannot simulate {peers} peers", next_step=f"choose 1 to {MAX_PEERS}")
        file = msgspec.structs.replace(file, peers=peers)
    try:
        scenario = _scenario(file)
    except LocalError as error:
        what = f"{error.what}: {error.why}" if error.why else error.what
        raise LocalError(f"{place} is no scenario", why=what, next_step=error.next_step) from None
    return scenario if seed is None else replace(scenario, seed=seed)


def _read(name_or_path: str | Path) -> tuple[_File, str]:
    data, place = _bytes(name_or_path)
    if len(data) > MAX_FILE_BYTES:
        raise LocalError(f"{place} is no scenario", why=f"it is longer than {MAX_FILE_BYTES} bytes")
    try:
        table = tomllib.loads(data.decode())
        odd = next((path for path, number in _floats(table) if not isfinite(number)), None)
        if odd is not None:
            raise ValueError(f"{odd} is no finite number")
        return msgspec.convert(table, _File), place
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, of a key
        why = " ".join(str(error).split())
        raise LocalError(f"{place} is no scenario", why=why, next_step=_advice(why)) from None


def _advice(why: str) -> str:
    """What to write instead of what the reader of the file objects to; "" where it says so itself."""
    place = _PLACE.search(why)
    keys = place[1].split(".") if place else []
    table = keys[0].partition("[")[0] if keys else ""
    if (unknown := _UNKNOWN.search(why)) is not None:
        kind = _TABLES.get(table, _File)
        choices = [field.name for field in msgspec.structs.fields(kind)]
        near = get_close_matches(unknown[1], choices, 1)
        return f"did you mean {near[0]}?" if near else f"choose of: {', '.join(choices)}"
    if len(keys) == 1 and table in _TABLES and "Expected `array`" in why:
        return f"write [[{table}]], with two brackets"
    if "Invalid enum value" in why and keys:
        return "choose of: " + ", ".join(get_args(Fault if keys[-1] == "fault" else Signatures))
    return ""


def no_such_scenario(name: str, names: Sequence[str]) -> LocalError:
    """What to tell who named one that is not there."""
    near = get_close_matches(name, names, 1, 0.5)
    listed = f"name a .toml file, or one of: {', '.join(names)}"
    return LocalError(
        f"there is no scenario {name!r}", next_step=f"did you mean {near[0]}? If not, {listed}" if near else listed
    )


def _bytes(name_or_path: str | Path) -> tuple[bytes, str]:
    name = str(name_or_path)
    if name in scenario_names():
        return (_PACKAGED / f"{name}.toml").read_bytes(), f"scenario {name}"
    path = Path(name_or_path)
    if path.suffix != ".toml" and path.name == name:
        raise no_such_scenario(name, scenario_names())
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1), name
    except OSError as error:
        raise LocalError(f"cannot read {name}", why=error.strerror or str(error)) from None


def _floats(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _floats(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _floats(inner, f"{path}[{place}]")
    elif isinstance(value, float):
        yield path, value


def _scenario(file: _File) -> Scenario:
    count = file.peers
    return Scenario(
        **{key: getattr(file, key) for key in _SAME},
        late={peer: row.at for row in file.late for peer in row.numbers(count)},
        slow={peer: row.factor for row in file.slow for peer in row.numbers(count)},
        lines={peer: row.bytes_s for row in file.line for peer in row.numbers(count)},
        skew_s={peer: row.seconds for row in file.skew for peer in row.numbers(count)},
        observers=tuple(peer for row in file.observer for peer in row.numbers(count)),
        leaders=tuple(peer for row in file.leader for peer in row.numbers(count)),
        prunes={peer: row.keep for row in file.pruner for peer in row.numbers(count)},
        public=tuple(peer for row in file.public for peer in row.numbers(count)),
        flipped={peer: row.labels for row in file.flipped for peer in row.numbers(count)},
        faults={peer: row.fault for row in file.cheat for peer in row.numbers(count)},
        crashes=tuple(Crash(peer, row.at, row.down_s) for row in file.crash for peer in row.numbers(count)),
        cuts=tuple(Cut(row.at, row.until, row.numbers(count)) for row in file.cut),
        twins=tuple(Twin(peer, row.at, row.until) for row in file.twin for peer in row.numbers(count)),
        disk_full=_bad(file.disk_full, count),
        disk_error=_bad(file.disk_error, count),
    )  # fmt: skip


def _bad(rows: list[_Span], peers: int) -> tuple[BadDisk, ...]:
    return tuple(BadDisk(peer, row.at, row.until) for row in rows for peer in row.numbers(peers))
