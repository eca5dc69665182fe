"""Holding a bundle against what the auditor knows from elsewhere, and against what witnesses in it have signed.

    --swarm, --model-hash      equal, or a finding
    --checkpoint FILE          that log is here, at least as long, with that root there
    --witness KEY              has cosigned something here; what lies in the past of that is covered
    --model FILE               the same bytes, folded again from the entries

Why it exists: everything in a bundle can be invented at once, and then agrees. What the auditor kept cannot.

Rules kept here: a note counts only with its author's signature under the key in force at its size; two notes of one
author that no single history has are named together, for together they prove the fork. It refuses to know files, but
for the model's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Protocol

from ledger.bundle import BundleContents, BundleLog
from ledger.chain import LogId, peer_of
from ledger.checkpoint import Checkpoint, origin, parse_checkpoint
from ledger.entry import Hash, PeerId, Snapshot
from ledger.errors import RemoteError
from ledger.export import Header, differences, find_snapshot, float32_bytes, make_header, read_model
from ledger.fold import model_hash
from ledger.merkle import leaf_hash, root_of
from ledger.replica import Replica
from ledger.report import Anchors, Coverage, Findings
from ledger.vouched import Book, Word, coverage, of_names


class Replay(Protocol):
    def model_bytes(self, past: Mapping[LogId, int]) -> bytes | None: ...


class Held:
    def __init__(
        self, bundle: BundleContents, replica: Replica, anchors: Anchors, findings: Findings, people: Mapping[str, str],
        damaged: Mapping[LogId, int],
    ) -> None:  # fmt: skip
        self._bundle = bundle
        self._replica = replica
        self._anchors = anchors
        self._findings = findings
        self._people = people
        self._damaged = damaged  # by log: the first entry that cannot be read, or is not what its author signed
        self._book = Book(replica, anchors.witnesses)
        self._largest: dict[LogId, int] = {}
        self._heard: set[bytes] = set()  # keys of witnesses in the bundle's notes, whether these fit or not
        self.words: list[tuple[LogId, Word]] = []
        self.coverage: tuple[Coverage, ...] = ()

    def witnessed(self, log: LogId) -> int:
        """The largest size of a log that a member has cosigned."""
        return self._largest.get(log, 0)

    # -------------------------------------------------------------- cosignatures in the bundle

    def read_cosigned(self) -> None:
        """Check every note that carries cosignatures."""
        for log in self._bundle.logs:
            if not (self._replica.size(log.peer) and self._replica.enrolled(log.peer)):
                continue
            for note, file in ((log.checkpoint, "checkpoint"), (log.cosigned, "cosigned")):
                if note:
                    self._read_note(log, note, f"{log.place}/{file}", must_be_cosigned=file == "cosigned")

    def _read_note(self, log: BundleLog, note: bytes, file: str, *, must_be_cosigned: bool) -> None:
        try:
            checkpoint, good, bad = self._book.words(note, log.peer)
        except RemoteError as error:
            if must_be_cosigned and not self._cut(log.peer):  # what is wrong with the other one is said by structure.py
                self._findings.add(log.peer, -1, "cosignature", file, str(error))
            return
        for name in bad:
            if self._damaged and not any(name == origin(self._bundle.swarm, peer) for peer in self._whole()):
                continue  # its key may be in what cannot be read
            self._findings.add(log.peer, -1, "cosignature", file, f"nobody known has made that of {name}")
        if must_be_cosigned and not good and not bad:
            self._findings.add(log.peer, -1, "cosignature", file, "nobody has cosigned it")
        self._heard |= {word.key for word in good}
        if must_be_cosigned or good:
            said = (
                f"witnessed {checkpoint.size} by {self._who(good)}" if good else f"its author signed {checkpoint.size}"
            )
            if not self._fits(log, checkpoint, file, said, sealed=not must_be_cosigned):
                return
        self.words += [(log.peer, word) for word in good]
        if good:
            self._largest[log.peer] = max(self._largest.get(log.peer, 0), checkpoint.size)

    def _fits(self, log: BundleLog, checkpoint: Checkpoint, file: str, said: str, *, sealed: bool = False) -> bool:
        """Whether the log here is, or begins with, what was signed; a finding if not.

        `sealed`: seals.py has held the root against the entries, and has said so if they differ.
        """
        branches = [other for other in self._bundle.logs if peer_of(other.peer) == peer_of(log.peer)]
        size, shown = checkpoint.size, max(branch.size for branch in branches)
        if size > shown:
            self._findings.add(log.peer, shown, "truncated", file, f"presents {shown}, {said}")
            return False
        if any(size > self._damaged.get(branch.peer, size) for branch in branches):
            return False  # what cannot be read has a finding of its own
        try:
            roots = [self._root(branch, size) for branch in branches if branch.size >= size]
        except RemoteError:
            return False  # entries that cannot be read have a finding of their own
        if checkpoint.root not in roots and sealed:
            return False
        if checkpoint.root not in roots:
            why = f"the author signed another history of {size} entries; with {log.place}/checkpoint it proves a fork"
            self._findings.add(log.peer, size - 1, "fork", file, f"{said}: {why}")
            return False
        return True

    def _cut(self, log: LogId) -> bool:
        """Whether files that cannot be read keep some of that log's entries, and maybe a key, from being known."""
        return bool(self._damaged) and peer_of(log) not in self._whole()

    def _whole(self) -> set[PeerId]:
        """Members of whose logs every entry here was admitted."""
        part = {peer_of(log.peer) for log in self._bundle.logs if self._replica.size(log.peer) < log.size}
        return {peer_of(log.peer) for log in self._bundle.logs} - part

    def _root(self, log: BundleLog, size: int) -> bytes:
        """The root of the first entries here, admitted or not: who withholds a blob does not choose what is held."""
        if self._replica.size(log.peer) >= size:
            return self._replica.root(log.peer, size)
        return root_of(leaf_hash(data) for data in islice(log.entries(), size))

    def _who(self, words: Iterable[Word]) -> str:
        return of_names(self._people, [word.by or word.name for word in words])

    # -------------------------------------------------------------- what the auditor knows

    def compare(self, model: Hash, replay: Replay) -> None:
        """Hold the bundle against every anchor, and what it claims of itself against its entries."""
        anchors, bundle = self._anchors, self._bundle
        if anchors.swarm and anchors.swarm != bundle.swarm:
            self._wrong("bundle.json", f"is of swarm {bundle.swarm}, not {anchors.swarm}")
        for note in anchors.checkpoints:
            self._against_checkpoint(note)
        found = [coverage(self._replica, self.words, key) for key in anchors.witnesses]
        for key, covered in zip(anchors.witnesses, found, strict=True):
            if (
                covered is None and key not in self._heard and not self._damaged
            ):  # (what it signed, and is not here, has a finding of its own)
                self._wrong("bundle.json", f"has no cosignature by the witness {key.hex()[:16]} that you named")
        self.coverage = tuple(covered for covered in found if covered is not None)
        if anchors.model_file is not None:
            self._against_model(replay)
        if not model:
            return
        if model != bundle.model_hash:
            self._findings.add(
                "", -1, "claim", "bundle.json", f"claims model {bundle.model_hash}, its entries give {model}"
            )
        if anchors.model and anchors.model != model:
            self._wrong("bundle.json", f"its entries give model {model}, not {anchors.model}")

    def _against_checkpoint(self, note: bytes) -> None:
        try:
            _, checkpoint = parse_checkpoint(note)
        except RemoteError as error:
            self._wrong("bundle.json", f"cannot be held against the checkpoint that you named: {error}")
            return
        named = [log for log in self._bundle.logs if origin(self._bundle.swarm, peer_of(log.peer)) == checkpoint.origin]
        if not named:
            self._wrong("bundle.json", f"has no log {checkpoint.origin}, of which you have a checkpoint")
            return
        log, file = named[0], f"{named[0].place}/checkpoint"
        if not (self._replica.size(log.peer) and self._replica.enrolled(log.peer)):
            self._wrong(file, f"of the log whose checkpoint of {checkpoint.size} entries you have, no entry holds")
            return
        problem: RemoteError | None = None
        for branch in named:  # a rotation may be on another branch
            try:
                _, good, _ = self._book.words(note, branch.peer)
                break
            except RemoteError as error:
                problem = error
        else:
            if self._cut(log.peer):
                return
            shown = max(branch.size for branch in named)
            if checkpoint.size > shown:  # a later key may have signed it: its entry would be among those not shown
                why = f"you hold a checkpoint of {checkpoint.size} (signed with a key that this bundle does not show)"
                self._findings.add(log.peer, shown, "truncated", file, f"presents {shown}, {why}")
                return
            self._wrong(file, f"its key did not sign the checkpoint that you named: {problem}")
            return
        who = f"you hold a checkpoint of {checkpoint.size}"
        if good:
            who += f", witnessed by {self._who(good)}"
        if self._fits(log, checkpoint, file, who):
            self.words += [(log.peer, word) for word in good]

    def _against_model(self, replay: Replay) -> None:
        assert self._anchors.model_file is not None
        try:
            exported = read_model(self._anchors.model_file)
        except RemoteError as error:
            self._wrong(str(self._anchors.model_file), f"nothing can be held against the model that you named: {error}")
            return
        header = exported.header
        log = find_snapshot(self._replica, header)
        if header.swarm != self._bundle.swarm:
            self._wrong("bundle.json", f"is of swarm {self._bundle.swarm}, the model is of {header.swarm}")
        elif log is None or not isinstance(self._replica.entry(log, header.snapshot[1]), Snapshot):
            peer, seq, _ = header.snapshot
            self._wrong(
                "bundle.json", f"does not have the snapshot that the model was exported from, {peer[:12]}/{seq}"
            )
        else:
            self._compare_model(log, header, exported.values, replay)

    def _compare_model(self, log: LogId, header: Header, values: bytes, replay: Replay) -> None:
        replica = self._replica
        seq = header.snapshot[1]
        past, genesis = replica.past(log, seq + 1), replica.genesis

        def wrong(why: str) -> None:
            self._wrong(str(self._anchors.model_file), f"the model that you named, of {log[:12]}/{seq}, {why}")

        model = replay.model_bytes(past)
        if model is None:
            return  # not replayable: said so
        if header != make_header(replica, log, seq, model_hash(genesis.layout, model)):
            wrong("says other things of itself than its ledger says of it")
        again = float32_bytes(model)
        if len(again) != len(values):
            wrong(f"has {len(values)} bytes of parameters, its entries give {len(again)}")
        elif again != values:
            wrong(f"is not what its entries give: parameter {differences(again, values)[0]} is the first that differs")

    def _wrong(self, file: str, detail: str) -> None:
        self._findings.add("", -1, "anchor", file, detail)
