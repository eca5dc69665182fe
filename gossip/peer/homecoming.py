"""One's own log after a start: is this all of it? Whoever writes before that is known may sign a second history.

    new (never signed) --a member now, nobody has more--------> home: may write
    away --whoever was met has spoken of our log, 2 s--> home    others have more? fetch it first, like any log
         --10 s, and the mark agrees with the store----> home    the mark is ahead? wait for the rest, however long
    any  --somebody shows another branch that our key signed--> lost: never writes again

A store restored from a backup lacks entries that others hold; the mark (ledger/mark.py) tells, unless the backup was
of the whole directory: then only the others know. Rules kept here: nothing is written or signed before home; a claim
to hold more of our log counts until it was not made good; another branch counts only with our own signature on it.

It refuses to know how entries are fetched and what is written.
"""

from __future__ import annotations

from typing import Final

from gossip.peer.links import Links
from gossip.peer.outbox import Outbox
from gossip.peer.rumour import Rumour
from gossip.peer.tape import Tapes
from ledger.entry import Hash, PeerId
from ledger.replica import Replica

SETTLE_S: Final = 2.0  # from the first word about our log to writing: others may come up, and know more
ALONE_S: Final = 10.0  # without a word about it
TIMER: Final = "home"


class Homecoming:
    """Whether this peer may write. `mark` is the size and root that it last signed; `restored` if the store is known to
    hold the beginning of the own log only."""

    def __init__(
        self, own: PeerId, replica: Replica, tapes: Tapes, rumour: Rumour, links: Links, out: Outbox,
        mark: tuple[int, Hash] | None, *, restored: bool = False,
    ) -> None:  # fmt: skip
        self._own = own
        self._replica = replica
        self._tapes = tapes
        self._rumour = rumour
        self._links = links
        self._out = out
        self._mark = mark
        self._since = 0.0
        self._heard_at: float | None = None
        self._unheard: dict[bytes, None] = {}  # keys we were linked to since the start, whose word is still out
        self._told = False
        self._is_home = False
        self._restored = restored
        self._is_new = not restored and mark is None and replica.size(own) <= (2 if own == replica.founder else 1)
        self._lost = ""
        rumour.wants_own = True

    @property
    def is_home(self) -> bool:
        """Whether the own log is whole: then it may be written and signed."""
        return self._is_home and not self._lost

    @property
    def may_sign(self) -> bool:
        """Whether what is stored may be signed. A newcomer signs the enrol entry that it was set up with."""
        return not self._lost and (self._is_home or self._is_new)

    @property
    def is_lost(self) -> bool:
        """Whether this peer must never write again."""
        return bool(self._lost)

    def start(self, now: float) -> bool:
        """The store has been read back. True if the own log is known to be whole."""
        self._since = now
        held = self._replica.size(self._own)
        if self._mark is not None and self._mark[0] > max(1, held):  # an enrol entry may still wait for its swarm
            self._say(
                f"{held} of this peer's own entries are here and it signed for {self._mark[0]}: it waits for others"
            )
        elif self._restored or (self._mark is None and not self._is_new):
            self._say("what this peer signed last is not known: it waits for another peer to say")
        self._links.seeks = not self._is_new
        return self.tick(now)

    def tick(self, now: float) -> bool:
        """Look whether it is time to go home. True if we are."""
        if self._is_home or self._lost:
            return self.is_home
        if self._has_another_root() or len(self._replica.strands(self._own)) > 1:
            self.stop()
            return False
        self._listen(now)
        if self._is_whole() and (self._is_member() if self._is_new else self._is_sure(now)):
            self._is_home = True
            self._rumour.wants_own = self._links.seeks = False
            return True
        if not self._is_new and now >= self._since + ALONE_S and not self._told:
            self._told = True
            self._say(
                "this peer's own log is not whole here, so it writes nothing: it waits for what others hold of it; "
                "if nobody has it any more, join again as a new peer"
                + ("; a backup older than the last changes of keys is heard by nobody" if self._restored else "")
            )
        if not self._is_new:
            times = [self._since + ALONE_S, *(() if self._heard_at is None else (self._heard_at + SETTLE_S,))]
            times = [time for time in times if time > now]
            if times:
                self._out.timer(TIMER, min(times))
        return False

    def _listen(self, now: float) -> None:
        """Who has spoken of our log, and who was linked and has not? A link that broke before it had spoken, or
        before it had shown what it holds, may have been to the only one that holds our newest entry. By key: whom a
        backup of ours does not know yet comes as a guest, and may have been let in by the very entry that is lost."""
        for live in self._links:
            has_spoken = self._rumour.has_spoken(live.link, self._own)
            if has_spoken and self._heard_at is None:
                self._heard_at = now
            if has_spoken and not self._rumour.claimed_more(self._own, live.link):
                self._unheard.pop(live.key, None)
            else:
                self._unheard[live.key] = None

    def _is_member(self) -> bool:
        return self._own == self._replica.founder or bool(self._replica.role_of(self._own))

    def _is_whole(self) -> bool:
        """Whether nobody we are linked with has more, and nothing that we know of waits."""
        tape = self._tapes.get(self._own)
        if tape is not None and (tape.held or tape.stopped):  # stopped: somebody signed an entry that breaks a rule
            return False
        if any(self._rumour.claimed_more(self._own, live.link) for live in self._links):
            self._is_new = False  # we have been here before
            return False
        return self._mark is None or self._mark[0] <= self._replica.size(self._own)

    def _is_sure(self, now: float) -> bool:
        waited = now >= self._since + ALONE_S
        if self._heard_at is None:
            return waited and self._mark is not None and not self._restored
        return now >= self._heard_at + SETTLE_S and (not self._unheard or waited)

    def _has_another_root(self) -> bool:
        """Whether the store holds another branch of our log than the one we signed last."""
        if self._mark is None or not 0 < self._mark[0] <= self._replica.size(self._own):
            return False
        return self._replica.root(self._own, self._mark[0]).hex() != self._mark[1]

    def stop(self, *, is_fork: bool = True) -> None:
        """Two histories carry our signature; or we are convicted of having shown records that we never committed to."""
        if not self._lost:
            self._lost = (
                "it is proven that this peer showed records of another data set than it had committed to: "
                "nothing that it writes counts any more; join again as a new peer"
            )
            if is_fork:
                self._lost = (
                    "two histories of this peer's log carry its signature, as when a copy of its directory was run, "
                    "or by a stolen key that it has left behind: "
                    "it writes nothing any more; join again as a new peer"
                )
            self._say(self._lost)

    def _say(self, text: str) -> None:
        self._out.note("trouble", text=text)
