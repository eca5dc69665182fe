"""The store: what is acknowledged stays, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.errors import LocalError
from ledger.schema import SCHEMA_VERSION
from ledger.store import (
    PutBlob,
    PutCheckpoint,
    PutCosigned,
    PutEntry,
    PutMeta,
    PutVote,
    PutWitnessed,
    Store,
    StoredAllowed,
    StoredCheckpoint,
    StoredTicket,
    StoredVote,
    Write,
)
from ledger.stored_logs import CHUNK_ROWS

ANN, BOB = "aa" * 32, "bb" * 32
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "peer.db"


def entries(log: str, *data: bytes, start: int = 0) -> list[Write]:
    return [PutEntry(log, start + index, item) for index, item in enumerate(data)]


def test_everything_reads_back_after_reopening(path: Path) -> None:
    blob = b"delta" * 100
    name = sha256(blob).hexdigest()
    with Store(path) as store:
        store.commit([*entries(BOB, b"b0"), *entries(ANN, b"a0", b"a1"), *entries(BOB, b"b1", start=1)])
        store.commit([PutBlob(name, blob), PutCheckpoint(ANN, 2, b"note"), PutMeta("swarm", b"\x00s")])
    with Store(path) as store:
        assert store.logs() == {BOB: 2, ANN: 2}
        assert list(store.entries(ANN)) == [b"a0", b"a1"]
        assert list(store.entries(BOB, 1)) == [b"b1"]
        assert list(store.entries("cc" * 32)) == []
        assert store.entry(ANN, 1) == b"a1"
        assert store.entry(ANN, 2) is None
        assert store.blob(name) == blob
        assert store.blob(ANN) is None
        assert store.checkpoint(ANN) == StoredCheckpoint(2, b"note", 2, ())
        assert store.checkpoint(BOB) is None
        assert store.meta("swarm") == b"\x00s"
        assert store.find_meta("name") is None
        with pytest.raises(LocalError, match="gossip new"):
            store.meta("name")


def test_history_keeps_the_order_of_admission_over_many_chunks(path: Path) -> None:
    order = [(ANN if index % 3 else BOB) for index in range(2 * CHUNK_ROWS + 7)]
    sizes = {ANN: 0, BOB: 0}
    writes, expected = [], []
    for index, log in enumerate(order):
        expected.append((log, sizes[log], b"%d" % index))
        writes.append(PutEntry(*expected[-1]))
        sizes[log] += 1
    with Store(path) as store:
        store.commit(writes)
        assert list(store.history()) == expected
        assert list(store.entries(ANN)) == [data for log, _, data in expected if log == ANN]
        assert store.logs() == sizes


# ------------------------------------------------------------------ rules


def test_an_entry_is_never_replaced_and_a_log_never_has_a_gap(path: Path) -> None:
    with Store(path) as store:
        store.commit(entries(ANN, b"a0", b"a1"))
        store.commit(entries(ANN, b"a0", b"a1", b"a2"))  # the same again is no error
        with pytest.raises(LocalError, match="never replaced"):
            store.commit([*entries(ANN, b"a3", start=3), *entries(ANN, b"other", start=1)])
        with pytest.raises(LocalError, match="gap"):
            store.commit([*entries(ANN, b"a3", start=3), *entries(ANN, b"a5", start=5)])
        with pytest.raises(LocalError, match="gap"):
            store.commit(entries(BOB, b"b1", start=1))
        assert list(store.entries(ANN)) == [b"a0", b"a1", b"a2"]  # nothing of a refused batch is kept
        assert store.logs() == {ANN: 3}
        store.commit(entries(ANN, b"a3", start=3))


def test_a_batch_that_breaks_off_leaves_nothing(path: Path) -> None:
    def writes() -> object:
        yield PutEntry(ANN, 0, b"a0")
        raise KeyboardInterrupt

    with Store(path) as store:
        with pytest.raises(KeyboardInterrupt):
            store.commit(writes())  # type: ignore[arg-type]
        assert store.logs() == {}
        store.commit(entries(ANN, b"other"))


def test_a_blob_lies_under_its_own_hash_only(path: Path) -> None:
    with Store(path) as store, pytest.raises(LocalError, match="hash"):
        store.commit([PutBlob(ANN, b"something else")])


def test_a_blob_that_the_disk_changed_is_not_handed_out(path: Path) -> None:
    name = sha256(b"blob").hexdigest()
    with Store(path) as store:
        store.commit([PutBlob(name, b"blob")])
    with sqlite3.connect(path) as other:
        other.execute("UPDATE blob SET data = x'00'")
    other.close()
    with Store(path) as store, pytest.raises(LocalError, match="has changed on disk"):
        store.blob(name)


def test_of_two_checkpoints_the_one_that_covers_more_is_kept(path: Path) -> None:
    proof = (b"p" * 32, b"q" * 32)
    with Store(path) as store:
        store.commit([PutCheckpoint(ANN, 5, b"five"), PutCheckpoint(ANN, 4, b"four")])
        assert store.checkpoint(ANN) == StoredCheckpoint(5, b"five", 5, ())
        store.commit([PutCheckpoint(ANN, 90, b"ninety", 4, proof)])
        assert store.checkpoint(ANN) == StoredCheckpoint(5, b"five", 5, ())
        store.commit([PutCheckpoint(ANN, 90, b"ninety", 5, proof), PutCheckpoint(ANN, 80, b"eighty", 5, proof)])
        assert store.checkpoint(ANN) == StoredCheckpoint(90, b"ninety", 5, proof)
        store.commit([PutCheckpoint(ANN, 6, b"six")])
        assert store.checkpoint(ANN) == StoredCheckpoint(6, b"six", 6, ())
        for held, bad in ((7, ()), (-1, ()), (5, (b"short",))):
            with pytest.raises(LocalError, match="cannot be kept"):
                store.commit([PutCheckpoint(ANN, 6, b"note", held, bad)])


def test_what_was_witnessed_never_goes_back_and_never_has_two_roots(path: Path) -> None:
    one, two = b"1" * 32, b"2" * 32
    with Store(path) as store:
        assert store.witnessed(ANN) is None
        store.commit([PutWitnessed(ANN, 5, one), PutWitnessed(BOB, 1, two), PutWitnessed(ANN, 5, one)])
        for size, root in ((5, two), (4, one), (4, two)):
            with pytest.raises(LocalError, match="will not witness"):
                store.commit([PutWitnessed(ANN, size, root)])
        with pytest.raises(LocalError, match="will not witness"):  # nor within one batch
            store.commit([PutWitnessed(ANN, 6, one), PutWitnessed(ANN, 6, two)])
        with pytest.raises(LocalError, match="32 bytes"):
            store.commit([PutWitnessed(ANN, 6, b"root")])
    with Store(path) as store:
        assert store.witnessed(ANN) == (5, one)
        assert store.witnessed(BOB) == (1, two)


def test_a_vote_and_cosigned_notes_are_kept(path: Path) -> None:
    with Store(path) as store:
        assert store.vote() is None
        assert store.cosigned(ANN) is None
        store.commit([PutVote(ANN, 3, ANN), PutVote(BOB, 2, BOB)])
        store.commit([PutCosigned(ANN, 16, b"one"), PutCosigned(ANN, 16, b"two"), PutCosigned(ANN, 15, b"old")])
    with Store.open_readonly(path) as store:
        assert store.vote() == StoredVote(BOB, 2, BOB)
        assert store.cosigned(ANN) == (16, b"two")


# ------------------------------------------------------------------ strands


def chained(count: int, word: str = "", after: bytes = b"") -> list[bytes]:
    """Entries of which the store can read what comes before."""
    made: list[bytes] = []
    for _ in range(count):
        after = b'{"prev":"%s","word":"%s"}' % (sha256(after).hexdigest().encode(), word.encode())
        made.append(after)
    return made


def strand_of(log: str, fork: int, entry: bytes) -> str:
    return f"{log}~{fork}~{sha256(entry).hexdigest()}"


def test_a_strand_begins_where_it_branches_off_and_reads_as_a_whole_log(path: Path) -> None:
    trunk = chained(6)
    left = chained(5, "left", trunk[2])
    right = chained(2, "right", left[1])
    one, two = strand_of(ANN, 3, left[0]), strand_of(ANN, 5, right[0])
    with Store(path) as store:
        with pytest.raises(LocalError, match="before strand aaaaaaaa branches off"):
            store.commit(entries(one, *left))
        store.commit([*entries(ANN, *trunk), *entries(one, *left, start=3), *entries(two, *right, start=5)])
        store.commit(entries(one, *left, start=3))
        with pytest.raises(LocalError, match="never replaced"):
            store.commit(entries(one, trunk[3], start=3))
    with Store.open_readonly(path) as store:
        assert store.logs() == {ANN: 6, one: 8, two: 7}
        assert [row[:2] for row in store.history()] == [
            *((ANN, seq) for seq in range(6)), *((one, seq) for seq in range(3, 8)), (two, 5), (two, 6),
        ]  # fmt: skip
        wholes = {ANN: trunk, one: trunk[:3] + left, two: trunk[:3] + left[:2] + right}
        for log, whole in wholes.items():
            assert [list(store.entries(log, start)) for start in range(9)] == [whole[start:] for start in range(9)]
            assert [store.entry(log, seq) for seq in range(9)] == [*whole, *[None] * (9 - len(whole))]
        assert list(store.entries(strand_of(BOB, 1, b""))) == []


def test_a_strand_whose_beginning_is_lost_is_damage(path: Path) -> None:
    trunk = chained(4)
    lost = chained(2, "lost", chained(3, "elsewhere")[-1])
    name = strand_of(ANN, 3, lost[0])
    with Store(path) as store:
        store.commit([*entries(ANN, *trunk), *entries(name, *lost, start=3)])
        assert list(store.entries(name, 3)) == lost
        with pytest.raises(LocalError, match="branches off from is missing"):
            list(store.entries(name))


# ------------------------------------------------------------------ stores of before


SCHEMA_1 = """
PRAGMA application_id = 1616190209; PRAGMA user_version = 1;
CREATE TABLE log (id INTEGER PRIMARY KEY, peer TEXT NOT NULL UNIQUE);
CREATE TABLE entry (
  id INTEGER PRIMARY KEY, log INTEGER NOT NULL REFERENCES log, seq INTEGER NOT NULL, data BLOB NOT NULL,
  UNIQUE (log, seq)
);
CREATE TABLE blob (hash TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE checkpoint (peer TEXT PRIMARY KEY, size INTEGER NOT NULL, note BLOB NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE ticket (id BLOB PRIMARY KEY, secret BLOB NOT NULL, role TEXT NOT NULL, uses INTEGER NOT NULL);
"""


@pytest.fixture
def old(path: Path) -> Path:
    """A store as the first release left it."""
    made = sqlite3.connect(path)
    made.executescript(SCHEMA_1)
    made.execute("PRAGMA journal_mode = WAL")
    made.executemany("INSERT INTO log VALUES (?, ?)", [(1, ANN), (2, BOB)])
    made.executemany("INSERT INTO entry (log, seq, data) VALUES (1, ?, ?)", [(0, b"a0"), (1, b"a1")])
    made.execute("INSERT INTO entry (log, seq, data) VALUES (2, 0, ?)", (b"b0",))
    made.executemany("INSERT INTO checkpoint VALUES (?, ?, ?)", [(ANN, 2, b"two"), (BOB, 9, b"more than is here")])
    made.execute("INSERT INTO meta VALUES ('swarm', x'00')")
    made.commit()
    made.close()
    return path


def test_a_store_of_before_is_upgraded_when_it_is_opened_and_keeps_everything(old: Path) -> None:
    for _ in range(2):
        with Store(old) as store:
            assert store._row("PRAGMA user_version") == (SCHEMA_VERSION,)
            assert list(store.history()) == [(ANN, 0, b"a0"), (ANN, 1, b"a1"), (BOB, 0, b"b0")]
            assert store.checkpoint(ANN) == StoredCheckpoint(2, b"two", 2, ())
            assert store.checkpoint(BOB) is None  # no proof was kept: nothing can be shown under it
            assert store.meta("swarm") == b"\x00"
    with Store(old) as store:
        store.commit([PutWitnessed(ANN, 2, b"r" * 32), PutCheckpoint(BOB, 9, b"nine", 1, (b"p" * 32,))])
        assert store.checkpoint(BOB) == StoredCheckpoint(9, b"nine", 1, (b"p" * 32,))


def test_invites_of_the_version_before_stay_open_and_never_expire(path: Path) -> None:
    """Version 2: as this one, but tickets had no end and keys could not be allowed."""
    with Store(path) as store:
        store.commit(entries(ANN, *(b"entry %d" % seq for seq in range(300))))
    other = sqlite3.connect(path)
    for table in ("allowed", "base", "base_part"):
        other.execute(f"DROP TABLE {table}")
    other.execute("ALTER TABLE ticket DROP COLUMN expires")
    other.execute("INSERT INTO ticket VALUES (x'01', x'02', 'trainer', 3)")
    other.execute("PRAGMA user_version = 2")
    other.commit()
    other.close()
    with Store.open_readonly(path) as store:
        assert store.ticket(b"\x01") == StoredTicket(b"\x02", "trainer", 3, 0)
        assert store.allowed() == ()
    with Store(path) as store:
        assert store.ticket(b"\x01") == StoredTicket(b"\x02", "trainer", 3, 0)
        store.allow(b"k" * 32, "relay", 9)
        assert store.size(ANN) == 300
        assert store._rows("SELECT number FROM tile") == [(0,)]


def test_a_store_of_before_can_be_read_and_is_left_as_it_is(old: Path) -> None:
    with Store.open_readonly(old) as store:
        assert store.logs() == {ANN: 2, BOB: 1}
        assert store.checkpoint(ANN) == StoredCheckpoint(2, b"two", 2, ())
        assert (store.witnessed(ANN), store.vote(), store.cosigned(ANN)) == (None, None, None)
    other = sqlite3.connect(old)
    assert other.execute("PRAGMA user_version").fetchone() == (1,)
    other.close()


def test_an_upgrade_that_breaks_off_leaves_the_store_of_before(old: Path) -> None:
    other = sqlite3.connect(old)
    other.execute("CREATE TABLE cosigned (unexpected TEXT)")  # the last step will fail
    other.commit()
    with pytest.raises(LocalError, match="cosigned already exists"):
        Store(old)
    assert other.execute("PRAGMA user_version").fetchone() == (1,)
    assert [row[1] for row in other.execute("PRAGMA table_info(checkpoint)")] == ["peer", "size", "note"]
    other.execute("DROP TABLE cosigned")
    other.close()
    with Store(old) as store:
        assert store.checkpoint(ANN) == StoredCheckpoint(2, b"two", 2, ())


# ------------------------------------------------------------------ tickets


def test_a_ticket_admits_as_many_as_it_says(path: Path) -> None:
    with Store(path) as store:
        store.add_ticket(b"id", b"secret", "trainer", 2)
        assert store.ticket(b"id") == StoredTicket(b"secret", "trainer", 2, 0)
        assert store.use_ticket(b"id")
        assert store.use_ticket(b"id")
        assert not store.use_ticket(b"id")
        assert store.ticket(b"id") is None
        assert not store.use_ticket(b"never made")


def test_a_ticket_tells_when_it_ends_and_can_be_closed_before(path: Path) -> None:
    with Store(path) as store:
        store.add_ticket(b"id", b"secret", "relay", 1, 1_800_000_000)
        assert store.ticket(b"id") == StoredTicket(b"secret", "relay", 1, 1_800_000_000)
        store.close_ticket(b"id")
        assert store.ticket(b"id") is None


def test_of_an_allowed_key_the_last_word_counts(path: Path) -> None:
    with Store(path) as store:
        store.allow(b"b" * 32, "trainer")
        store.allow(b"a" * 32, "observer", 7)
        store.allow(b"b" * 32, "auditor", 9)
    with Store.open_readonly(path) as store:
        assert store.allowed() == (StoredAllowed(b"a" * 32, "observer", 7), StoredAllowed(b"b" * 32, "auditor", 9))
    with Store(path) as store:
        assert store.disallow(b"b" * 32)
        assert not store.disallow(b"b" * 32)
        assert store.allowed() == (StoredAllowed(b"a" * 32, "observer", 7),)


# ------------------------------------------------------------------ other processes


def test_another_process_reads_what_is_committed_while_the_node_writes(path: Path) -> None:
    with Store(path) as node:
        node.commit(entries(ANN, *(b"%d" % index for index in range(CHUNK_ROWS * 2))))
        with Store.open_readonly(path) as reader:
            reading = reader.entries(ANN)
            assert next(reading) == b"0"
            node.commit(entries(ANN, b"new", start=CHUNK_ROWS * 2))  # a reader half way blocks nobody
            assert len(list(reading)) == CHUNK_ROWS * 2
            assert reader.logs() == {ANN: CHUNK_ROWS * 2 + 1}
            with pytest.raises(LocalError, match="may not be written"):
                reader.commit([PutMeta("key", b"value")])


def test_a_second_store_in_one_process_does_not_break_the_firsts_locks(path: Path) -> None:
    """Closing any descriptor of a file drops the process's POSIX locks on it; opening a Store must not do that."""
    with Store(path) as node:
        node._db.execute("BEGIN IMMEDIATE")
        Store(path).close()
        script = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert "database is locked" in done.stderr


def test_read_only_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="there is no peer"):
        Store.open_readonly(tmp_path / "peer.db")
    with pytest.raises(LocalError, match="does not exist"):
        Store(tmp_path / "nowhere" / "peer.db")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "50% off? #1 & more é" / "peer.db"
    path.parent.mkdir()
    with Store(path) as store:
        store.commit(entries(ANN, b"a0"))
    with Store.open_readonly(path) as store:
        assert store.logs() == {ANN: 1}
    assert path.exists()


def test_the_file_is_its_owners_alone(path: Path) -> None:
    with Store(path) as store:
        store.commit([PutMeta("key", b"value")])
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


# ------------------------------------------------------------------ trouble


def test_every_commit_is_synced(path: Path) -> None:
    with Store(path) as store:
        assert store._row("PRAGMA synchronous") == (2,)
        assert store._row("PRAGMA journal_mode") == ("wal",)


WRITER = """
import sys
from pathlib import Path
from ledger.store import PutEntry, PutMeta, Store
store, log = Store(Path(sys.argv[1])), "aa" * 32
at = store.logs().get(log, 0)
while True:
    batch = [PutEntry(log, seq, b"%d" % seq * 300) for seq in range(at, at + 3)]
    at += 3
    store.commit([*batch, PutMeta("at", b"%d" % at)])
    sys.stdout.write(f"{at}\\n")
    sys.stdout.flush()
"""


def test_kill_at_any_moment_loses_nothing_acknowledged_and_halves_nothing(path: Path) -> None:
    for attempt in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert writer.stdout is not None
        for _ in range(attempt * 7 + 1):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
        writer.stdout.close()
        writer.wait()
        if len(rest) > 1:
            acknowledged = int(rest[-2])  # the last whole line
        with Store(path) as store:
            size = store.logs()[ANN]
            assert size >= acknowledged
            assert size % 3 == 0
            assert store.meta("at") == b"%d" % size
            assert list(store.entries(ANN)) == [b"%d" % seq * 300 for seq in range(size)]


def test_killed_before_the_first_commit_it_just_begins_again(path: Path) -> None:
    path.touch()
    with Store(path) as store:
        store.commit(entries(ANN, b"a0"))
    with Store.open_readonly(path) as store:
        assert store.logs() == {ANN: 1}


def test_a_full_disk_is_one_line_with_advice_and_nothing_is_acknowledged(path: Path) -> None:
    with Store(path) as store:
        store.commit(entries(ANN, b"a0"))
        (pages,) = store._row("PRAGMA page_count")
        store._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own SQLITE_FULL
        with pytest.raises(LocalError, match="the disk is full; free some space"):
            store.commit([*entries(ANN, b"a1", start=1), *entries(BOB, b"b" * 60_000)])
        assert store.logs() == {ANN: 1}
        store._db.execute("PRAGMA max_page_count = 1000000")
        store.commit(entries(ANN, b"a1", start=1))


LIMITED = """
import resource, signal, sys
from pathlib import Path
from ledger.errors import LocalError
from ledger.store import PutEntry, Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
seq = 0
try:
    while True:
        store.commit([PutEntry("aa" * 32, seq, bytes(20_000))])
        seq += 1
except LocalError as error:
    print(seq, error)
"""


def test_a_file_that_may_grow_no_more_loses_only_what_was_not_acknowledged(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, cwd=ROOT, check=True)
    acknowledged, _, message = done.stdout.partition(" ")
    assert "nothing acknowledged is lost" in message
    assert int(acknowledged) > 3
    with Store(path) as store:
        assert store.logs() == {ANN: int(acknowledged)}


def test_a_store_of_another_version_is_refused_in_one_line(path: Path) -> None:
    Store(path).close()
    for version, advice in ((SCHEMA_VERSION + 1, "install a newer version"), (0, "use the version that made it")):
        set_pragma(path, f"user_version = {version}")
        for opening in (Store, Store.open_readonly):
            with pytest.raises(LocalError, match=advice) as caught:
                opening(path)
            assert "\n" not in str(caught.value)


def test_other_peoples_files_are_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"a diary, not a database\n" * 100)
    with pytest.raises(LocalError, match="not a database"):
        Store(path)
    assert path.read_bytes() == b"a diary, not a database\n" * 100
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE places (url TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(LocalError, match="not the store of a peer"):
        Store(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_row_is_noticed(path: Path) -> None:
    with Store(path) as store:
        store.commit(entries(ANN, b"a0", b"a1", b"a2"))
        store._db.execute("DELETE FROM entry WHERE seq = 1")
        with pytest.raises(LocalError, match="entry 1 of log aaaaaaaa is missing"):
            list(store.entries(ANN))


def set_pragma(path: Path, pragma: str) -> None:
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA {pragma}")
    other.close()
