"""The gate lets out what the table says and not one thing more, and nobody else can say that it did."""

from __future__ import annotations

import ast
import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gossip import egress
from gossip.egress import (
    ANYBODY,
    KINDS,
    NEVER,
    Delta,
    Facts,
    Kind,
    Receiver,
    Records,
    Released,
    Shard,
    Sketch,
    Withheld,
    ZoneSetting,
    release,
    require,
)
from gossip.openings import open_records, sketch_of
from ledger.errors import LocalError
from ledger.opening import is_opening, public_salt
from ledger.provenance import commit_records
from tests.egress.policies import disagreements

ROOT = Path(__file__).resolve().parents[2]
POLICIES = 100_000
OF = "5d" * 32
AUDITOR = Receiver("aa" * 32, "auditor")


def leave_for_records(to: Receiver = AUDITOR, of: str = OF) -> Released[Records]:
    given = release(ZoneSetting("public"), Records, of=of, to=to)
    assert isinstance(given, Released)
    return given


def test_of_a_hundred_thousand_random_policies_none_lets_more_out_than_the_table_says() -> None:
    wrong, released, withheld = disagreements(release, POLICIES, seed=4)
    assert wrong == []
    assert released > POLICIES // 5  # a gate that is always shut would be right about every secret, too
    assert withheld > POLICIES // 5


def _opened(*kinds: type[Kind]) -> Any:
    """The gate with one of its rules taken out: these kinds are not looked at any more."""

    def objection(setting: ZoneSetting, kind: type[Kind], to: Receiver) -> str:
        return "" if kind in kinds else egress_objection(setting, kind, to)

    return objection


egress_objection = egress._objection


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (egress.Ledger, Facts, Delta)])
def test_a_gate_that_forgets_one_kind_is_noticed(kind: type[Kind], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "_objection", _opened(kind))
    wrong, *_ = disagreements(release, 2_000, seed=4)
    assert wrong
    assert all(line.startswith(kind.__name__) for line in wrong)


@pytest.mark.parametrize("zone", ["private", "Public", "public ", ""])
def test_records_and_sketches_of_what_is_not_public_go_to_nobody_whoever_is_named(zone: Any) -> None:
    for opens in ((), ("auditor",), (AUDITOR.peer,), ("admin", "auditor", "trainer")):
        for kind in (Records, Sketch):
            for to in (AUDITOR, Receiver("bb" * 32, "admin"), ANYBODY):
                assert isinstance(release(ZoneSetting(zone, opens), kind, of=OF, to=to), Withheld)


def test_records_go_to_whom_the_owner_names_by_role_or_id_and_to_no_other_member() -> None:
    setting = ZoneSetting("public", ("auditor", "cc" * 32))
    assert isinstance(release(setting, Records, of=OF, to=AUDITOR), Released)
    assert isinstance(release(setting, Records, of=OF, to=Receiver("cc" * 32, "trainer")), Released)
    refused = release(setting, Records, of=OF, to=Receiver("bb" * 32, "trainer"))
    assert refused == Withheld(Records, Receiver("bb" * 32, "trainer"), "its owner named others")
    assert isinstance(release(setting, Records, of=OF, to=Receiver("cc" * 32, "")), Withheld)  # no member any more


def test_shards_go_to_those_who_train_and_are_named_and_of_restricted_data_to_fewer() -> None:
    ann, bob = Receiver("aa" * 32, "trainer"), Receiver("bb" * 32, "trainer")
    lent = ZoneSetting("public", lends=(ann.peer,))
    assert isinstance(release(lent, Shard, of=OF, to=ann), Released)
    for setting, to, why in (
        (lent, bob, "lends nothing to that peer"),
        (ZoneSetting("public"), ann, "lends nothing to that peer"),
        (lent, Receiver(ann.peer, "auditor"), "members who train"),
        (lent, Receiver(ann.peer, ""), "members who train"),  # no member any more
        (ZoneSetting("private", lends=(ann.peer,)), ann, "zone is private"),
        (ZoneSetting("public", ("auditor",), lends=(ann.peer,)), ann, "named others"),
    ):
        given = release(setting, Shard, of=OF, to=to)
        assert isinstance(given, Withheld)
        assert why in given.why
    assert isinstance(release(ZoneSetting("public", (ann.peer,), lends=(ann.peer,)), Shard, of=OF, to=ann), Released)


def test_what_never_leaves_leaves_no_zone() -> None:
    for kind in NEVER:
        assert isinstance(release(ZoneSetting("public"), kind, of=OF, to=AUDITOR), Withheld)


# ------------------------------------------------------------------ leave cannot be made up


def test_nobody_but_the_gate_makes_leave() -> None:
    with pytest.raises(LocalError, match="only the gate releases"):
        Released(Records, OF, AUDITOR, seal=object())
    with pytest.raises(LocalError, match="one kind of leave"):
        type("Forged", (Released,), {})
    blank = object.__new__(Released)
    for forged in (blank, None, True, (Records, OF, AUDITOR), Withheld(Records, AUDITOR, "")):
        with pytest.raises(LocalError, match="without the gate's leave"):
            require(forged, Records, of=OF, to=AUDITOR)


def test_leave_is_not_changed_copied_or_sent_elsewhere() -> None:
    leave = leave_for_records()
    with pytest.raises(LocalError):
        leave.to = ANYBODY
    for spread in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(LocalError, match="travels nowhere"):
            spread(leave)


@pytest.mark.parametrize(
    ("kind", "of", "to"), [(Sketch, OF, AUDITOR), (Records, "6e" * 32, AUDITOR), (Records, OF, ANYBODY)]
)
def test_leave_for_one_thing_is_none_for_another(kind: type[Kind], of: str, to: Receiver) -> None:
    leave = leave_for_records()
    require(leave, Records, of=OF, to=AUDITOR)
    with pytest.raises(LocalError, match="something else would leave"):
        require(leave, kind, of=of, to=to)


def test_the_type_checker_refuses_leave_for_a_sketch_where_records_are_opened(tmp_path: Path) -> None:
    program = """
from gossip.egress import Receiver, Records, Released, Sketch, Withheld, ZoneSetting, release
def opens(leave: Released[Records]) -> None: ...
to = Receiver("aa", "auditor")
given = release(ZoneSetting("public"), {kind}, of="5d", to=to)
{guard}
opens(given)
"""
    for name, kind, guard in (
        ("right", "Records", "assert isinstance(given, Released)"),
        ("other", "Sketch", "assert isinstance(given, Released)"),
        ("unasked", "Records", ""),
    ):
        (tmp_path / f"{name}.py").write_text(program.format(kind=kind, guard=guard))
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *map(str, tmp_path.glob("*.py"))], cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 1, told.stdout
    wrong = [line for line in told.stdout.splitlines() if ": error: " in line]
    assert {Path(line.partition(":")[0]).stem for line in wrong} == {"other", "unasked"}, told.stdout
    assert all("[arg-type]" in line for line in wrong), told.stdout


# ------------------------------------------------------------------ and everybody must ask for it


def test_openings_and_sketches_are_made_of_the_very_data_that_the_gate_was_asked_about() -> None:
    swarm, signature = "2a" * 32, "9f" * 64
    records = [(b"page %d" % number, b"ad") for number in range(300)]
    leaves = bytearray()
    root = commit_records(records, public_salt(swarm), keep=leaves.extend).root
    setting = ZoneSetting("public")
    right = leave_for_records(of=root)
    blob = open_records(right, AUDITOR, bytes(leaves), records, swarm=swarm, signature=signature, count=5)
    assert is_opening(blob)
    for leave, to in ((leave_for_records(), AUDITOR), (right, Receiver("bb" * 32, "auditor"))):
        with pytest.raises(LocalError, match="something else would leave"):
            open_records(leave, to, bytes(leaves), records, swarm=swarm, signature=signature, count=5)
    for of, is_made in ((root, True), (OF, False)):
        for_all = release(setting, Sketch, of=of, to=ANYBODY)
        assert isinstance(for_all, Released)
        if is_made:
            assert len(sketch_of(for_all, bytes(leaves))) > 256 * 64
        else:
            with pytest.raises(LocalError, match="something else would leave"):
                sketch_of(for_all, bytes(leaves))


def test_only_what_demands_leave_makes_openings_and_sketches() -> None:
    """The ledger's own makers take any leaves: in a peer one module calls them, and takes the gate's word along."""
    makers = {"make_opening", "make_shards", "make_sketch"}
    users = set()
    for file in [*(ROOT / "gossip").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        nodes = list(ast.walk(ast.parse(file.read_text())))
        named = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        named |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
        if named & makers:
            users.add(str(file.relative_to(ROOT)))
    assert users == {"gossip/openings.py"}
