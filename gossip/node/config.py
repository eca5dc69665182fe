"""What one run of one peer is told. It refuses to know where that comes from: a command line, or a program."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossip.training.task import Task
    from gossip.transport.tickets import Ticket
    from gossip.transport.webrtc import Backend
    from ledger.entry import PeerId
    from ledger.private_files import Passphrase


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """What one run of one peer is told."""

    directory: Path
    data: tuple[Path, ...] = ()
    """Files to train on; none: this peer observes."""

    licence: str = ""
    """Of the data, as an SPDX expression, for its entry in the ledger; "": none is named."""

    lists: tuple[Path, ...] = ()
    """Filter lists that labelled the data: what their headers say of them becomes sources of its entry."""

    task: Task | None = None
    """Own data in place of files (Python only)."""

    epsilon: float = 0.0
    """Differential privacy promised for all that this peer ever publishes; 0: none. A promise once begun stays."""

    unlabelled: bool = False
    """What no label of the data says is to be blocked may be a hole in the list that labelled them."""

    lend_to: tuple[PeerId, ...] = ()
    """Members who may train on shards of `data`, if these are public; none: nobody."""

    borrow_from: tuple[PeerId, ...] = ()
    """Members on whose shards this peer trains beside its own data, if they lend it any."""

    validation: Path | None = None
    """A file to judge the model by; none: a share of `data` is held out, as the model declares."""

    interface: str = "lo"
    """Where to listen, to be found and to look for others: a name or an address, and nowhere else."""

    port: int = 0
    """Of the signalling server; 0: any free one."""

    dial: tuple[tuple[str, int], ...] = ()
    """Addresses of peers, for networks without mDNS."""

    bootstrap: tuple[str, ...] = ()
    """Multiaddresses of libp2p nodes through which peers of other networks are found; with `relays` empty too, libp2p
    is not even loaded."""

    relays: tuple[str, ...] = ()
    """Multiaddresses of libp2p relays through which this peer can be reached where no address of its own can."""

    ice: tuple[str, ...] = field(default=(), repr=False)
    """STUN and TURN servers for data channels, as `--ice` names them (gossip/transport/ice.py); none: host addresses
    only."""

    wide_port: int = 0
    """Where libp2p listens; 0: any free one."""

    duty_percent: int = 100
    """Share of the time spent training."""

    cores: int = 0
    """Of this machine, for training and for looking at others' work, together; 0: half of them, at least one."""

    pause_on_battery: bool = False
    """Begin no round while the machine is not on the mains."""

    keep_updates: int | None = None
    """Let go of deltas that a final snapshot holds, but for those of so many updates; None: of none."""

    min_round_s: float = 0.0
    """Seconds from round to round, at least."""

    ticket: Ticket | None = None
    """The invitation to enter with; needed until this peer is a member."""

    allowlist: Path | None = None
    """A file of keys that may enter (gossip/node/allowlist.py), read again when it changes."""

    record: Path | None = None
    """Where to record what the machine is told and answers (gossip/recording); none: nowhere."""

    limits: Path | None = None
    """A file of limits on what others may cost this peer (docs/limits.md); none: the defaults."""

    cache: Path | None = None
    """Where compiled programs are kept, beside those of other swarms; None: in `directory`."""

    passphrase: Passphrase | None = None
    """What opens this peer's key files, if they are locked. It stays in this process."""

    backend: Backend = "auto"

    @property
    def trains(self) -> bool:
        """Whether there is anything to train on: otherwise this peer observes."""
        return bool(self.data) or self.task is not None
