"""What a genesis may ask of those who join: bounds that a program checks before it allocates anything.

Why it exists: a genesis is written by a stranger and fixed for ever. These bounds keep the arithmetic inside its
integers (docs/fold.md) and keep a hostile founder from stopping a joiner's machine. It refuses to know whether the
constants are wise: that is for simulation.
"""

from __future__ import annotations

import re
from math import prod
from typing import Final

from ledger.delta import MAX_PARAMETERS
from ledger.entry import GRID_ONE, VALUE_ONE, Genesis
from ledger.errors import RemoteError
from ledger.keys import check_public

MAX_TENSORS: Final = 1024
MAX_DIMENSIONS: Final = 8
MAX_BOUND: Final = (1 << 31) - 1  # 128.0; a 32-bit draw times 2 * bound + 1 fits 64 bits
MAX_NORM: Final = VALUE_ONE << 17  # 8 * 2^14: no delta of MAX_PARAMETERS elements is longer
MAX_KEYS: Final = 64  # admins, and as many witnesses
MAX_GUESTS: Final = 4096  # of one member: more trainers than that no weight is given for (weights.py)
MAX_STALENESS: Final = 1024  # entries of the table: 8 KB of genesis
LIMITS: Final = {  # inclusive; on the 2^-16 grid, but for norm0 (2^-24) and a count
    "eta": (GRID_ONE // 16, 64 * GRID_ONE),  # 4 * S // eta stays a small index, eta * s * q below 2^54
    "leak": (0, 64 * GRID_ONE),
    "burst": (GRID_ONE, 1024 * GRID_ONE),
    "kappa": (GRID_ONE // 16, 1024 * GRID_ONE),
    "norm0": (1, MAX_NORM),
    "window": (0, 1024 * GRID_ONE),
    "snapshot_every": (1, 4096),
    "panel": (4, 4096),  # of less nobody would be the third of it that progress asks for, but the publishers alone
}

_is_tensor_name = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,63}").fullmatch  # spelled alike by every JSON encoder


def check_genesis(genesis: Genesis) -> None:
    """RemoteError if a limit is broken. Its keys are hex already; nothing of the size that it states is allocated."""
    if len(genesis.layout) > MAX_TENSORS:
        raise _unfit("the model", f"{len(genesis.layout)} tensors, the limit is {MAX_TENSORS}")
    parameters = 0
    for number, tensor in enumerate(genesis.layout):
        if not _is_tensor_name(tensor.name):
            raise _unfit("the model", f"tensor {number} has a name with other than letters, digits, _ . / -")
        if len(tensor.shape) > MAX_DIMENSIONS or any(not 1 <= side <= MAX_PARAMETERS for side in tensor.shape):
            raise _unfit("the model", f"tensor {tensor.name} has an impossible shape")
        if not 0 <= tensor.bound <= MAX_BOUND:
            raise _unfit("the model", f"tensor {tensor.name} starts too large")
        parameters += prod(tensor.shape)
    if not 1 <= parameters <= MAX_PARAMETERS:
        raise _unfit("the model", f"{parameters} parameters, the limit is {MAX_PARAMETERS}")
    if len({tensor.name for tensor in genesis.layout}) != len(genesis.layout):
        raise _unfit("the model", "two tensors have one name")
    for name, (least, most) in LIMITS.items():
        value = getattr(genesis.fold, name)
        if not least <= value <= most:
            raise _unfit(f"fold constant {name}", f"{value} is outside {least}..{most}")
    table = genesis.fold.staleness
    if not 1 <= len(table) <= MAX_STALENESS or any(not 0 <= weight <= GRID_ONE for weight in table):
        raise _unfit("the staleness table", f"1 to {MAX_STALENESS} weights of 0..{GRID_ONE}")
    for keys, least in ((genesis.admins, 1), (genesis.witnesses, 0)):
        if not least <= len(keys) == len(set(keys)) <= MAX_KEYS:
            raise _unfit("the list of admins or witnesses", f"{least} to {MAX_KEYS} different keys")
    if not 1 <= genesis.threshold <= len(genesis.admins):
        raise _unfit("the threshold", f"{genesis.threshold} of {len(genesis.admins)} admins")
    if not 0 <= genesis.guests <= MAX_GUESTS:
        raise _unfit("the number of guests", f"{genesis.guests} is outside 0..{MAX_GUESTS}")
    for key in (*genesis.admins, *genesis.witnesses):
        check_public(bytes.fromhex(key))


def _unfit(what: str, why: str) -> RemoteError:
    return RemoteError(f"{what} of this swarm cannot be used", why=why)
