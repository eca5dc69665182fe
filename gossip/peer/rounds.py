"""When to train, and what becomes of it.

    no data --DataReady--> waiting to be a trainer --admitted--> data entry
       --> training --Trained--> update entry --stored--> pause --> training ...
                                    every so often, and at Drain: a snapshot entry

The pause ends when nothing that was announced is missing, at the latest after half of one's own round + 20 ms:
without it fast peers drown out or ignore the others (two of two runs on MNIST never got to 90%), with a barrier one
slow or dead peer stops all. A duty below 100% lengthens it, and so do lines over which updates take longer than a round
(tempo.py). How many steps a round takes and how much it publishes follows what machines and lines can do (profile.py).

A round begins from the fold of everything admitted, or, far behind, from the model of a final snapshot (arrival.py);
what came of that is published once the own fold gives that very model, and never otherwise. A round that diverges gives
nothing; after three in a row training stops, for who goes on would only spend its owner's machine and privacy.

Rules kept here: nothing begins from what a single peer says (leaders' sums are shown, never trained from); an update
says which of what it has seen was not yet in its view; after Drain nothing new begins; a peer claims an epsilon
(differential privacy) for all that it publishes, or for nothing of it, and publishes no update that has spent more. It
refuses to know JAX, what the data are and how an epsilon is counted (training/budget.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

import msgspec

from gossip.config import PeerConfig
from gossip.events import DataReady, Train, Trained, TrainingFailed
from gossip.peer.arrival import Arrival, Borrowed
from gossip.peer.author import Author, chain
from gossip.peer.book import Book
from gossip.peer.outbox import Outbox
from gossip.peer.panel import Panel
from gossip.peer.profile import Line, Profile
from gossip.peer.tempo import Tempo
from ledger.chain import LogId, peer_of
from ledger.delta import CODEC
from ledger.entry import GRID_ONE, AnyEntry, Claim, Data, Hash, PeerId, Scores, Snapshot, Update
from ledger.errors import RemoteError
from ledger.membership import TRAINING_ROLES
from ledger.policy_words import say_breach
from ledger.replica import ChainFields, Checked
from ledger.roles import silent

GRACE_S: Final = 0.02  # for updates in flight, beside half of one's own round
MAX_WASTED: Final = 3  # rounds in a row that diverge
WASTED_REST_S: Final = 5.0  # after each: meanwhile others may mend the model
TIMER: Final = "round"


class Rounds:
    """The training side of one peer."""

    def __init__(
        self, config: PeerConfig, book: Book, author: Author, out: Outbox, missing: Callable[[], int], profile: Profile,
        line: Callable[[], Line], panel: Panel,
    ) -> None:  # fmt: skip
        self._config = config
        self._book = book
        self._author = author
        self._out = out
        self._missing = missing
        self._profile = profile
        self._line = line
        self._panel = panel
        self.tempo = Tempo(config.tempo, out)
        self.density = 0  # of the newest round, thousandths of the declared share; 0: all of it
        self._blob_bytes = 0  # of the newest own update
        self._data: Data | None = None
        self._had_data: Data | None = None  # the last own commitment of an earlier run
        self._sketch = b""
        self._data_seq: int | None = None
        self._data_changed = False
        self._view: dict[PeerId, int] = {}
        self._unviewed = 0  # weight of others' updates folded since the view was taken
        self._since_snapshot = 0  # own updates
        self._began_at = 0.0
        self.arrival: Arrival | None = None
        self._began_with: Borrowed | None = None  # a final snapshot's model, in place of the fold's
        self._was_early = False  # it began before it was known what this peer is in the swarm
        self._finished: tuple[Trained, int] | None = None  # a round and its norm, not published yet
        self._rest_until = 0.0
        self._wait_until = 0.0
        self.training = False
        self._is_exchanging = False  # the trainer reads other data
        self.draining = False
        self.paused = ""  # why no round begins, for people; "": they do
        self.done = 0  # rounds trained since the start
        self.wasted = 0  # rounds in a row that gave nothing
        self.published = 0  # own updates in the log
        self._newest: Hash = ""  # the delta of the newest of them
        self.staleness = 0.0  # tau of the last own update
        self.weight = 0  # of the last own update, 0..65536
        self.scores: Scores | None = None
        self.spent = 0  # thousandths of epsilon, as the last own update says
        self._has_come_in = False  # our next entry has seen all that there was when we were let in
        self._told_refused = ""  # why the policy leaves own updates out, as the owner was told
        self._read_own_log()

    def _read_own_log(self) -> None:
        """After a restart: go on where the chain ends."""
        replica, own = self._book.replica, self._author.own
        for seq in range(replica.size(own)):
            self._read(seq, replica.entry(own, seq))

    def _read(self, seq: int, entry: AnyEntry) -> None:
        match entry:
            case Data() as data:
                self._had_data, self._data_seq = data, seq
            case Update() as update:
                self.published += 1
                self._newest = update.delta
                self._since_snapshot += 1
                self.weight = update.weight
                self.scores = update.scores
                self.spent = update.epsilon
            case Snapshot():
                self._since_snapshot = 0
            case _:
                pass

    def found_again(self, checked: Checked) -> None:
        """An own entry that this store had lost came from others."""
        self._read(checked.seq, checked.entry)
        if self._data is not None:
            self._data_changed = self._had_data is None or not _same(self._had_data, self._data)

    # -------------------------------------------------------------- what happens

    def data_ready(self, event: DataReady) -> None:
        self._is_exchanging = False
        self._profile.ready(event.steps, event.epoch_s)
        self._data = event.commitment
        self._sketch = event.sketch
        self._data_changed = self._had_data is None or not _same(self._had_data, event.commitment)

    def merged(self, checked: Checked, now: float) -> None:
        """Another peer's update was folded."""
        if isinstance(checked.entry, Update):
            self._profile.merged(peer_of(checked.log), checked.entry, now)
        if self.training or self._finished is not None:
            self._unviewed += checked.weight or 0

    def trained(self, event: Trained, now: float) -> None:
        if not self.training or event.round != self.done + 1:
            return  # the answer to a question of before a failure
        self.training = False
        if not self._author.may_write and not self._was_early:
            return  # our log was signed twice, as we have heard meanwhile
        fold = self._book.require_fold()
        try:
            norm = fold.arithmetic.norm(fold.arithmetic.decode(event.blob, fold.parameters))
        except RemoteError as error:
            self.failed(f"the trainer made no valid delta: {error}")
            return
        if self._data is None or not within(self._data, self.spent, event.epsilon):
            self.failed(f"an epsilon of {event.epsilon / 1000:g} is not what this peer's data entry claims")
            return
        self.done += 1
        self.wasted = 0
        self._profile.published(event.steps, event.seconds, now)
        self.scores = event.scores
        self._out.note("trained", round=self.done, steps=event.steps, examples=event.examples, seconds=event.seconds)
        self._finished = (event, norm)
        self._author.attempt(lambda: self._publish_finished(now))
        duty = self._config.duty_percent
        lag_s = self._profile.lag_s(now, self._line().round_trip_s)
        self.tempo.measured(lag_s, event.seconds)
        pause_s = max(event.seconds * (100 / duty - 1), self.tempo.pause_s(lag_s, event.seconds))
        self._rest_until = max(now + pause_s, self._began_at + self._config.min_round_s)
        self._wait_until = now + event.seconds / 2 + GRACE_S

    def diverged(self, event: TrainingFailed, now: float) -> None:
        """A round gave nothing that can be published: it is thrown away. What it spent of a promise stays spent."""
        if not self.training or event.round != self.done + 1:
            return
        self.wasted += 1
        if self.wasted >= MAX_WASTED:
            self.failed(f"{MAX_WASTED} rounds in a row were thrown away: {event.reason}")
            return
        self.training = False
        self._rest_until = now + WASTED_REST_S
        self._out.note("trouble", text=f"a round is thrown away: {event.reason}")

    def failed(self, reason: str) -> None:
        """Training failed: it stops until data are said to be ready again."""
        self.training = False
        self._data = None
        self._out.note("trouble", text=f"training stopped: {reason}")

    def pause(self, reason: str) -> None:
        """Begin no round until this is called with ""."""
        if reason != self.paused:
            self.paused = reason
            self._profile.rested()
            self._out.note("paused", reason=reason)

    @property
    def on_record(self) -> Data | None:
        """The data that this peer trains on, once its log says so; it lacks its place in the chain."""
        return None if self._data_changed or self._data_seq is None else self._data

    def exchange(self) -> None:
        """The trainer is told to read other data: no round begins before it is ready, or it would be of two data
        sets."""
        self._is_exchanging = True
        self.wasted = 0  # that was with those of before

    @property
    def may_exchange(self) -> bool:
        """Whether there are data that can be exchanged, and no round is under way."""
        return self.on_record is not None and not (
            self.training or self._finished is not None or self._is_exchanging or self.draining
        )

    @property
    def why_not_exchange(self) -> str:
        """What own data are for which others' rows must not be added to them; "": nothing."""
        data = self._data
        if data is None:
            return "it has no data of its own"
        if data.zone == "public":
            return "its own data are public, and with others' rows they would not be"
        return "it has promised an epsilon, for its own rows" if data.privacy.epsilon else ""

    def drain(self) -> None:
        self.draining = True

    # -------------------------------------------------------------- writing

    def _publish_finished(self, now: float) -> None:
        """What a round has made goes out when the model that it began with is known to be true; else it never does."""
        began = self._began_with
        if self._finished is None or (began is not None and began.outcome == "open"):
            return
        if self._was_early and not self._author.may_write:
            return
        is_true = began is None or began.outcome == "true"
        if is_true and self._was_early and (not self.can_train or self._data_changed or self._data_seq is None):
            return  # nobody has to know yet that we are here, and of what data
        (event, norm), self._finished = self._finished, None
        if not is_true:
            self._out.note("trouble", text="a round is thrown away: it began from a model that was not true")
            return
        if began is not None and self.arrival is not None:
            self._view = self.arrival.past(began.offer) or self._view
            self._unviewed = self._weight_beyond(self._view)
        self._publish(event, norm, now)

    def _weight_beyond(self, view: Mapping[LogId, int]) -> int:
        """Of others' updates that are folded and are not in a view."""
        replica = self._book.replica
        beyond = [
            (log, seq)
            for log, size in replica.heads().items()
            for seq in range(view.get(log, 0), size)
            if log != self._author.own
        ]
        return sum(replica.weight_of(log, seq) or 0 for log, seq in beyond)

    def _publish(self, event: Trained, norm: int, now: float) -> None:
        own, replica = self._author.own, self._book.replica
        if replica.snapshot_due(own):
            self._snapshot(now)
        fields = self._author.draft()
        body = Update(
            **chain(fields),
            delta=sha256(event.blob).hexdigest(),
            bytes=len(event.blob),
            codec=CODEC,
            view=replica.view(own, fields, self._view),
            data=self._data_seq or 0,
            steps=event.steps,
            examples=event.examples,
            scores=event.scores,
            norm=norm,
            weight=0,
            epsilon=event.epsilon,
        )
        weight = replica.weigh(own, fields, self._view, body)
        checked = self._author.write(fields, msgspec.structs.replace(body, weight=weight), now, event.blob)
        self.published += 1
        self._newest = body.delta
        self._since_snapshot += 1
        self.spent = event.epsilon
        self.weight = weight
        self.staleness = self._unviewed / replica.constants.eta
        self._blob_bytes = len(event.blob)
        self._out.note(
            "published", seq=checked.seq, round=self.done, bytes=len(event.blob), weight=weight / GRID_ONE,
            staleness=self.staleness,
        )  # fmt: skip
        self._tell_refused(checked)
        if replica.snapshot_due(own):
            self._snapshot(now)

    def _tell_refused(self, checked: Checked) -> None:
        """That the policy leaves own updates out, once for each set of reasons: the owner has to change something."""
        reasons = "; ".join(map(say_breach, checked.refused))
        if reasons and reasons != self._told_refused:
            self._out.note(
                "trouble",
                text=f"the swarm's policy leaves this peer's updates out, from entry {checked.seq} on: {reasons}",
            )
        self._told_refused = reasons

    def _snapshot(self, now: float) -> None:
        """Publish the hash of our model, so that who folds wrongly convicts itself."""
        fields = self.catch_up(now)
        self._since_snapshot = 0
        if not fields.complete:
            return  # without data nothing can be written in between; a snapshot must be of all its past
        state, updates = self._book.replica.snapshot_facts(self._author.own, fields)
        model = self._book.model_hash()
        checked = self._author.write(fields, Snapshot(**chain(fields), model=model, state=state, updates=updates), now)
        self._out.note("snapshot", seq=checked.seq, model=model, updates=updates)

    def catch_up(self, now: float) -> ChainFields:
        """A draft that cites everything admitted. One entry can introduce only so many peers; more take more."""
        author = self._author
        fields = author.draft()
        while not fields.complete and fields.seen:
            if self._data is not None and self._data_seq is not None:
                self._data_seq = author.write(fields, fields.stamp(self._data, int(now)), now, self._sketch or None).seq
            elif fields.meets:
                author.write(fields, silent(**chain(fields)), now)
            else:
                break
            fields = author.draft()
        return fields

    def come_in(self, now: float) -> None:
        """A joiner of a large swarm may write nothing that says anything before it has seen that it was let in."""
        author = self._author
        if not self._has_come_in and author.may_write and author.role and author.may_try(Data):
            if not self._book.replica.is_seated(author.own):
                self.catch_up(now)
            self._has_come_in = True

    # -------------------------------------------------------------- pace

    @property
    def can_train(self) -> bool:
        return self._data is not None and self._author.role in TRAINING_ROLES

    @property
    def settled(self) -> bool:
        """After Drain: nothing of our own is left to do."""
        return (
            self.draining
            and not self.training
            and self._finished is None
            and (self._since_snapshot == 0 or self._author.is_lost or self._author.is_out)
        )

    def tick(self, now: float) -> None:
        """Begin what is due."""
        is_early = self._is_head_start
        if not self._author.may_write:
            if is_early and not self.draining:
                self._begin(now)
            return
        self._publish_finished(now)
        if self.draining:
            if not self.training and self._since_snapshot and self._author.role:
                self._snapshot(now)
            return
        if (
            self.training
            or self._is_exchanging
            or not (is_early or (self.can_train and self._author.stored >= self._author.size))
        ):
            return
        if self._data is not None and (broken := broken_promise(self._data.privacy, self.published, self.spent)):
            self.failed(broken)
            return
        if is_early:
            self._begin(now)
            return
        if self._data_changed or self._data_seq is None:
            if self._author.may_try(Data):
                self._publish_data(now)
            return  # train once it is stored
        if self.paused or self._finished is not None:
            return
        if (look_at := self._panel.rests_until(now)) is not None:
            self._profile.rested()
            self._out.timer(TIMER, look_at)
        elif now < self._rest_until:
            self._out.timer(TIMER, self._rest_until)
        elif now < self._wait_until and self._missing():
            self._out.heed(now)  # what is missing may come, or be given up
            self._out.timer(TIMER, self._wait_until)
        else:
            self._begin(now)

    def _publish_data(self, now: float) -> None:
        if self._data is not None:
            fields = self.catch_up(now)
            self._data_seq = self._author.write(
                fields, fields.stamp(self._data, int(now)), now, self._sketch or None
            ).seq
            self._had_data, self._data_changed = self._data, False

    @property
    def _is_head_start(self) -> bool:
        """Whether a late joiner may train from a snapshot's model before it is known what it is in the swarm. What
        comes of it is published when that is known, its data are on record and its own fold has got there."""
        if self.arrival is None or self.arrival.borrowed is None or self.done or self.training or self.paused:
            return False
        if self._is_exchanging:
            return False
        if not self._author.may_write and (self._author.size > 1 or self._config.restored):
            return False  # it may have forgotten what it spent of its privacy
        return self._data is not None and self._author.role in ("", *TRAINING_ROLES)

    def _begin(self, now: float) -> None:
        self._view = self._book.replica.heads()
        self._unviewed = 0
        self._began_at = now
        self._began_with = began = self.arrival.borrowed if self.arrival is not None else None
        self._was_early = self._is_head_start
        self.training = True
        steps = self._profile.next_steps(now) if self._config.adapts else 0
        if self._config.adapts:
            line = self._line()
            self.density = self._profile.density_permille(
                now, self._blob_bytes, self.density, line.bytes_s if line.is_full else 0.0, line.links
            )
        theta = self._book.theta() if began is None else began.theta
        asked = 0 if steps == self._profile.declared else steps
        self._out.put(Train(self.done + 1, theta, self.spent, asked, self.density, self._newest))


def broken_promise(claim: Claim, published: int, spent: int) -> str:
    """Why a peer with so many updates in its log, the last of which says `spent`, may not train under this claim (all
    0: under none), as a clause for its owner; "" if it may. Nobody can tell whether the rows are those of before, so an
    epsilon holds for all updates of a peer or for none."""
    if published and spent and not claim.epsilon:
        return "this peer has promised an epsilon for all that it publishes, and would break that now"
    if published and claim.epsilon and not spent:
        return "this peer has published updates without an epsilon, and none can be promised for them now"
    return ""


def within(data: Data, before: int, epsilon: int) -> bool:
    """Whether an update may say that it has spent `epsilon`: what was spent does not become less, and stays below the
    claim."""
    if not data.privacy.epsilon:
        return epsilon == 0
    return max(before, 1) <= epsilon <= data.privacy.epsilon


def _same(a: Data, b: Data) -> bool:
    """Whether two data entries commit to the same data, under the same licences: what a file is called is no news."""
    return _essence(a) == _essence(b)


def _essence(data: Data) -> tuple[object, ...]:
    licences = [source.licence for source in data.sources]
    return data.root, data.records, data.features, data.zone, data.opens, data.privacy, licences, data.judgements
