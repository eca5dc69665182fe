"""Where the control socket lies when a peer's own path is too long for one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from gossip import directory as places
from ledger.errors import LocalError


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /tmp: everybody may write there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"gossip-{os.getuid()}"


DEEP = Path("/somewhere") / ("deep" * 30)


def test_a_long_path_gets_a_short_folder_of_its_owners_alone(shared: Path) -> None:
    path = places.control_path(DEEP)
    assert path.parent == shared
    assert shared.stat().st_mode & 0o777 == 0o700
    assert places.control_path(DEEP) == path


def test_a_folder_that_somebody_else_prepared_is_refused(shared: Path, tmp_path: Path) -> None:
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(LocalError, match="not yours alone"):
        places.control_path(DEEP)
    shared.rmdir()
    (tmp_path / "trap").mkdir(mode=0o700)
    shared.symlink_to(tmp_path / "trap")
    with pytest.raises(LocalError, match="not yours alone"):
        places.control_path(DEEP)
    shared.unlink()
    shared.write_text("in the way")
    with pytest.raises(LocalError, match="not yours alone"):
        places.control_path(DEEP)


def test_programs_are_kept_for_all_swarms_of_a_user_while_nobody_else_may_write_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    kept = places.shared_cache(home)
    assert kept is not None
    assert (kept.parent, kept.stat().st_mode & 0o777) == (home, 0o700)
    kept.chmod(0o777)
    assert places.shared_cache(home) is None
    kept.rmdir()
    (tmp_path / "trap").mkdir(mode=0o700)
    kept.symlink_to(tmp_path / "trap")
    assert places.shared_cache(home) is None
    (tmp_path / "file").write_text("in the way")
    assert places.shared_cache(tmp_path / "file") is None
