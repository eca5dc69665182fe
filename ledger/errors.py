"""Every error of the project, drawn first.

    GossipError            one line for people: what happened, why, and what to do next
    |-- LocalError         we were misused (bad file, bad flag, wrong order): raised loudly, to the user
    |-- RemoteError        that peer misbehaved: its link ends, our node goes on
    `-- LinkError          the world failed (network, peer gone): try again later

Whose fault an error is decides what happens next, so the tree has no other branches: code that
catches one of these always knows whether to tell the user, drop a peer or retry.
"""

from __future__ import annotations


class GossipError(Exception):
    """What happened, why, and what to do next, printed as one line.

    `what` is a clause without a full stop ("row 3 has no label"), `why` the reason if it is not
    plain from `what`, `next_step` an instruction ("add a label: ad, tracker or benign").
    """

    def __init__(self, what: str, *, why: str = "", next_step: str = "") -> None:
        self.what = what
        self.why = why
        self.next_step = next_step
        super().__init__(what, why, next_step)

    def __str__(self) -> str:
        text = f"{self.what}: {self.why}" if self.why else self.what
        return f"{text}; {self.next_step}" if self.next_step else text


class LocalError(GossipError):
    """We were misused: the user or the calling code must change something."""


class RemoteError(GossipError):
    """A peer (or a file that claims to come from one) sent what no honest peer sends."""


class LinkError(GossipError):
    """The world failed: no route, a closed link, a timeout. Retrying may help."""
