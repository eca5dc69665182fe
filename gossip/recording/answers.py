"""What a machine answers, as one running hash: equal hashes, equal effects, in the same order, from the start on.

    trace = SHA-256(trace before | the effects of one event, spelled)[:16]

Each effect is spelled as MessagePack of its kind and its fields; an array by its type, shape and bytes. Notes count,
too: what people are told is part of what happened. It refuses to know what is done with effects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
import numpy as np

from gossip.events import Effect
from gossip.recording.records import TRACE_BYTES

START: Final = bytes(TRACE_BYTES)


def next_trace(before: bytes, effects: Sequence[Effect]) -> bytes:
    """The trace after one more event. TypeError, ValueError or OverflowError if an effect has no spelling."""
    spelled = _ENCODER.encode([[type(effect).__name__, effect] for effect in effects])
    return sha256(before + spelled).digest()[:TRACE_BYTES]


def kinds(effects: Sequence[Effect]) -> tuple[str, ...]:
    return tuple(type(effect).__name__ for effect in effects)


def _spell(value: Any) -> Any:
    match value:
        case np.ndarray():
            return [value.dtype.str, list(value.shape), value.tobytes()]
        case np.generic():
            return value.item()
        case Mapping():
            return dict(value)
        case _:
            raise TypeError(f"a {type(value).__name__} in an effect has no spelling")


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_spell, order="sorted")
