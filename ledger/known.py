"""What a peer holds of the swarm, asked: entries, keys, roles, policies, pasts, and what is in a sum.

    Known    columns of the logs and what is looked up in them     <- this file: reads
    Moves    what an entry about to come in does to the sum         moves.py
    Replica  which entries come in                                  replica.py: the only one that changes anything

Why it exists: most who hold a replica only ask it, and asking is simple; coming in is not.

Rules kept here: whoever asks gets what follows from the entries admitted, and nothing that depends on when or from whom
they came. It refuses to know how entries come in. What is not held (tail.py) raises NeedsHistory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

from ledger import in_force, standing
from ledger.branches import Branches
from ledger.canonical import decode_entry
from ledger.chain import (
    MAX_LOG_SIZE,
    Charge,
    LogId,
    Ranges,
    Wish,
    peer_of,
)
from ledger.charter import Charter, Past
from ledger.checked import Change
from ledger.condemned import is_judged, judges_of, owner, quorum, voices
from ledger.entry import (
    AnyEntry,
    Challenge,
    Data,
    FoldConstants,
    Genesis,
    Hash,
    Judgement,
    PeerId,
    Verdict,
)
from ledger.errors import LocalError
from ledger.inspection_rules import answered_by, is_false
from ledger.membership import Membership, Word, revoked_from
from ledger.merkle import Column, Tree
from ledger.policy import Policy
from ledger.rebuild import tip_at
from ledger.standing import Term
from ledger.tail import Items

Reader = Callable[[LogId, int], bytes]


class Known:
    """Everything admitted so far.

    `swarm` and `founder` come from an invite, a store or an auditor's anchor, never from a peer. `read` looks up the
    bytes of an admitted entry (a strand's own ones only, from its fork on); without it they are kept here. `column`
    makes the columns of hashes: an auditor's need not be in memory.
    """

    def __init__(
        self,
        swarm: Hash,
        founder: PeerId,
        read: Reader | None = None,
        column: Callable[[], Column] = bytearray,
    ) -> None:
        self._column = column
        self._charter = Charter(swarm, founder)
        self._held = Branches()
        self._logs, self._strands = self._held.logs, self._held.strands
        self._entries: dict[LogId, Items[bytes]] = {}  # a strand's from its fork on
        self._read = read or self._kept
        self._keeps = read is None
        self._seats: dict[PeerId, Membership] = {}
        self._words: dict[PeerId, set[Word]] = {}  # of admins who want a member out
        self._members: dict[bytes, tuple[PeerId, ...]] = {}  # enrolled, by key in force, for display and links
        self._promised: dict[Hash, tuple[PeerId, ...]] = {}  # by the next key, whose promise came in first
        self._shown: dict[PeerId, tuple[set[bytes], set[Hash]]] = {}  # the same by peer
        self._had: dict[bytes, set[PeerId]] = {}  # whose key it is or was; asked, never iterated
        self._cuts: dict[LogId, Ranges] = {}  # what counts of those logs of which not everything does (standing.py)
        self._troubled: set[PeerId] = set()  # accused, forked, recovered or judged: only their cuts move
        self._charged: set[Charge] = set()  # by admitted accusations: the same once more moves nothing
        self._judges: dict[PeerId, set[PeerId]] = {}  # who condemned anything of a peer: one alone moves nothing
        self._about: dict[PeerId, list[tuple[LogId, int]]] = {}  # verdicts on a peer's entries
        self._policy: Policy | None = None
        self._said: dict[Wish, set[str]] = {}  # policies asked for, and by which admins
        self._admitted = 0  # entries

    @property
    def branches(self) -> Branches:
        """The logs themselves, for who reads their columns (state_document.py). Never to be changed."""
        return self._held

    @property
    def admitted(self) -> int:
        """How many entries came in since this was made: it changes whenever anything does."""
        return self._admitted

    def is_seated(self, log: LogId) -> bool:
        """Whether the author of a log has seen itself let in."""
        return peer_of(log) in self._held.get(log).tip.admitted

    @property
    def swarm(self) -> Hash:
        return self._charter.swarm

    @property
    def founder(self) -> PeerId:
        return self._charter.founder

    @property
    def has_genesis(self) -> bool:
        return self._charter.genesis is not None

    @property
    def genesis(self) -> Genesis:
        """LocalError until it is admitted."""
        return self._charter.require()

    @property
    def constants(self) -> FoldConstants:
        return self._charter.constants

    def policy_now(self) -> Policy:
        """The policy in force in the past that holds everything admitted. LocalError before genesis."""
        return self._charter.policies[self.policy_standing()[1]]

    def policy_standing(self) -> Wish:
        """Its number and hash."""
        return in_force.in_force(self.genesis, {wish: tuple(admins) for wish, admins in self._said.items()})

    def admins_for(self, wish: Wish) -> int:
        """How many admins have asked for a policy under that number."""
        return len(self._said.get(wish, ()))

    @property
    def policies(self) -> Mapping[Hash, Policy]:
        """Genesis' policy and every one that an admitted entry names."""
        return self._charter.policies

    def asked(self) -> tuple[Wish, ...]:
        """Every (number, hash) that an admitted policy entry asks for, sorted."""
        return tuple(sorted(self._said))

    def policy_of(self, digest: Hash) -> Policy:
        """One of them by its hash."""
        found = self._charter.policies.get(digest)
        if found is None:
            raise LocalError(f"no entry that is held names a policy {digest[:12]}")
        return found

    def left_out(self, past: Mapping[LogId, int]) -> list[tuple[LogId, int]]:
        """Every update of a past that would be in its sum if the policy had let it in: log and index."""
        return standing.left_out(self._logs, past)

    def opens_falsely(self, log: LogId, seq: int, blob: bytes) -> bool:
        """Whether `blob`, which opening entry `seq` of a log names, is not what that log's data entry commits to."""
        held = self._held.get(log)
        opening = next((opening for at, opening in held.openings if at == seq), None)
        if opening is None or sha256(blob).hexdigest() != opening.opened:
            raise LocalError(f"this is not what entry {seq} of log {log[:12]} opens")
        return is_false(self._charter, Past(held, self._logs), held, opening, blob)

    def answers(self, log: LogId, seq: int) -> list[tuple[Data, Challenge]]:
        """What the opening at that place may answer: the challenge, and the data entry that it asks about."""
        held = self._held.get(log)
        opening = next((opening for at, opening in held.openings if at == seq), None)
        return [] if opening is None else answered_by(Past(held, self._logs), held, opening)

    @property
    def updates(self) -> Iterator[Term]:
        """Every update in the sum of everything admitted, by log: (log, seq, delta, weight)."""
        for log in self._logs.values():
            yield from standing.terms_in(log, standing.ranges_of(log, log.tip.size, self._cuts))

    def terms(self, past: Mapping[LogId, int]) -> Iterator[Term]:
        """Every update in the sum of a past."""
        return standing.terms(self._logs, past)

    def change(self, before: Mapping[LogId, int], after: Mapping[LogId, int]) -> Change:
        """What turns the sum of one past into that of another."""
        removed, added = standing.change(self._logs, before, after)
        return Change(tuple(removed), tuple(added))

    def weight_of(self, log: LogId, seq: int) -> int | None:
        """The weight of an admitted update that the policy let in, whether it still counts or not; None of others."""
        held = self._held.get(log)
        return held.weight[seq + 1] - held.weight[seq] if held.folded[seq + 1] > held.folded[seq] else None

    def void_from(self, log: LogId) -> int | None:
        """The lowest index from which a log counts no more by all that is admitted now; None if it all counts.

        Because it was signed twice, or opened wrongly; who is out is `revoked_from`. Finals may hold some of what is
        void, and recoveries take out more: `terms` is what counts.
        """
        held = self._held.get(log)
        charges = {c for other in self._logs.values() for _, c in other.charges if c.peer == held.peer}
        branches = [(strand, strand.tip.size) for strand in self._strands[held.peer]]
        void = standing.void_from((held, held.tip.size), branches, charges)
        return None if void == standing.NEVER else void

    def convicted_at(self, peer: PeerId) -> int | None:
        """The lowest index at which accusations alone show that a branch of a peer's log does not count; or None."""
        charges = {c for log in self._logs.values() for _, c in log.charges if c.peer == peer}
        found = (standing.void_from((log, log.tip.size), (), charges) for log in self._strands.get(peer, ()))
        lowest = min(found, default=standing.NEVER)
        return None if lowest == standing.NEVER else lowest

    def accused_at(self, peer: PeerId) -> int | None:
        """The lowest index that an admitted accusation names in a peer's log."""
        indices = [c.index for log in self._logs.values() for _, c in log.charges if c.peer == peer]
        return min(indices, default=None)

    def condemned(self, log: LogId, seq: int) -> bool:
        """Whether by all that is admitted now a quorum condemns an update, or the data that it learned from.

        Of a data entry: whether that many condemn it that no update which cites it could count (were n(u) the number
        of groups that train now). What a final holds counts all the same: `terms` is what does.
        """
        held = self._held.get(log)
        if held.folded[seq + 1] > held.folded[seq]:
            enough = quorum(held.active[held.folded[seq]])
            return voices(judges_of(held, seq, self.heads())) >= enough
        votes = owner(held, seq).votes.get(seq, ())
        houses = {peer: self._seats[peer].house for peer in self.trainers()}
        groups = {(house, "") if house else ("", peer) for peer, house in houses.items()}
        return voices({(judge.peer, house) for judge, _, house in votes}) >= quorum(len(groups))

    def condemnations(self, past: Mapping[LogId, int]) -> Iterator[tuple[LogId, int, int, tuple[PeerId, ...]]]:
        """Every update let in that a quorum condemns in a past: log, seq, weight, and by whom, sorted."""
        for name, size in past.items():
            log = self._logs[name]
            for number in range(log.folded[log.fork], log.folded[size]) if is_judged(log) else ():
                seq = log.folded_at[number]
                judges = judges_of(log, seq, past)
                if voices(judges) >= quorum(log.active[number]):
                    by = tuple(sorted({peer for peer, _ in judges}))
                    yield name, seq, log.weight[seq + 1] - log.weight[seq], by

    def judgements(self, peer: PeerId) -> Iterator[tuple[LogId, int, Judgement]]:
        """Everything that is said of a peer's entries: in which log (its author is the judge), where, and what.

        Of a replica that was opened from a snapshot: what was said since.
        """
        for log, seq in self._about.get(peer, ()):
            entry = self.entry(log, seq)
            assert isinstance(entry, Verdict)
            yield from ((log, seq, judgement) for judgement in entry.judgements if judgement.peer == peer)

    def leaf(self, log: LogId, seq: int) -> Hash:
        """The leaf hash of an admitted entry: by which a judgement names it."""
        return self._held.get(log).tree.leaf(seq).hex()

    def heads(self) -> dict[LogId, int]:
        """How many entries of each log are admitted: V, the version vector that a model hash belongs to."""
        return {name: log.tip.size for name, log in self._logs.items() if log.tip.size > log.fork}

    def strands(self, peer: PeerId) -> tuple[LogId, ...]:
        """The branches held of one peer's log, the trunk first; () if nothing is."""
        return tuple(log.id for log in self._strands.get(peer, ()))

    def size(self, log: LogId) -> int:
        held = self._logs.get(log)
        return held.tip.size if held else 0

    def holds(self, log: LogId, size: int) -> bool:
        """Whether that many entries of a log, or of any other branch of it, are admitted: what Waiting waits for."""
        return any(strand.tip.size >= size for strand in self._strands.get(peer_of(log), ()))

    def tree(self, log: LogId) -> Tree:
        return self._held.get(log).tree

    def root(self, log: LogId, size: int) -> bytes:
        return self._held.get(log).tree.root(size)

    def data(self, log: LogId, seq: int) -> bytes:
        """The bytes of an admitted entry, as received."""
        held = self._held.get(log)
        while held.parent is not None and seq < held.fork:
            held = held.parent
        if not 0 <= seq < held.tip.size:
            raise LocalError(f"entry {seq} of log {log[:12]} is not held")
        return self._read(held.id, seq)

    def entry(self, log: LogId, seq: int) -> AnyEntry:
        return decode_entry(self.data(log, seq))

    def past(self, log: LogId, size: int) -> dict[LogId, int]:
        """The version vector of a log's first `size` entries, its own included."""
        packed = self._held.get(log).pasts[size - 1]
        sizes = ((name, packed >> (32 * held.lane) & MAX_LOG_SIZE) for name, held in self._logs.items())
        return {name: seen for name, seen in sizes if seen}

    def cited(self, log: LogId, seq: int) -> list[bytes]:
        """Peer || size || root of every branch that an admitted entry has seen, sorted: `heads` is their hash."""
        return sorted(tip_at(self._held.get(log), seq + 1, "").heads)

    def ended_at(self, log: LogId) -> int | None:
        """The index at which an invalid entry ended a log, if one did."""
        return self._held.ended.get(log)

    def enrolled(self, log: LogId) -> bool:
        held = self._logs.get(log)
        return held is not None and bool(held.keys)

    def key_of(self, log: LogId) -> bytes:
        """The public key that signs a log's checkpoints now."""
        return self.key_at(log, MAX_LOG_SIZE)

    def key_at(self, log: LogId, size: int) -> bytes:
        """The public key that must sign a log's checkpoint of that size."""
        return self._held.get(log).held_at(size).key

    def keys_of(self, log: LogId) -> tuple[bytes, ...]:
        """Every public key that a log has had, the one of its enrolment first."""
        return tuple(held.key for held in self._held.get(log).keys)

    def promised(self, log: LogId) -> Hash:
        """The SHA-256 of the key that a log may change to next."""
        return self._held.get(log).held_at(MAX_LOG_SIZE).promise

    def enrol_key_of(self, peer: PeerId) -> bytes:
        """The key that lists of admins and witnesses know a peer by; it never changes."""
        return self._held.get(peer).held_at(0).key

    def role_of(self, peer: PeerId) -> str:
        """The role of a member by all that is admitted now; "" for a stranger, and for who is out."""
        seat = self.membership(peer)
        return seat.role if seat is not None else ""

    def membership(self, peer: PeerId) -> Membership | None:
        """What is said of a member by all that is admitted now; None for a stranger, and for who is out.

        Whether its time is over is for the caller's clock to say (`has_expired`): entries have none.
        """
        if self._words and self.revoked_from(peer) is not None:  # (asked many times for every event)
            return None
        return self._seats.get(peer)

    def may_let_in(self, peer: PeerId) -> bool:
        """Whether that member may let others in: admins, and where genesis allows guests trainers who are none."""
        seat = self.membership(peer)
        if seat is None or seat.role == "admin":
            return seat is not None
        return seat.role == "trainer" and not seat.house and self.genesis.guests > 0

    def is_revoked(self, peer: PeerId) -> bool:
        """Whether, by all that is admitted now, enough admins want a member out."""
        return bool(self._words) and self.revoked_from(peer) is not None

    def words(self, peer: PeerId) -> frozenset[Word]:
        """What admins have said who want a member out, whether there are enough of them or not."""
        return frozenset(self._words.get(peer, ()))

    def pending(self) -> list[tuple[PeerId, frozenset[Word]]]:
        """Everybody whom admins want out, but too few of them, and what they said."""
        return [(peer, self.words(peer)) for peer in sorted(self._words) if self.revoked_from(peer) is None]

    def shown_out(self) -> list[tuple[PeerId, int]]:
        """Everybody who is out, and from which index of the log on."""
        found = ((peer, self.revoked_from(peer)) for peer in sorted(self._words))
        return [(peer, since) for peer, since in found if since is not None]

    def wanted_out_by(self, peer: PeerId) -> tuple[PeerId, ...]:
        """The admins who want a member out, be they enough or not; sorted."""
        logs = self._logs.values()
        return tuple(sorted({log.peer for log in logs if any(of == peer for _, of, _ in log.revokes)}))

    def revoked_from(self, peer: PeerId) -> int | None:
        """The index in a peer's log from which nothing counts because it is out; None if it is not."""
        return revoked_from(self._words[peer]) if peer in self._words else None

    def member_by_key(self, key: bytes) -> PeerId | None:
        """The member whose key this is: the one in force, or the one it has promised to change to.

        Whoever has enrolled with a key, or uses it, has it, whatever others promise: a promise is a hash, and takes no
        more than having seen somebody's key, or promise. Of two promises the one counts that came in first here.
        """
        owners = [peer for peer in self._members.get(key, ()) if self.membership(peer) is not None]
        if owners:
            return min(owners)
        had = self._had.get(key, set())
        promised = self._promised.get(sha256(key).hexdigest(), ())
        return next((peer for peer in promised if self.membership(peer) is not None and had <= {peer}), None)

    def trainers(self) -> tuple[PeerId, ...]:
        return tuple(sorted(peer for peer, seat in self._seats.items() if seat.trains and not self.is_revoked(peer)))

    def _kept(self, log: LogId, seq: int) -> bytes:
        return self._entries[log][seq - self._logs[log].fork]
