"""The store's tables, its version, and what to tell people when SQLite fails.

A change to the tables raises SCHEMA_VERSION and says, here, what an older store needs; store.py refuses every
version but this one.
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x60551B01  # so that `file peer.db` and we can tell our stores from others' databases
SCHEMA_VERSION: Final = 1

SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
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
