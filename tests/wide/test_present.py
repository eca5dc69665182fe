"""Who asks for peers of other networks on a machine that cannot meet any hears why, and what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gossip.wide.present import broken, missing, require
from ledger.errors import LocalError

BOTH = ("libp2p", "trio")


def provide(site: Path, version: str, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...] = BOTH) -> None:
    """Packages of these names, empty, before all others, and nothing loaded."""
    for name in BOTH:
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in names:
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text("")
        about = site / f"{name}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(site)


@pytest.mark.parametrize("version", ["0.7.9", "0.8.0", "0.2.9"])
def test_an_old_libp2p_is_refused_in_one_line_with_the_way_out(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provide(tmp_path, version, monkeypatch)
    with pytest.raises(LocalError, match=f"libp2p {version} is too old, 0.8.1 is needed") as refused:
        require()
    assert "pipx install --force '.[peer,wide]'" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("version", ["0.8.1", "0.9.0", "1.0", "0.10.0rc1"])
def test_a_libp2p_of_the_least_version_and_later_ones_are_taken(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provide(tmp_path, version, monkeypatch)
    assert missing() == ""
    require()


@pytest.mark.parametrize("names", [(), ("libp2p",), ("trio",)])
def test_without_it_or_what_it_runs_on_nobody_is_met(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provide(tmp_path, "0.8.1", monkeypatch, names)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # as on a machine that has the base alone
    with pytest.raises(LocalError, match="libp2p is not installed"):
        require()


def test_one_that_does_not_load_is_told_in_one_line() -> None:
    text = str(broken(OSError("libgmp.so.10:\n cannot open shared object file" + "!" * 300)))
    assert text.startswith("libp2p does not load: OSError: libgmp.so.10: cannot open")
    assert "pipx install --force" in text
    assert "\n" not in text
    assert len(text) < 300
