"""The contracts on imports name modules one by one: one that they forget is bound by nothing."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What reads and writes disks in the ledger, or passes paths to what does. All else decides, and touches none.
ON_DISK = {
    "archive", "audit", "bundle", "bundle_files", "database", "export", "keys", "mark", "private_files", "report",
    "schema", "spill", "store", "stored_logs",
}  # fmt: skip

# Where event loops are; all else of the program is plain functions (cores are bound by a contract of their own).
LOOPS = {
    "cli.bench",  # raw sockets and bare libraries beside ours
    "cli.running", "gossip.training.worker_client", "gossip.transport", "gossip.node.calls", "gossip.node.entering",
    "gossip.node.inviting", "gossip.doctor.answering", "gossip.doctor.beyond", "gossip.doctor.servers",
    "gossip.doctor.examine", "gossip.doctor.itself",
    "gossip.doctor.multicast", "gossip.doctor.talk", "gossip.doctor.way",
    "gossip.node.checking", "gossip.node.learning", "gossip.node.own_data", "gossip.node.rekeying", "gossip.node.shell",
    "gossip.node.timers", "gossip.node.waking", "gossip.node.power", "gossip.node.writer", "gossip.node.written",
    "gossip.node.ahead", "gossip.node.wide",
    "gossip.wide",  # and trio's
}  # fmt: skip


def listed(name: str, key: str = "source_modules") -> set[str]:
    """What the contract whose name begins so lists."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = [contract for contract in contracts if contract["name"].startswith(name)]
    modules = found[key]
    assert len(modules) == len(set(modules))
    return set(modules)


def modules_of(package: str) -> set[str]:
    files = (ROOT / package).rglob("*.py")
    parts = [file.relative_to(ROOT).with_suffix("").parts for file in files]
    return {".".join(part) for part in parts if part[-1] != "__init__"}


def is_under(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def test_every_module_of_the_ledger_decides_or_is_known_to_touch_disks() -> None:
    on_disk = {f"ledger.{name}" for name in ON_DISK}
    pure = listed("what decides in the ledger")
    assert pure | on_disk == modules_of("ledger")
    assert not pure & on_disk


@pytest.mark.parametrize("name", sorted(listed("what decides in the ledger")))
def test_what_decides_opens_no_file(name: str) -> None:
    """Which needs no import."""
    tree = ast.parse((ROOT / name.replace(".", "/")).with_suffix(".py").read_text())
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"open", "eval", "exec", "__import__", "print", "input"}


def test_every_module_of_the_program_has_no_event_loop_or_is_known_to_live_in_one() -> None:
    plain, cores = listed("event loops live"), listed("cores have no IO")
    for module in sorted(modules_of("cli") | modules_of("gossip")):
        assert is_under(module, plain | cores) is not is_under(module, LOOPS), module
    everything = modules_of("cli") | modules_of("gossip")
    for name in plain | cores | LOOPS:
        assert any(is_under(module, {name}) for module in everything), name
