"""How fast one association of aiortc sends, sends again and acknowledges: its own rules, mended where they cost most.

    sent --timer--> GRACE_S --few under way?--> those again (a probe, twice at most) --timer--> all again, one by one
    acknowledged --> round trip --> how much stands in queues --> window

Measured on aiortc 1.16 (docs/adr/0007 has the figures):

- It fills its window of 1 MiB until packets are lost, on loopback and in a quick network, too, and then walks through
  all that is under way for each gap of each acknowledgement. Bounded is what waits in queues, as in TCP Vegas.
- It acknowledges each packet, which costs both ends as much as the data.
- It waits a second or more before it sends again, and what comes late (the last packets of a small blob, behind which
  nothing shows the gap) costs that wait. A few packets are sent again after two round trips (as the tail loss probe of
  RFC 8985), which shrinks no window.

Methods of this one association's object are replaced, never the library's classes: AttributeError on a release that has
moved them. It refuses to know what the packets carry.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

# How long an acknowledgement is waited for before all is sent again. aiortc waits 3 s at first, then 1 s or more (RFC
# 9260), and a swarm says little at a time: each loss costs such a wait. libdatachannel waits 1 s, then 0.2 s or more.
# At 10% loss and 50 ms each way, 19 of 20 answers were there after 0.6 s in place of 1.1 to 2 s.
WAIT_FIRST_S, WAIT_LEAST_S, WAIT_MOST_S = 1.0, 0.4, 10.0
GRACE_S = 0.05  # for what came meanwhile and was not yet read: a busy process is late for everything
PROBE_LEAST_S = 0.1  # before a few packets are sent again; two round trips, where that is longer
PROBED_PACKETS = 8  # at most under way: an update of 4.5 KB is four, and what is more fills gaps by itself
PROBES = 2  # of the same packet, before the far end counts as silent
# What of ours may wait on the way, in the far end's socket above all: Linux gives that 208 KiB, of which a packet takes
# 2.3 to 4.3. 4 MB over loopback took 271 ms of processor time a MB without this bound, 156 with it.
QUEUE_BYTES = 48 * 1024
# Each of so many packets in order is acknowledged at once, so that the far end learns soon how wide the way is, and
# what was lost; then one of two, the last one after so long.
EACH_PACKETS, ACK_WAIT_S = 64, 0.02

_Tasks = set[asyncio.Task[None]]


def hurry(sctp: Any) -> None:
    """Send again sooner what was probably lost, and let no queue grow long."""
    loop, update, expired = asyncio.get_running_loop(), sctp._update_rto, sctp._t3_expired
    transmit, release = sctp._transmit, sctp._flight_size_decrease
    tasks: _Tasks = set()
    quickest, rest_s = WAIT_MOST_S, 0.0
    probed, probes = -1, 0

    def update_sooner(round_trip_s: float) -> None:
        nonlocal quickest, rest_s
        update(round_trip_s)
        wait_s = min(max(sctp._srtt + 4 * sctp._rttvar, WAIT_LEAST_S), WAIT_MOST_S)
        sctp._rto = min(max(sctp._srtt + max(sctp._srtt, 4 * sctp._rttvar), PROBE_LEAST_S), wait_s)
        rest_s = wait_s - sctp._rto
        if round_trip_s > 0:  # it goes by the wall clock, which may be set back
            quickest = min(quickest, round_trip_s)
            # As in TCP Vegas: the share of what is under way that stands in some queue.
            waiting = 1 - quickest / max(quickest, sctp._srtt)
            if sctp._cwnd * waiting > QUEUE_BYTES:
                sctp._cwnd = int(QUEUE_BYTES / waiting)

    def expired_after_grace() -> None:
        # An acknowledgement cancels what is set here, as it does the timer itself.
        sctp._t3_handle = loop.call_later(GRACE_S, probe)

    def probe() -> None:
        nonlocal probed, probes
        sent: Final = sctp._sent_queue
        first = sent[0].tsn if sent else -1
        if first != probed:
            probed, probes = first, 0
        probes += 1
        sctp._t3_handle = loop.call_later(rest_s, expired)
        if probes > PROBES or len(sent) > PROBED_PACKETS:
            return
        for chunk in sent:
            if not chunk._acked:
                chunk._retransmit = True
                release(chunk)
        _soon(transmit(), tasks)

    sctp._rto = WAIT_FIRST_S
    sctp._update_rto, sctp._t3_expired = update_sooner, expired_after_grace


def acknowledge_less(sctp: Any) -> None:
    """One acknowledgement for two packets (RFC 9260, section 6.2), while all come in order."""
    loop, send = asyncio.get_running_loop(), sctp._send_sack
    tasks: _Tasks = set()
    in_order = 0
    waiting: asyncio.TimerHandle | None = None

    def late() -> None:
        nonlocal waiting
        waiting = None
        _soon(send(), tasks)

    async def send_each_second() -> None:
        nonlocal in_order, waiting
        if sctp._sack_misordered or sctp._sack_duplicates:
            in_order = 0
        in_order += 1
        if waiting is not None:
            waiting.cancel()
            waiting = None
        elif in_order > EACH_PACKETS:
            waiting = loop.call_later(ACK_WAIT_S, late)
            sctp._sack_needed = False
            return
        await send()

    sctp._send_sack = send_each_second


def _soon(step: Any, tasks: _Tasks) -> None:
    """Run it, and keep it until it is done."""
    task = asyncio.ensure_future(step)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
