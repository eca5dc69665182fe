"""A second implementation of docs/fold.md, written from that page alone, to be compared with the first.

Slow and literal on purpose: sets, fractions and lists of whole pasts, the standard library and nothing of ours. Where
the two disagree, one of them (or the page) is wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from fractions import Fraction

ONE = 65536


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


# ---- 1. the delta blob


def worths(blob: bytes) -> dict[int, int]:
    """Index -> value on the 2^-24 grid. ValueError for a blob that breaks the page's rules."""
    magic, form, parameters, kept = struct.unpack_from("<4sBII", blob)
    if magic != b"GSD1":
        raise ValueError("magic")
    rest = list(blob[13:])
    if form == 0:
        if kept != parameters:
            raise ValueError("dense keeps all")
        indices = list(range(parameters))
    elif form == 1:
        if kept >= parameters:
            raise ValueError("sparse keeps less")
        indices = []
        for _ in range(kept):
            groups = []
            while True:
                if not rest or len(groups) == 4:
                    raise ValueError("gap")
                byte = rest.pop(0)
                groups.append(byte % 128)
                if byte < 128:
                    break
            if len(groups) > 1 and groups[-1] == 0:
                raise ValueError("not minimal")
            gap = sum(group * 128**place for place, group in enumerate(groups))
            indices.append(gap if not indices else indices[-1] + 1 + gap)
        if indices and indices[-1] >= parameters:
            raise ValueError("index")
    else:
        raise ValueError("form")
    blocks = math.ceil(kept / 256)
    if len(rest) != blocks + kept:
        raise ValueError("length")
    signed = [byte - 256 if byte > 127 else byte for byte in rest]
    exponents, values = signed[:blocks], signed[blocks:]
    if any(not -24 <= z <= -4 for z in exponents) or -128 in values:
        raise ValueError("range")
    return {index: values[i] * 2 ** (exponents[i // 256] + 24) for i, index in enumerate(indices)}


def norm(blob: bytes) -> int:
    return math.isqrt(sum(worth**2 for worth in worths(blob).values()))


# ---- 2. and 3. the model


def start(layout: list[dict], seed: str) -> list[int]:
    theta: list[int] = []
    for i, tensor in enumerate(layout):
        b = tensor["bound"]
        for j in range(math.prod(tensor["shape"])):
            if b == 0:
                theta.append(0)
                continue
            digest = sha(b"gossip/start/1\n", bytes.fromhex(seed), struct.pack("<II", i, j // 8))
            u = int.from_bytes(digest[j % 8 * 4 : j % 8 * 4 + 4], "little")
            theta.append((u * (2 * b + 1) // 2**32 - b) * 2**16)
    return theta


def model_hash(layout: list[dict], theta: list[int]) -> str:
    header = json.dumps([[tensor["name"], tensor["shape"]] for tensor in layout], separators=(",", ":"))
    limit = 2**53 - 1
    signed = [(value + 2**63) % 2**64 - 2**63 for value in theta]
    body = b"".join(struct.pack("<q", max(-limit, min(limit, value))) for value in signed)
    return sha(b"gossip/model/1\n", header.encode(), b"\n", body).hex()


def fold(layout: list[dict], seed: str, terms: list[tuple[int, bytes]]) -> list[int]:
    """Every (W, blob) summed."""
    theta = start(layout, seed)
    for weight, blob in terms:
        for index, worth in worths(blob).items():
            theta[index] += weight * worth
    return theta


# ---- 4. pasts, 5. weights, 6. states


class History:
    """All logs of a swarm, peer id -> entries as parsed JSON. `left_out`: updates that the policy leaves out."""

    def __init__(self, logs: dict[str, list[dict]], founder: str, left_out: set[tuple[str, int]] | None = None) -> None:
        self.logs = logs
        self.founder = founder
        self.genesis = logs[founder][0]
        self.left_out = left_out or set()
        self.roster: dict[tuple[str, int], list[str]] = {}
        self.past: dict[tuple[str, int], dict[str, int]] = {}
        for log, entries in logs.items():
            roster: list[str] = []
            sizes: dict[str, int] = {}
            for seq, entry in enumerate(entries):
                roster = roster + entry["meets"]
                sizes = sizes | {roster[index]: size for index, size in entry["seen"]} | {log: seq}
                self.roster[log, seq] = roster
                self.past[log, seq] = sizes
        self.weight: dict[tuple[str, int], int] = {}
        self.row: dict[tuple[str, int], dict] = {}
        for log, seq in sorted(self.past, key=lambda at: sum(self.past[at].values())):
            if self.folded(log, seq):
                self.weigh(log, seq)

    def folded(self, log: str, seq: int) -> bool:
        return self.logs[log][seq]["kind"] == "update" and (log, seq) not in self.left_out

    def updates(self, sizes: dict[str, int], log: str) -> list[int]:
        return [seq for seq in range(sizes.get(log, 0)) if self.folded(log, seq)]

    def trainers(self, sizes: dict[str, int]) -> set[str]:
        found = {self.founder} if sizes.get(self.founder, 0) > 1 else set()
        for log, size in sizes.items():
            for entry in self.logs[log][:size]:
                if entry["kind"] == "member" and entry["role"] in ("trainer", "admin"):
                    found.add(entry["peer"])
        return found

    def weigh(self, o: str, at: int) -> None:
        c = self.genesis["fold"]
        update, past = self.logs[o][at], self.past[o, at]
        others = self.trainers(past) - {o}
        count = {j: 1 + len(self.updates(past, j)) for j in others}
        latest = dict.fromkeys(others, c["norm0"])
        for j in others:
            for seq in self.updates(past, j):
                latest[j] = self.logs[j][seq]["norm"]

        before = [seq for seq in range(at) if self.folded(o, seq)]
        row = self.row[o, before[-1]] if before else {"T": 0, "x": 0, "seen": {}, "credited": {}, "grown": {}}
        T, x = row["T"], row["x"]
        seen, credited, grown = ({j: row[name].get(j, 0) for j in others} for name in ("seen", "credited", "grown"))

        active = {j for j in others if count[j] > seen[j] or T - grown[j] <= c["window"]}
        n = 1 + len(active)
        new = {j for j in active if count[j] > credited[j]}
        if len(new) > 0 and 3 * len(new) >= n - 1:
            f = ONE * len(new) // (n - 1)
            T += f
            x = max(0, x - (c["leak"] * f >> 16))
            credited = dict(count)
        grown = {j: T if count[j] > seen[j] else grown[j] for j in others}

        if all(count[j] == 1 for j in others):
            q = ONE
        else:
            q = ONE if x <= c["burst"] else c["burst"] ** 2 * ONE // x**2
            x += q

        unviewed = dict(update["view"])
        S = 0
        for index, peer in enumerate(self.roster[o, at]):
            viewed = unviewed.get(index, past[peer])
            S += sum(self.weight[peer, seq] for seq in self.updates(past, peer) if seq >= viewed)
        table = c["staleness"]
        s = table[min(4 * S // c["eta"], len(table) - 1)]

        norms = sorted([update["norm"], *(latest[j] for j in active)])
        if len(norms) % 2 == 0:
            norms = sorted([*norms, c["norm0"]])
        M = norms[len(norms) // 2]
        clip = Fraction(1)
        if update["norm"] * ONE > c["kappa"] * M:
            clip = Fraction(c["kappa"] * M, update["norm"] * ONE)
        exact = Fraction(c["eta"], ONE) / n * Fraction(s, ONE) * clip * Fraction(q, ONE)
        self.weight[o, at] = math.floor(ONE * min(Fraction(1), exact))
        self.row[o, at] = {"T": T, "x": x, "seen": count, "credited": credited, "grown": grown}

    def state(self, log: str, seq: int) -> tuple[str, int]:
        """`state` and `updates` of a snapshot that is entry `seq` of `log`."""
        past = self.past[log, seq]
        hashed, total = b"", 0
        for peer in sorted(past):
            done = self.updates(past, peer)
            total += len(done)
            if not done:
                continue
            row = self.row[peer, done[-1]]
            js = sorted(row["seen"])
            columns = [row[name][j] for name in ("seen", "credited", "grown") for j in js]
            hashed += bytes.fromhex(peer) + sha(
                b"gossip/row/1\n",
                struct.pack(">QQI", row["T"], row["x"], len(js)),
                b"".join(bytes.fromhex(j) for j in js),
                b"".join(struct.pack(">Q", value) for value in columns),
            )
        return sha(b"gossip/state/1\n", hashed).hex(), total

    def model(self, sizes: dict[str, int], blobs: dict[str, bytes]) -> str:
        """The model_hash of everything in these sizes."""
        terms = [
            (self.weight[log, seq], blobs[self.logs[log][seq]["delta"]])
            for log in sizes
            for seq in self.updates(sizes, log)
        ]
        layout = self.genesis["layout"]
        return model_hash(layout, fold(layout, self.genesis["seed"], terms))
