"""What the training process, or one beside it, is asked about data: to open its own, to look at others', to judge."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from gossip.filterlists.requests import file_digest, read_requests
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.training import protocol
from gossip.training.checks import JUDGED_ROWS, Checks
from gossip.training.dataset import read_judged
from gossip.training.protocol import Inspect, Judge, Open, OwnData, Pin
from gossip.training.scoring import probabilities, score
from gossip.training.session import Session
from gossip.training.spec import FILTERLIST, ModelSpec
from gossip.training.worker_client import TrainerProcess
from ledger.errors import LinkError, LocalError
from ledger.opening import public_salt, verify_opening
from ledger.provenance import Commitment, commit_records
from ledger.sketch import verify_sketch

SPEC = ModelSpec.parse(FILTERLIST)
SWARM = "2a" * 32
AUDITOR = "77" * 32
SIGNATURE = "9f" * 64
START = NumpyArithmetic().to_float32(NumpyArithmetic().start(SPEC.layout(), "22" * 32))
BLIND = (START.reshape(-1, len(SPEC.classes)) + np.float32([1, 0, 0])).ravel()  # to it everything is benign
LIST = "! Title: A list\n! Version: 7\n||ads.example^\n"


def row(number: int, *, site: str = "news", wrong: bool = False) -> dict[str, object]:
    """Every other request is to ads.example."""
    ad = number % 2 == 0
    host = "ads.example" if ad else "cdn.example"
    label = "ad" if ad is not wrong else "benign"
    url = f"https://{host}/{number}.js"
    return {"page": f"https://{site}{number % 7}.example/", "url": url, "type": "script", "label": label}


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


@pytest.fixture
def published(tmp_path: Path) -> OwnData:
    """A public file of 300 requests, committed to; all of it is trained on."""
    file = write(tmp_path / "mine.jsonl", [row(number) for number in range(300)])
    held_out = write(tmp_path / "held-out.jsonl", [row(number, site="other") for number in range(60)])
    return OwnData(
        model=FILTERLIST, files=[str(file)], validation=str(held_out), salt="01" * 32, swarm=SWARM, zone="public",
        opens=["auditor"], pins=[file_digest(file)], leaves=str(tmp_path / "leaves"),
    )  # fmt: skip


@pytest.fixture
async def checker() -> AsyncIterator[TrainerProcess]:
    async with TrainerProcess(trains=False) as started:
        yield started


def asks(own: OwnData, root: str, *, role: str = "auditor", count: int = 20) -> Open:
    return Open(own=own, root=root, peer=AUDITOR, role=role, signature=SIGNATURE, count=count)


def committed(own: OwnData) -> Commitment:
    records = [(request.key, request.value) for request in read_requests(Path(own.files[0]))]
    with Path(own.leaves).open("wb") as kept:
        return commit_records(records, public_salt(SWARM), keep=kept.write)


# ------------------------------------------------------------------ own records


async def test_a_challenge_is_answered_with_the_records_that_its_signature_picks(
    published: OwnData, checker: TrainerProcess
) -> None:
    data = committed(published)
    blob = await checker.open(asks(published, data.root))
    opened = verify_opening(blob, data, SWARM, SIGNATURE, 20)
    assert len(opened.records) == 20
    rows = {(request.key, request.value) for request in read_requests(Path(published.files[0]))}
    assert {(record.key, record.value) for record in opened.records} <= rows


async def test_what_was_changed_since_is_not_opened_and_says_so(published: OwnData, checker: TrainerProcess) -> None:
    data = committed(published)
    file = Path(published.files[0])
    before = file.read_bytes()
    file.write_bytes(before.replace(b'"ad"', b'"tracker"', 1))
    with pytest.raises(LocalError, match=r"not those that were made public: changed: mine\.jsonl"):
        await checker.open(asks(published, data.root))
    file.write_bytes(before)
    assert await checker.open(asks(published, data.root))  # and the process goes on


async def test_whom_the_owner_did_not_name_gets_no_record(published: OwnData, checker: TrainerProcess) -> None:
    data = committed(published)
    with pytest.raises(LocalError, match="no records are opened: its owner named others"):
        await checker.open(asks(published, data.root, role="trainer"))
    private = OwnData.private(FILTERLIST, [Path(published.files[0])], None, bytes(32))
    with pytest.raises(LocalError, match="no records are opened: its zone is private"):
        await checker.open(asks(private, data.root))


def test_public_data_are_loaded_with_the_sketch_and_the_lists_that_labelled_them(
    published: OwnData, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text(LIST)
    for_all = OwnData(**{**{name: getattr(published, name) for name in published.__struct_fields__}, "opens": []})
    told: list[protocol.Progress] = []
    session, loaded, sketch = Session.load(for_all, START, lists=[tmp_path / "list.txt"], progress=told.append)
    session.close()
    data = Commitment(loaded.root, loaded.records, loaded.duplicates, loaded.conflicts)
    assert data == committed(published)
    assert len(verify_sketch(sketch, data).keys) == 256
    assert [source.name for source in loaded.sources] == ["mine.jsonl", "A list"]
    assert loaded.sources[1].version == "7"
    assert loaded.generator.startswith("gossip")
    assert loaded.suffixes
    reading = [each for each in told if each.rows]
    assert reading[0].of == Path(published.files[0]).stat().st_size >= reading[0].bytes > 0
    restricted, _, nothing = Session.load(published, START)
    restricted.close()
    assert nothing == b""


# ------------------------------------------------------------------ others' records


def pinned(folder: Path, text: str = LIST) -> list[Pin]:
    folder.mkdir()
    digest = sha256(text.encode()).hexdigest()
    (folder / digest).write_text(text)
    return [Pin(name="easylist", label="ad", sha256=digest)]


def records(tmp_path: Path, wrong: int) -> list[tuple[bytes, bytes]]:
    rows = [row(number, wrong=number < wrong) for number in range(40)]
    return [(request.key, request.value) for request in read_requests(write(tmp_path / "theirs.jsonl", rows))]


async def test_labels_that_the_pinned_list_does_not_give_are_counted(tmp_path: Path, checker: TrainerProcess) -> None:
    pytest.importorskip("adblock")
    folder = tmp_path / "pinned"
    asked = Inspect(model=FILTERLIST, folder=str(folder), pins=pinned(folder))
    found = await checker.inspect(asked, [*records(tmp_path, 10), (b"no request", b"[]")])
    assert found.measured["opened.wrong_labels_permille"] == 250
    assert found.measured["opened.malformed"] == 1
    assert found.trouble == ""


async def test_without_the_list_labels_are_not_judged_and_everything_else_is(
    tmp_path: Path, checker: TrainerProcess
) -> None:
    folder = tmp_path / "pinned"
    pins = pinned(folder)
    (folder / pins[0].sha256).write_text("||other.example^\n")  # not what the policy names
    asked = Inspect(model=FILTERLIST, folder=str(folder), pins=pins)
    found = await checker.inspect(asked, records(tmp_path, 10))
    assert "opened.wrong_labels_permille" not in found.measured
    assert found.measured["opened.records"] == 40
    assert "easylist of the policy is not on this machine" in found.trouble
    assert "gossip policy pin" in found.trouble
    (folder / pins[0].sha256).write_text(LIST)  # brought meanwhile
    pytest.importorskip("adblock")
    assert (await checker.inspect(asked, records(tmp_path, 10))).measured["opened.wrong_labels_permille"] == 250


async def test_a_process_that_dies_over_others_records_is_the_worlds_fault(checker: TrainerProcess) -> None:
    assert checker.pid is not None
    os.kill(checker.pid, signal.SIGKILL)
    with pytest.raises(LinkError, match="signal 9"):
        await checker.inspect(Inspect(model=FILTERLIST, folder="", pins=[]), [(b"key", b"value")])


@pytest.mark.parametrize("said", [b"\x01", b"\x05\x00\x00\x00abc", b"\x01\x00\x00\x00a", b"\xff\xff\xff\xff"])
def test_records_that_do_not_add_up_are_refused(said: bytes) -> None:
    with pytest.raises(LinkError, match="do not add up"):
        protocol.unpacked(said)


def test_records_come_through_the_pipe_as_they_are() -> None:
    some = [(b"", b""), (b"key", b""), (b"\x00\xff" * 300, b"value")]
    assert protocol.unpacked(protocol.packed(some)) == some
    assert protocol.unpacked(b"") == []


# ------------------------------------------------------------------ models


async def test_two_models_are_compared_on_the_canary_set_by_whoever_holds_it(
    tmp_path: Path, checker: TrainerProcess
) -> None:
    folder = tmp_path / "pinned"
    folder.mkdir()
    canary = write(tmp_path / "canary.jsonl", [row(number) for number in range(100)])
    digest = file_digest(canary)
    asked = Judge(model=FILTERLIST, folder=str(folder), canary=digest, labels={})
    other = BLIND
    judged = await checker.judge(asked, (START, other, START))
    assert judged.measured == []
    assert "the canary set of the policy is not on this machine" in judged.trouble

    canary.rename(folder / digest)
    (measured,) = (await checker.judge(asked, (START, other, START))).measured
    rows = read_judged(SPEC, [folder / digest])
    assert rows is not None
    for said, theta in ((measured.given, START), (measured.without, other)):
        real = score(SPEC, theta, rows)
        assert (said.examples, said.tp, said.fp, said.fn) == (100, real.tp, real.fp, real.fn)
    assert measured.given != measured.without  # or nothing would tell which is which
    assert measured.on == "canary"


def test_of_two_canary_sets_the_one_that_is_asked_about_is_measured(tmp_path: Path) -> None:
    """A new policy pins another set, while the process goes on; a long one is thinned."""
    checks, models = Checks(), np.concatenate((START, -START, START))
    sizes = {}
    for count in (60, JUDGED_ROWS + 100, 40):
        canary = write(tmp_path / "canary.jsonl", [row(number) for number in range(count)])
        digest = file_digest(canary)
        canary.rename(tmp_path / digest)
        asked = Judge(model=FILTERLIST, folder=str(tmp_path), canary=digest, labels={})
        (measured,) = checks.judge(asked, models, None).measured
        sizes[count] = measured.given.examples
    assert sizes[60] == 60
    assert JUDGED_ROWS // 2 <= sizes[JUDGED_ROWS + 100] <= JUDGED_ROWS
    assert sizes[40] == 40


def test_of_two_policies_the_lists_of_the_one_that_is_asked_about_are_used(tmp_path: Path) -> None:
    """And no list at all where a policy pins none, whatever was built before."""
    pytest.importorskip("adblock")
    folder = tmp_path / "pinned"
    first, checks, theirs = pinned(folder), Checks(), records(tmp_path, 10)
    other = b"||elsewhere.example^\n"
    second = [Pin(name="other", label="ad", sha256=sha256(other).hexdigest())]
    (folder / second[0].sha256).write_bytes(other)
    found = []
    for pins in (first, second, [], first):
        asked = Inspect(model=FILTERLIST, folder=str(folder), pins=pins)
        found.append(checks.inspect(asked, theirs).measured.get("opened.wrong_labels_permille"))
    assert found[0] == found[3] == 250
    assert found[1] not in (250, None)
    assert found[2] is None


def test_few_rows_are_enough_to_judge_by_and_models_of_another_size_are_refused(tmp_path: Path) -> None:
    many = [row(number) for number in range(JUDGED_ROWS + 100)]
    own = OwnData.private(FILTERLIST, [write(tmp_path / "a.jsonl", many)], write(tmp_path / "b.jsonl", many), bytes(32))
    session, _, _ = Session.load(own, START)
    session.close()
    assert session.judged_by is not None
    assert JUDGED_ROWS // 2 <= len(session.judged_by) <= JUDGED_ROWS
    asked = Judge(model=FILTERLIST, folder="", canary="", labels={"ad": 1, "benign": 1})
    for given, without in ((START, BLIND), (BLIND, START)):
        (measured,) = Checks().judge(asked, np.concatenate((given, without, given)), session.judged_by).measured
        assert measured.on == "holdout"
        for said, theta in ((measured.given, given), (measured.without, without)):
            real = score(SPEC, theta, session.judged_by)
            assert (said.tp, said.fp, said.fn) == (real.tp, real.fp, real.fn)
        assert measured.given != measured.without
    with pytest.raises(LocalError, match="are not three models"):
        Checks().judge(asked, START, session.judged_by)


def test_looking_loads_no_jax() -> None:
    code = "import sys, gossip.training.worker as w; w.Worker(sys.stderr.buffer, trains=False); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "gossip.training.checks" in loaded
    assert not {"jax", "optax", "adblock"} & set(loaded)


def test_further_against_back_is_measured_on_rows_that_are_labelled_as_the_authors(tmp_path: Path) -> None:
    many = [row(number) for number in range(60)]
    own = OwnData.private(FILTERLIST, [write(tmp_path / "a.jsonl", many)], write(tmp_path / "b.jsonl", many), bytes(32))
    session, _, _ = Session.load(own, START)
    session.close()
    rows = session.judged_by
    assert rows is not None
    names = [SPEC.classes[number] for number in rows.labels.tolist()]
    one = names[0]
    lost = {
        id(theta): -np.log(probabilities(SPEC, theta, rows)[np.arange(len(rows)), rows.labels])
        for theta in (START, BLIND)
    }
    kept = np.array([name == one for name in names])

    def said(further: np.ndarray, back: np.ndarray, labels: dict[str, int]) -> int | None:
        asked = Judge(model=FILTERLIST, folder="", canary="", labels=labels)
        return Checks().judge(asked, np.concatenate((further, START, back)), rows).loss_milli

    there = said(BLIND, START, {one: 7})
    assert there == pytest.approx(1000 * float((lost[id(BLIND)] - lost[id(START)])[kept].mean()), abs=1)
    assert there != 0
    assert said(START, BLIND, {one: 7}) == -there
    assert said(BLIND, START, {"elsewhere": 7}) is None  # nothing here can tell
    assert said(START, START, dict.fromkeys(names, 1)) == 0
