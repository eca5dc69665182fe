"""A model file: what is written is read, what is not spelled like that is refused with a reason, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gossip import model_file
from gossip.model_file import FORMAT, ModelFile, is_model_file, read_model_file, write_model_file
from ledger.errors import LocalError
from tests.advisor.models import MEASURED, TRAINED, spec, weights
from tests.advisor.models import model_file as made


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = made(tmp_path / "m.gossip")
    found = read_model_file(path)
    assert (found.spec, found.calibration, found.trained) == (spec(), MEASURED, TRAINED)
    np.testing.assert_array_equal(found.theta, weights())
    assert is_model_file(path)
    before = path.read_bytes()
    assert made(path).read_bytes() == before  # over its like it is written, and with the same bytes
    assert [each.name for each in tmp_path.iterdir()] == ["m.gossip"]


def test_nothing_else_is_written_over(tmp_path: Path) -> None:
    other = tmp_path / "thesis.txt"
    other.write_text("all of it")
    for path in (other, tmp_path, tmp_path / "nowhere" / "m.gossip"):
        with pytest.raises(LocalError, match="cannot write"):
            made(path)
    assert other.read_text() == "all of it"
    odd = weights()
    odd[7] = np.nan
    with pytest.raises(LocalError, match="not all are finite"):
        write_model_file(tmp_path / "m.gossip", ModelFile(spec(), odd, MEASURED, TRAINED))


def header(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: change(data.partition(b"\n")[0]) + b"\n" + data.partition(b"\n")[2]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda data: b"", "does not end"),
        (lambda data: data.partition(b"\n")[0], "does not end"),
        (lambda data: b"\0" * (2 << 20), "does not end within 1 MiB"),
        (lambda data: data[:-1], "12,288 bytes of parameters"),
        (lambda data: data + b"\0", "12,288 bytes of parameters"),
        (lambda data: data[:-4] + b"\0\0\xc0\x7f", "a parameter is no number"),
        (header(lambda line: line.replace(FORMAT.encode(), b"gossip-scorer/9")), "its format is gossip-scorer/9"),
        (header(lambda line: line.replace(b":", b": ", 1)), "not spelled"),
        (header(lambda line: line.replace(b'"rounds":60', b'"rounds":60.0')), "rounds|not spelled"),
        (header(lambda line: line[:-1] + b',"more":1}'), "unknown field|more"),
        (header(lambda line: line.replace(b'"threshold":0.9', b'"threshold":7')), "threshold|<= 1"),
        (header(lambda line: line.replace(b'"shape":[1024,3]', b'"shape":[1024,4]')), "not that of its declaration"),
        (header(lambda line: line.replace(b'"labels":{"ad"', b'"labels":{"ape"')), "a class that it does not have"),
        (header(lambda line: line.replace(b'\\"model\\":1', b'\\"model\\":2')), "declaration"),
        (header(lambda line: b"[" * 100_000), "recursion|JSON|malformed|Expected"),
    ],
)  # fmt: skip
def test_each_way_to_be_wrong_is_told(tmp_path: Path, wrong: Callable[[bytes], bytes], why: str) -> None:
    path = made(tmp_path / "m.gossip")
    path.write_bytes(wrong(path.read_bytes()))
    with pytest.raises(LocalError, match=f"(?i){why}"):
        read_model_file(path)


@given(st.data())
def test_no_changed_byte_of_the_first_line_goes_unseen(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Either it is refused, or it says something else, and says that in its one spelling."""
    path = made(tmp_path_factory.mktemp("any") / "m.gossip")
    whole = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, whole.index(b"\n") - 1))
    whole[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    path.write_bytes(bytes(whole))
    try:
        found = read_model_file(path)
    except LocalError:
        return
    assert (found.spec, found.calibration, found.trained) != (spec(), MEASURED, TRAINED)
    assert model_file.header_bytes(found) == bytes(whole[: whole.index(b"\n") + 1])


def test_it_says_of_what_it_was_made_and_no_path(tmp_path: Path) -> None:
    line = made(tmp_path / "m.gossip").read_bytes().partition(b"\n")[0]
    assert b'"licence":"MPL-2.0","name":"mon.har"' in line
    assert str(tmp_path).encode() not in line
    many = replace(TRAINED, sources=TRAINED.sources * 9_000)
    with pytest.raises(LocalError, match="names too many files"):
        made(tmp_path / "big.gossip", trained=many)
