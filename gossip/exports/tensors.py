"""A model as safetensors: its tensors under the names of their layout, as float32, and what `Outgoing.about` says.

    8 bytes: length of the header | {"__metadata__": {"gossip": "{...}"}, "0.table": {"dtype": "F32", ..}} | data

safetensors has strings as metadata: all of it is one JSON document under one key, for the library writes several in an
order that changes from run to run, and the same model is to give the same bytes. It refuses to know what is in it.
"""

from __future__ import annotations

import json

from gossip.exports.outgoing import Outgoing
from ledger.errors import LocalError


def tensors_file(model: Outgoing) -> bytes:
    """The whole file. LocalError if the library is not installed."""
    try:
        from safetensors.numpy import save
    except ImportError:
        raise LocalError(
            "safetensors is not installed", next_step="install it with: pip install 'gossip-swarm[export]'"
        ) from None
    metadata = {"gossip": json.dumps(model.about, sort_keys=True, separators=(",", ":"))}
    return bytes(save(model.tensors, metadata))
