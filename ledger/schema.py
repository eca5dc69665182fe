"""The store's tables, its version, how an older one is brought up to it, and what to tell people when SQLite fails.

    1  log, entry, blob, checkpoint, meta, ticket
    2  checkpoint gets held and proof; tile, witnessed, vote, cosigned are new
    3  ticket gets expires; allowed is new
    4  base and base_part are new

Rules kept here: a store is upgraded in place, in the transaction that first opens it for writing, so it is of one
version or of the other; a store of before that is opened for reading only is read as it is, through views of what
it would be. A change to the tables raises SCHEMA_VERSION and adds a step here.
"""

from __future__ import annotations

import sqlite3
from typing import Final

APPLICATION_ID: Final = 0x60551B01  # so that `file peer.db` and we can tell our stores from others' databases
SCHEMA_VERSION: Final = 4
OLDEST_VERSION: Final = 1

_NEW_IN_2: Final = """
CREATE TABLE tile (
  log INTEGER NOT NULL REFERENCES log, number INTEGER NOT NULL, nodes BLOB NOT NULL, sum BLOB NOT NULL,
  PRIMARY KEY (log, number)
);
CREATE TABLE witnessed (log TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE vote (
  one INTEGER PRIMARY KEY CHECK (one = 1), log TEXT NOT NULL, size INTEGER NOT NULL, hash TEXT NOT NULL
);
CREATE TABLE cosigned (log TEXT PRIMARY KEY, size INTEGER NOT NULL, note BLOB NOT NULL) WITHOUT ROWID;
"""

_NEW_IN_3: Final = """
CREATE TABLE allowed (key BLOB PRIMARY KEY, role TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
"""

# In parts: SQLite takes no value of a gigabyte, and a model may have 2^27 parameters.
_NEW_IN_4: Final = """
CREATE TABLE base (one INTEGER PRIMARY KEY CHECK (one = 1), log TEXT NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE base_part (number INTEGER PRIMARY KEY, data BLOB NOT NULL);
"""

SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE log (id INTEGER PRIMARY KEY, peer TEXT NOT NULL UNIQUE);
CREATE TABLE entry (
  id INTEGER PRIMARY KEY, log INTEGER NOT NULL REFERENCES log, seq INTEGER NOT NULL, data BLOB NOT NULL,
  UNIQUE (log, seq)
);
CREATE TABLE blob (hash TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE checkpoint (
  peer TEXT PRIMARY KEY, size INTEGER NOT NULL, note BLOB NOT NULL, held INTEGER NOT NULL, proof BLOB NOT NULL
);
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE ticket (
  id BLOB PRIMARY KEY, secret BLOB NOT NULL, role TEXT NOT NULL, uses INTEGER NOT NULL, expires INTEGER NOT NULL
);
{_NEW_IN_2}{_NEW_IN_3}{_NEW_IN_4}"""

# A checkpoint that signs more than is held has no proof in a store of version 1, so nothing can be served under it.
_TO_2: Final = """
ALTER TABLE checkpoint ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE checkpoint ADD COLUMN proof BLOB NOT NULL DEFAULT x'';
UPDATE checkpoint SET held = size;
DELETE FROM checkpoint WHERE size > (
  SELECT coalesce(max(seq) + 1, 0) FROM entry WHERE log = (SELECT id FROM log WHERE log.peer = checkpoint.peer)
);
"""

_TO_3: Final = f"""
{_NEW_IN_3}
ALTER TABLE ticket ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;
"""

_TO_4: Final = f"""
{_NEW_IN_4}
PRAGMA user_version = 4;
"""

_READ_1: Final = """
CREATE TEMP VIEW checkpoint AS SELECT peer, size, note, size AS held, x'' AS proof FROM main.checkpoint;
CREATE TEMP TABLE tile (log, number, nodes, sum);
CREATE TEMP TABLE witnessed (log, size, root);
CREATE TEMP TABLE vote (log, size, hash);
CREATE TEMP TABLE cosigned (log, size, note);
"""

_READ_2: Final = """
CREATE TEMP VIEW ticket AS SELECT id, secret, role, uses, 0 AS expires FROM main.ticket;
CREATE TEMP TABLE allowed (key, role, expires);
"""

_READ_3: Final = """
CREATE TEMP TABLE base (one, log, seq);
CREATE TEMP TABLE base_part (number, data);
"""


def create(database: sqlite3.Connection) -> None:
    """The tables of a new store; within a transaction."""
    _run(database, SCHEMA)


def upgrade(database: sqlite3.Connection, version: int) -> None:
    """A store of that version becomes one of this, but for its tiles; within a transaction."""
    _run(database, (_NEW_IN_2 + _TO_2 if version < 2 else "") + (_TO_3 if version < 3 else "") + _TO_4)


def read_as_new(database: sqlite3.Connection, version: int) -> None:
    """Let a read-only connection to a store of that version read it as one of this; the file is left as it is."""
    _run(database, (_READ_1 if version < 2 else "") + (_READ_2 if version < 3 else "") + _READ_3)


def _run(database: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";"):  # executescript() would commit
        database.execute(statement)


RESTORE: Final = "stop the peer, keep the directory for inquiry, and restore it from a backup"
ADVICE: Final = (
    ("SQLITE_FULL", "the disk is full", "free some space and start again; nothing acknowledged is lost"),
    ("SQLITE_IOERR", "the disk failed or is full", "check the disk and start again; nothing acknowledged is lost"),
    ("SQLITE_BUSY", "another process is writing to it", "stop that process, or wait and try again"),
    ("SQLITE_CORRUPT", "the file is damaged", RESTORE),
    ("SQLITE_NOTADB", "it is not a database", "name the directory of a peer with --dir"),
    ("SQLITE_READONLY", "it may not be written here", "check who owns the file, or whether the disk is read-only"),
    ("SQLITE_CANTOPEN", "it cannot be opened", "check that the directory is yours and can be written"),
)
