"""What an auditor reads about policies, verdicts, openings and condemnations; and with the lists that a policy pins."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from cli import exits
from cli.inspecting import Lists
from cli.opened import opened
from cli.page import write_page
from gossip.filterlists.requests import Request
from gossip.merging.arithmetic import NumpyArithmetic
from ledger.audit import Anchors, AuditOptions, audit
from ledger.entry import Genesis
from ledger.errors import LocalError
from ledger.policy import Policy
from ledger.shown import NO_LISTS, Inspector
from tests.cli.test_ledger import facts, gossip
from tests.fold.bundles import contents_of, written
from tests.fold.public import announce, answer, challenge
from tests.fold.toy import Swarm
from tests.fold.verdicts import Golden, Said, golden, inspector
from tests.training.test_checks import FILTERLIST

LIST = "! Title: of this test\n||ads.example^\n"
PINNED = f"""policy = 1
[opened.wrong_labels_permille]
max = 100
[labels.ad]
mine = "{sha256(LIST.encode()).hexdigest()}"
"""


@pytest.fixture(scope="module")
def story() -> Golden:
    """Everything that is true of it is said, a quorum condemns the copy, and a snapshot follows from that."""
    story = golden()
    for said in story.story.values():
        story.say(said)
    for judge in ("cyd", "founder"):
        story.say(story.story["copied"].changed(judge=judge))
    story.swarm.exchange()
    story.swarm.founder.snapshot()
    story.swarm.exchange()
    return story


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, story: Golden) -> Path:
    return written(story.swarm, tmp_path_factory.mktemp("judged") / "bundle")


def test_verify_tells_in_lines_what_was_ruled_opened_condemned_and_looked_at(bundle: Path, story: Golden):
    out = gossip("ledger", "verify", str(bundle), "--swarm", story.swarm.swarm)
    lines = out.splitlines()
    ann = story.swarm["ann"].id[:8]
    (policy,) = (line for line in lines if line.startswith("policy    number 1 ("))
    assert policy.endswith("4 updates let in, 2 left out (data.records.min 2, update.steps.max 2)")
    assert f"opened    ann {ann}/4: 1 answer to 1 request, 20 of 40 records here, labels not checked" in lines
    assert any(line.startswith("opened    bob") and line.endswith("asked 1 time, nothing opened") for line in lines)
    assert any(
        line.startswith(f"condemned ann {ann}/5: 1 update, weight 0.25, out of the model; by ") for line in lines
    )
    (verdicts,) = (line for line in lines if line.startswith("verdicts"))
    assert (
        "10 judgements: 7 recomputed and true, 2 opinions, which nobody else can recompute, 1 not checkable" in verdicts
    )
    assert lines[-1].startswith("CLEAN")
    assert lines[-1].endswith("; 1 judgement not checkable here")


def test_json_carries_the_same_facts(bundle: Path, story: Golden):
    told = facts("ledger", "verify", str(bundle), "--swarm", story.swarm.swarm)
    verdicts = told["verdicts"]
    assert [verdicts[word] for word in ("judgements", "true", "false", "opinions", "unchecked")] == [10, 7, 0, 2, 1]
    (refused,) = [one for one in verdicts["told"] if one["decision"] == "refused"]
    assert (refused["judge"], refused["name"], refused["status"]) == ("ann", "cyd", "true")
    assert refused["says"].startswith("refuses cyd's 2 updates (entries 5 to 6): 150 rows in the data set (allowed: ")
    assert [(row["number"], row["state"], row["left_out"]) for row in told["policies"]] == [
        (0, "was in force", 0), (1, "in force", 2),
    ]  # fmt: skip
    (condemned,) = told["condemned"]
    assert (condemned["name"], condemned["updates"], sorted(condemned["judges"])) == (
        "ann",
        1,
        ["bob", "cyd", "founder"],
    )
    assert {row["name"]: row["answered"] for row in told["opened"]} == {"ann": 1, "bob": 0}
    assert told["lists"] == []


def test_a_false_verdict_is_a_finding_and_the_bundle_exits_with_one(tmp_path: Path):
    story = golden()
    wrong = story.say(story.story["refused"].reading(151))
    story.swarm.exchange()
    place = written(story.swarm, tmp_path / "bundle")
    told = gossip("ledger", "verify", str(place), "--swarm", story.swarm.swarm, code=exits.FINDINGS)
    about = story.swarm["cyd"].id[:12]
    line = f"FINDING log {wrong.log[:12]} entry {wrong.seq}: verdict: of log {about}: says data.records.min"
    assert any(row.startswith(line) for row in told.splitlines())
    shares = facts("ledger", "lineage", str(place))  # what follows from the entries is told all the same
    assert [found["rule"] for found in shares["findings"]] == ["verdict"]
    assert facts("ledger", "replay", str(place))["replayed"]


def test_entries_are_read_in_plain_words(bundle: Path):
    out = gossip("ledger", "log", str(bundle), "-n", "0")
    for words in (
        "refuses cyd's 2 updates (entries 5 to 6): 150 rows in the data set (allowed: at least 200)",
        "asks ann to open 20 records of entry 4",
        "opens records to bob, who asked in entry 5",
        "as number 1",
        "labelled unlike the pinned lists (allowed: at most 10%)",
        "measured 1 update of founder: 10 of 50 own rows wrong with more of them, 2 without",
    ):
        assert words in out
    assert "\nsays  refuses cyd's 2 updates" in gossip("ledger", "show", "ann/7", str(bundle))


def test_the_page_shows_each_verdict_beside_what_became_of_it(tmp_path: Path, story: Golden):
    story = golden()
    for said in story.story.values():
        story.say(said)
    story.say(story.story["like"].changed(judge="cyd").reading(999))
    story.swarm.exchange()
    place, page = written(story.swarm, tmp_path / "bundle"), tmp_path / "page.html"
    anchors = Anchors(swarm=story.swarm.swarm)
    with opened(place, anchors, inspectors=lambda genesis, policy: inspector) as read:
        write_page(read, anchors, page)
    told = page.read_text()
    for words in (
        "Verdicts, looked at again", "recomputed, true", '<span class="level refused">false</span>', "Opened records",
        "The policy", "at least 200 rows in the data set", "measured on rows of its judge", 'class="refusal"',
        'class="asked"', 'class="policy"',
    ):  # fmt: skip
        assert words in told, words
    assert "on_fail" not in told


# ------------------------------------------------------------------ the pinned lists


def request(number: int, host: str, label: str) -> tuple[bytes, bytes]:
    row = Request(
        page="https://news.example/", url=f"https://{host}.example/{number}.js", type="script", label=label,  # type: ignore[arg-type]
        third_party=True,
    )  # fmt: skip
    return row.key, row.value


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    file = tmp_path / "mine.txt"
    file.write_text(LIST)
    return file


def reader(files: list[Path]) -> Lists:
    pytest.importorskip("adblock", reason="labels are checked with the extra named lists")
    return Lists(files)


def as_filterlist(genesis: Genesis) -> Genesis:
    return msgspec.structs.replace(genesis, model=FILTERLIST)


def labelled_swarm() -> tuple[Golden, Said]:
    """Ann opens 20 requests to ads, 8 of which she calls benign; bob says so."""
    swarm = Swarm(["ann", "bob"])
    swarm.founder.ask_for(PINNED)
    swarm.exchange()
    rows = [request(number, "ads", "benign" if number < 8 else "ad") for number in range(20)]
    shown = announce(swarm["ann"], rows)
    swarm.exchange()
    wanted = challenge(swarm["bob"], swarm["ann"], shown.seq, number=20)
    swarm.exchange()
    answer(swarm["ann"], shown, wanted)
    swarm.exchange()
    said = Said("bob", "ann", (shown.seq,), "condemned", (("opened.wrong_labels_permille.max", 400, 100),))
    return Golden(swarm, {}), said


@pytest.mark.parametrize(("value", "counts"), [(400, (1, 0, 0)), (350, (0, 1, 0))])
def test_with_the_pinned_lists_labels_are_checked_again_by_the_engine(
    pinned: Path, value: int, counts: tuple[int, int, int]
):
    lists, (story, said) = reader([pinned]), labelled_swarm()
    story.say(said.reading(value))
    story.swarm.exchange()

    def looked_at(lists: Lists) -> tuple[int, int, int]:
        def inspectors(genesis: Genesis, policy: Policy) -> Inspector | None:
            return lists.inspectors(as_filterlist(genesis), policy)

        options = AuditOptions(inspectors=inspectors)
        report = audit(contents_of(story.swarm), NumpyArithmetic(), Anchors(swarm=story.swarm.swarm), options)
        checks = report.checks
        assert checks.opened[0].malformed == 0
        if checks.unchecked:
            assert dict(checks.reasons) == {NO_LISTS: 1}
            assert checks.opened[0].wrong == -1
        else:
            assert checks.opened[0].wrong == 8
        return checks.true, checks.false, checks.unchecked

    assert looked_at(lists) == counts
    assert looked_at(Lists([])) == (0, 0, 1)


def test_a_list_that_no_policy_pins_is_a_mistake_in_the_command(bundle: Path, tmp_path: Path, story: Golden):
    pytest.importorskip("adblock", reason="labels are checked with the extra named lists")
    other = tmp_path / "other.txt"
    other.write_text("||cdn.example^\n")
    words = ("ledger", "verify", str(bundle), "--swarm", story.swarm.swarm, "--lists", str(other))
    for told in (gossip(*words, code=exits.USAGE), gossip(*words, "--json", code=exits.USAGE)):
        assert told.count("\n") == 1
        assert "other.txt: no policy of this ledger pins this file" in told
        assert sha256(other.read_bytes()).hexdigest() in told


def test_a_list_that_is_not_there_is_a_mistake_in_the_command(tmp_path: Path, bundle: Path):
    with pytest.raises(LocalError, match="cannot be read"):
        Lists([tmp_path / "none.txt"])
    gossip("ledger", "verify", str(bundle), "--structure", "--lists", str(bundle / "policy.toml"), code=exits.USAGE)


def test_verify_without_lists_loads_no_engine(bundle: Path):
    import subprocess
    import sys

    code = (
        "import sys; from cli.app import app\n"
        f"try: app(['ledger', 'verify', {str(bundle)!r}, '--json'], standalone_mode=False)\nexcept SystemExit: pass\n"
        "print([name for name in ('adblock', 'jax', 'gossip.peer') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert json.loads(done.stdout)["verdicts"]["judgements"] == 10
    assert done.stderr.strip().endswith("[]")
