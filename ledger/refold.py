"""The model of an audit: the sum of deltas moved from one snapshot's past to the next, and what each claims held to it.

    open, leave_out --> what is known of updates      judge(snapshot) --> the sum moves to its past, and is hashed

Rules kept here: a delta that is not here makes what needs it unknown, never right or wrong; decoded deltas are kept
only as far as there is room. A model that is not that of its past may be that of a past in which the policy was not
enforced (breach.py): then it is called so. It refuses to know which entries are admitted, and where blobs are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Generic

from ledger.breach import LeftOut
from ledger.bundle import Blob
from ledger.chain import LogId
from ledger.checked import open_delta
from ledger.entry import Genesis, Hash, Update
from ledger.errors import RemoteError
from ledger.fold import Arithmetic, D, Fold, T
from ledger.replica import Checked, Replica

MAX_CACHED_BYTES: Final = 2 << 20  # of decoded deltas, as blobs: they take up to nine times that


class Refold(Generic[D, T]):
    """`blob` looks one up; `lose` hears of what was there, and is no more."""

    def __init__(
        self,
        replica: Replica,
        arithmetic: Arithmetic[D, T],
        blob: Blob,
        lose: Callable[[Hash], None],
    ) -> None:
        self._replica = replica
        self._arithmetic = arithmetic
        self._blob = blob
        self._lose = lose
        self._fold: Fold[D, T] | None = None
        self._at: dict[LogId, int] = {}  # the past that the fold is of
        self._decoded: OrderedDict[Hash, tuple[D, int]] = OrderedDict()
        self._cached = 0
        self._gaps: dict[LogId, int] = {}  # the first update of each log whose delta is missing
        self._left_out = LeftOut()
        self.replayed = 0

    @property
    def is_begun(self) -> bool:
        return self._fold is not None

    def begin(self, genesis: Genesis) -> None:
        self._fold = Fold(genesis.layout, genesis.seed, self._arithmetic)

    # -------------------------------------------------------------- updates

    def open(self, checked: Checked, entry: Update, blob: bytes | None) -> None:
        """Hold a delta to what its entry says of it. It is needed again soon: at the next snapshot."""
        if self._fold is None:
            return
        if blob is None:
            self._gaps.setdefault(checked.log, checked.seq)
        else:
            self._keep(entry.delta, open_delta(checked, blob, self._fold), len(blob))

    def leave_out(self, checked: Checked) -> None:
        """An update that the policy leaves out: somebody may fold it all the same."""
        self._left_out.note(checked.log, checked.seq, [breach.rule for breach in checked.refused])

    def _keep(self, name: Hash, decoded: D, size: int) -> None:
        if size <= MAX_CACHED_BYTES and name not in self._decoded:
            self._decoded[name] = (decoded, size)
            self._cached += size
            while self._cached > MAX_CACHED_BYTES:
                _, (_, freed) = self._decoded.popitem(last=False)
                self._cached -= freed

    def _delta(self, name: Hash, fold: Fold[D, T]) -> D | None:
        found = self._decoded.get(name)
        if found is not None:
            return found[0]
        try:
            blob = self._blob(name)  # its length was held to its entry when it came by
        except RemoteError:
            blob = None
        if blob is None:  # it was there a moment ago
            self._lose(name)
            return None
        decoded = self._arithmetic.decode(blob, fold.parameters)
        self._keep(name, decoded, len(blob))
        return decoded

    def _refused(self, place: tuple[LogId, int]) -> tuple[D, int] | None:
        """The delta and weight of an update that the policy leaves out; None if it is not here, or is none."""
        entry = self._replica.entry(*place)
        assert isinstance(entry, Update)
        assert self._fold is not None
        try:
            blob = self._blob(entry.delta, entry.bytes)
            return None if blob is None else (self._arithmetic.decode(blob, self._fold.parameters), entry.weight)
        except RemoteError:
            return None

    # -------------------------------------------------------------- the model

    def judge(self, log: LogId, seq: int, claimed: Hash) -> tuple[str, str] | None:
        """What is wrong with the model that an admitted snapshot claims: rule and reason. None if nothing can be said
        against it."""
        past = self._replica.past(log, seq + 1)
        if not self._move(past) or self._fold is None:
            return None  # not replayable, so neither right nor wrong
        self.replayed += 1
        model = self._fold.model_hash()
        if model == claimed:
            return None
        why = f"says model {claimed}, its past gives {model}"
        more = self._left_out.explain(self._fold, self._replica.left_out(past), claimed, self._refused)
        return ("policy-breach", f"{why}; with {more} it is what it says") if more else ("model", why)

    def _move(self, past: Mapping[LogId, int]) -> bool:
        """Add and remove terms until the fold is that of `past`. False if a delta of it is missing."""
        fold = self._fold
        if fold is None or any(seq < past.get(log, 0) for log, seq in self._gaps.items()):
            return False
        change = self._replica.change(self._at, past)
        for terms, move in ((change.removed, fold.remove), (change.added, fold.add)):
            for _, _, name, weight in terms:
                decoded = self._delta(name, fold)
                if decoded is None:
                    self._fold = None  # half moved: no model can be told any more
                    return False
                move(decoded, weight)
        self._at = dict(past)
        return True

    def model_hash(self) -> Hash:
        """Of everything admitted; "" if it cannot be replayed."""
        if not self._move(self._replica.heads()) or self._fold is None:
            return ""
        return self._fold.model_hash()

    def model_bytes(self, past: Mapping[LogId, int]) -> bytes | None:
        """The model of a past as it is hashed; None if it cannot be replayed."""
        if not self._move(past) or self._fold is None:
            return None
        return self._arithmetic.model_bytes(self._fold.theta)
