"""What a machine was told can be told again, and it answers the same; where one event was altered it does not."""

from __future__ import annotations

import io
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from gossip.events import Append, Drain, Event, LinkUp, NewKey, Received, Started, Stored, Trained
from gossip.recording import records
from gossip.recording.records import EVENTS, End, Head, Record, Step, decode_event, encode_event, read_records
from gossip.recording.replay import told as in_words
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from tests.recording.tape import Disk, again, record, told


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Disk]:
    path = tmp_path_factory.mktemp("tape") / "run.rec"
    return path, record(path, told().events)


def read(path: Path) -> list[Record]:
    return list(read_records(io.BytesIO(path.read_bytes())))


def steps(path: Path) -> list[Step]:
    return [one for one in read(path) if isinstance(one, Step)]


def test_a_machine_that_hears_the_same_again_answers_the_same(tape: tuple[Path, Disk]) -> None:
    path, disk = tape
    result = again(read(path), disk)
    assert result.differs is None
    assert (result.events, result.ended, result.raised) == (len(told().events), "the node stopped", "")
    assert result.trace == steps(path)[-1].trace.hex()
    kinds = Counter(kind for step in steps(path) for kind in step.effects)
    assert kinds["Append"] > 5
    assert kinds["Keep"] > 10
    assert kinds["KeepWitnessed"] > 3
    assert result.effects == sum(kinds.values())


def test_what_was_looked_up_is_answered_as_it_was_though_the_store_has_gone_on(tape: tuple[Path, Disk]) -> None:
    """The control: with other answers than those noted, the machine goes another way."""
    path, disk = tape
    asked = Counter(type(note).__name__ for step in steps(path) for note in step.looked_up)
    assert {"BlobSought", "WitnessedSought"} <= asked.keys()
    lost = [replace_notes(one) if isinstance(one, Step) else one for one in read(path)]
    result = again(lost, disk)
    assert result.differs is not None
    assert "looked up" in result.differs.text


def replace_notes(step: Step) -> Step:
    return msgspec.structs.replace(step, looked_up=())


@pytest.mark.parametrize("kind", [Received, Trained, LinkUp])
def test_where_one_event_was_altered_the_replay_differs_and_names_it(
    tape: tuple[Path, Disk], kind: type[Event]
) -> None:
    path, disk = tape
    rows = read(path)
    numbers = [number for number, one in enumerate(rows) if isinstance(one, Step) and one.kind == kind.__name__]
    place = numbers[len(numbers) // 2]
    step = rows[place]
    assert isinstance(step, Step)
    event = altered(decode_event(step))
    rows[place] = msgspec.structs.replace(step, event=encode_event(event)[1])
    differs = again(rows, disk).differs
    assert differs is not None
    assert differs.number == place - 1  # behind the head
    assert differs.event == in_words(event)
    assert differs.at_s == pytest.approx(step.now - told().events[0][0])


def altered(event: Event) -> Event:
    match event:
        case Received(message=message):
            return replace(event, message=b"\xff" + message[1:])
        case Trained():
            return replace(event, steps=event.steps + 1)
        case LinkUp():
            return replace(event, key=bytes([event.key[0] ^ 1]) + event.key[1:])
        case _:
            raise AssertionError


def test_another_seed_of_chance_is_seen(tape: tuple[Path, Disk]) -> None:
    path, disk = tape
    head, *rest = read(path)
    assert isinstance(head, Head)
    assert again([msgspec.structs.replace(head, luck=78), *rest], disk).differs is not None


def test_a_recording_is_refused_over_another_ledger(tape: tuple[Path, Disk]) -> None:
    path, disk = tape
    head, *rest = read(path)
    assert isinstance(head, Head)
    for wrong in (msgspec.structs.replace(head, entries=10_000), msgspec.structs.replace(head, history="0" * 64)):
        with pytest.raises(LocalError, match="another store"):
            again([wrong, *rest], disk)


# ------------------------------------------------------------------ keys


def test_every_event_has_a_spelling_but_the_one_that_carries_a_private_key() -> None:
    assert set(EVENTS) == {kind.__name__ for kind in get_args(Event)} - {"NewKey"}
    with pytest.raises(LocalError, match="private key"):
        encode_event(NewKey(PrivateKey.generate(), "0" * 64))


def test_every_event_of_a_life_reads_back_as_it_was() -> None:
    seen = set()
    for _, event in told().events:
        kind, spelled = encode_event(event)
        step = Step(0.0, kind, spelled, (), (), bytes(16), "")
        assert decode_event(step) == event
        seen.add(kind)
    assert {"Started", "Found", "LinkUp", "Received", "DataReady", "Trained", "Stored", "Timer", "Drain"} <= seen


def test_a_change_of_keys_ends_the_recording_and_says_so_and_no_key_is_in_the_file(tmp_path: Path) -> None:
    it, fresh = told(), PrivateKey.from_seed(bytes(range(32)))
    now = it.events[40][0]
    events = (*it.events[:40], (now, NewKey(fresh, "0" * 64)), *it.events[40:50])
    complaints: list[str] = []
    disk = record(path := tmp_path / "run.rec", events, complaints)
    assert len(complaints) == 1
    assert "the owner changed keys" in complaints[0]
    rows = read(path)
    assert rows[-1] == End("the owner changed keys, and no private key is recorded")
    assert len(rows) == 42  # a head, forty steps, the end
    assert again(rows, disk).differs is None
    data = path.read_bytes()
    assert it.key.public in data
    for key in (it.key, fresh):
        assert secret_of(key) not in data
        assert secret_of(key).hex().encode() not in data


def secret_of(key: PrivateKey) -> bytes:
    return key._key.private_bytes_raw()


# ------------------------------------------------------------------ what stands in its way


def test_a_machine_that_raises_is_recorded_and_raises_again(tmp_path: Path) -> None:
    """Which is what recordings are for."""
    it = told()
    events = (*it.events[:30], (it.events[30][0], Stored(10**6)))
    with pytest.raises(LocalError, match="entries that were not written"):
        record(path := tmp_path / "run.rec", events)
    rows = read(path)
    assert [one.raised for one in rows if isinstance(one, Step)] == [""] * 30 + ["LocalError"]
    disk = record(tmp_path / "same.rec", events[:30])
    result = again(rows, disk)
    assert (result.differs, result.raised, result.events) == (None, "LocalError", 31)

    *most, last, end = rows
    assert isinstance(last, Step)
    calm = again([*most, msgspec.structs.replace(last, raised=""), end], disk).differs
    assert calm is not None
    assert "it raised LocalError" in calm.text
    surprised = again([*most[:-1], msgspec.structs.replace(most[-1], raised="KeyError"), end], disk).differs
    assert surprised is not None
    assert "raised KeyError when it was recorded" in surprised.text


def test_what_has_no_spelling_ends_the_recording_and_not_the_node(tmp_path: Path) -> None:
    it, complaints = told(), list[str]()
    odd = Received(10**6, ())  # type: ignore[arg-type]
    record(path := tmp_path / "run.rec", (*it.events[:30], (it.events[30][0], odd), *it.events[30:40]), complaints)
    assert len(complaints) == 1
    assert "Received has no spelling" in complaints[0]
    assert len(read(path)) == 32  # a head, thirty steps, the end


def test_a_full_disk_ends_the_recording_and_not_the_node(tmp_path: Path) -> None:
    path = Path("/dev/full")
    if not path.exists():
        pytest.skip("this system has no /dev/full")
    it, complaints = told(), list[str]()
    (tmp_path / "full").symlink_to(path)
    from gossip.recording import recorder

    made = recorder.Recorder(tmp_path / "new", complaints.append)
    made._file.close()  # type: ignore[union-attr]
    made._file = path.open("wb", buffering=64)

    class Machine:
        def handle(self, event: Event, now: float) -> tuple[Append, ...]:
            return (Append(0, b"entry", None),)

    with made:
        made.shelf(Disk(it.own).memory)
        made.begin(it.start, it.swarm, it.founder, it.own, it.key.public, it.history)
        for now, event in it.events[:20]:
            assert made.handle(Machine(), event, now) == (Append(0, b"entry", None),)
    assert len(complaints) == 1
    assert "No space left" in complaints[0]


def test_a_file_that_is_there_is_not_overwritten_and_a_new_one_is_its_owners_alone(tape: tuple[Path, Disk]) -> None:
    path, _ = tape
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(LocalError, match="there already"):
        record(path, told().events)
    assert path.read_bytes() == before


# ------------------------------------------------------------------ the file


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(tape: tuple[Path, Disk]) -> None:
    path, disk = tape
    data = path.read_bytes()
    for cut in (len(data) - 1, len(data) // 2, 2 * len(data) // 3):
        rows = list(read_records(io.BytesIO(data[:cut])))
        assert isinstance(rows[-1], End)
        assert "breaks off" in rows[-1].reason
        result = again(rows, disk)
        assert result.differs is None
        assert result.events == len(rows) - 2


def bad_files(data: bytes, rows: list[Record]) -> Iterator[tuple[bytes, str]]:
    from gossip.recording.records import MAGIC, encode_record

    head, first, *_ = rows
    assert isinstance(head, Head)
    assert isinstance(first, Step)
    step, size = encode_record(first), len(MAGIC)
    yield b"", "no recording"
    yield data[1:], "no recording"
    yield MAGIC, "how the machine began"
    yield MAGIC + step, "how the machine began"
    yield MAGIC + b"\xff\xff\xff\xff" + data[size + 4 :], "4294967295 bytes"
    yield MAGIC + encode_record(head) * 2, "begins twice"
    yield data + b"\0", "after its end"
    late = msgspec.structs.replace(first, now=first.now - 1)
    yield MAGIC + encode_record(head) + step + encode_record(late), "time goes back"
    yield MAGIC + encode_record(msgspec.structs.replace(head, key=b"short")), "5 bytes"
    yield MAGIC + encode_record(msgspec.structs.replace(head, luck=1 << 63, entries=-1)), "out of bounds"
    yield MAGIC + encode_record(head) + encode_record(msgspec.structs.replace(first, now=float("nan"))), "no time"
    yield MAGIC + encode_record(head) + encode_record(msgspec.structs.replace(first, trace=b"1")), "1 bytes"
    body = bytearray(encode_record(End("x")))
    longer = b"\x92\xa3end\xd9\x01x"  # the same text behind a longer prefix
    yield MAGIC + encode_record(head) + len(longer).to_bytes(4, "little") + longer, "spelled another way"
    body[5] ^= 0xFF
    yield MAGIC + encode_record(head) + bytes(body), "cannot be read"


def test_a_file_that_is_no_recording_is_refused_in_a_line(tape: tuple[Path, Disk]) -> None:
    path, _ = tape
    for number, (data, why) in enumerate(bad_files(path.read_bytes(), read(path))):
        with pytest.raises(LocalError) as error:
            list(read_records(io.BytesIO(data)))
        assert why in str(error.value), number
        assert "\n" not in str(error.value)


def test_errors_name_the_version_that_wrote_it_and_the_one_that_reads(tape: tuple[Path, Disk]) -> None:
    data = tape[0].read_bytes()
    assert data.startswith(f"gossip-recording/{records.FORMAT} {records.PROGRAM}\n".encode())
    rest = data[len(records.MAGIC) :]
    older = b"gossip-recording/1\n" + rest
    other = f"gossip-recording/{records.FORMAT} 0.0.7\n".encode() + rest
    assert len(list(read_records(io.BytesIO(other)))) == len(read(tape[0]))
    with pytest.raises(LocalError, match=f"has format 1.*this is gossip {re.escape(records.PROGRAM)}.*reads format 2"):
        list(read_records(io.BytesIO(older)))
    broken = other[:-20] + bytes(20)
    with pytest.raises(LocalError, match=f"written by gossip 0.0.7; this is gossip {re.escape(records.PROGRAM)}"):
        list(read_records(io.BytesIO(broken)))


def test_the_step_that_is_shown_is_one() -> None:
    (shown,) = re.findall(r"^    (2d0000[0-9a-f ]+)$", records.__doc__ or "", re.MULTILINE)
    data = bytes.fromhex(shown)
    step = records.decode_record(data[4:])
    assert isinstance(step, Step)
    assert decode_event(step) == Started()
    assert records.encode_record(step) == data


def test_an_event_of_no_kind_or_of_another_spelling_is_refused() -> None:
    started = encode_event(Started())[1]
    for kind, event in (
        ("NewKey", started),
        ("Nothing", started),
        ("Stored", started),
        ("Drain", msgspec.Raw(b"\xc0")),
    ):
        with pytest.raises(LocalError, match="cannot be read"):
            decode_event(Step(0.0, kind, event, (), (), bytes(16), ""))
    assert decode_event(Step(0.0, "Drain", encode_event(Drain())[1], (), (), bytes(16), "")) == Drain()
