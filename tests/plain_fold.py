"""A second implementation of docs/fold.md, written from that page alone, to be compared with the first.

Slow and literal on purpose: sets, fractions and lists of whole pasts, the standard library and nothing of ours. Where
the two disagree, one of them (or the page) is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import struct
from collections.abc import Iterable, Set
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


# ---- 4. pasts, 5. weights, 6. states, 7. what counts


def spelled(value: object) -> bytes:
    """Canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def leaf_hash(data: bytes) -> bytes:
    return sha(b"\x00", data)


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1
    while 2 * left < len(leaves):
        left *= 2
    return sha(b"\x01", root_of(leaves[:left]), root_of(leaves[left:]))


class History:
    """All entries of a swarm, as bytes in any order. An entry is known by its hash; a past is a set of hashes.

    `left_out`: hashes of the updates that the policy leaves out. `permille`: what it leaves others of their weight.
    `blobs`: deltas and evidence, by hash.
    """

    def __init__(
        self, entries: Iterable[bytes], founder: str, left_out: set[str], blobs: dict[str, bytes],
        permille: dict[str, int] | None = None,
    ) -> None:  # fmt: skip
        self.founder = founder
        self.left_out = left_out
        self.permille = permille or {}
        self.blobs = blobs
        self.data = {sha(data).hex(): data for data in entries}
        self.entry = {name: json.loads(data) for name, data in self.data.items()}
        self.chain: dict[str, list[str]] = {}  # from the log's first entry up to this one
        self.author: dict[str, str] = {}
        self.seen: dict[str, list[str]] = {}  # by slot: the last entry seen of that log
        self.past: dict[str, frozenset[str]] = {}
        self.weight: dict[str, int] = {}
        self.row: dict[str, dict] = {}
        self.active: dict[str, int] = {}
        self.imprints: dict[str, bytes] = {}
        self.houses: dict[str, str] = {}
        self.by_leaf = {leaf_hash(data).hex(): name for name, data in self.data.items()}
        waiting = list(self.entry)
        while waiting:
            again = [name for name in waiting if not self.read(name)]
            if len(again) == len(waiting):
                raise ValueError("entries lack their past")
            waiting = again
        (self.genesis,) = (entry for entry in self.entry.values() if entry["kind"] == "genesis")
        for name in sorted(self.past, key=lambda name: len(self.past[name])):
            if self.folded(name):
                self.weigh(name)

    # -- pasts

    def read(self, name: str) -> bool:
        entry = self.entry[name]
        before = entry["prev"]
        if before and before not in self.past:
            return False
        chain = [*(self.chain[before] if before else []), name]
        seen = list(self.seen[before]) if before else []
        slots = dict(entry["seen"])
        peers = [self.author[last] for last in seen] + entry["meets"]
        choices = []
        for slot, size in slots.items():
            choices.append([
                other for other in self.past
                if self.author[other] == peers[slot] and len(self.chain[other]) == size
                and (slot >= len(seen) or seen[slot] in self.chain[other])
            ])  # fmt: skip
        found = []
        for chosen in itertools.product(*choices):
            tips = seen + [""] * len(entry["meets"])
            for slot, last in zip(slots, chosen, strict=True):
                tips[slot] = last
            rows = [self.head(last) for last in tips]
            contained = any(one in self.chain[other] for one, other in itertools.permutations(tips, 2))
            if not contained and sha(*sorted(rows)).hex() == entry["heads"]:
                found.append((rows, tips))
        if not found:
            return False
        tips = min(found)[1]
        self.chain[name], self.seen[name] = chain, tips
        first = chain[1] if self.entry[chain[0]]["kind"] == "genesis" and len(chain) > 1 else chain[0]
        self.author[name] = self.founder if self.entry[chain[0]]["kind"] == "genesis" else first
        past = set(chain[:-1])
        for last in tips:
            past |= self.past[last] | {last}
        self.past[name] = frozenset(past)
        return True

    def head(self, name: str) -> bytes:
        chain = self.chain[name]
        root = root_of([leaf_hash(self.data[other]) for other in chain])
        return bytes.fromhex(self.author[name]) + struct.pack(">Q", len(chain)) + root

    def seq(self, name: str) -> int:
        return len(self.chain[name]) - 1

    def folded(self, name: str) -> bool:
        return self.entry[name]["kind"] == "update" and name not in self.left_out

    # -- what counts

    def keys(self, chain: list[str]) -> list[tuple[bytes, str]]:
        """(key, promise) in force after 0, 1, 2 ... entries; the first key also before it is named."""
        held: list[tuple[bytes, str] | None] = [None]
        for name in chain:
            entry = self.entry[name]
            named = entry["kind"] in ("enrol", "rotate", "recover")
            held.append((bytes.fromhex(entry["key"]), entry["next"]) if named else held[-1])
        first = next(item for item in held if item is not None)
        return [item or first for item in held]

    def charge(self, name: str) -> tuple[int, list[tuple[bytes, bytes]]]:
        """The index that an accuse entry is about, and (leaf, key) of the halves; of an opening: its data, no key."""
        entry = self.entry[name]
        if entry["charge"] == "fork":
            return entry["index"], self.halves(name)
        shown = []
        for opening in self.past[name]:
            said = self.entry[opening]
            if said["kind"] != "opening" or (self.author[opening], self.seq(opening)) != (
                entry["peer"],
                entry["index"],
            ):
                continue
            for asked in self.past[opening]:
                data = self.entry[asked].get("hash")
                where = self.author[asked], self.seq(asked), said["opened"]
                if where == (said["peer"], said["challenge"], entry["evidence"]) and data in self.chain[opening]:
                    shown.append((self.seq(data), leaf_hash(self.data[data])))
        index, leaf = min(shown)
        return index, [(leaf, b"")]

    def halves(self, name: str) -> list[tuple[bytes, bytes]]:
        """(leaf, key) of the two halves of a fork's evidence."""
        entry = self.entry[name]
        evidence = json.loads(self.blobs[entry["evidence"]])
        found = []
        for half in (evidence["a"], evidence["b"]):
            note = base64.b64decode(half["proof"]).decode().split("\n\n", 1)[1]
            origin, size = note.split("\n")[:2]
            key_id = base64.b64decode(note.split("\n\n")[1].split()[2])[:4]
            known = set()
            for other in self.past[name]:
                if self.author[other] == entry["peer"]:
                    keys = self.keys(self.chain[other])
                    known.add(keys[min(int(size), len(keys) - 1)][0])
            (key,) = (key for key in known if sha(origin.encode(), b"\n\x01", key)[:4] == key_id)
            found.append((leaf_hash(base64.b64decode(half["entry"])), key))
        return found

    def ends(self, held: Set[str], peer: str) -> list[list[str]]:
        """The branches of a peer's log: each chain that no other entry held goes on from."""
        mine = [name for name in held if self.author[name] == peer]
        inner = {self.entry[name]["prev"] for name in mine}
        return [self.chain[name] for name in sorted(mine) if name not in inner]

    def void(self, chain: list[str], held: Set[str]) -> int:
        """The lowest index at which this branch is convicted."""
        peer = self.author[chain[0]]
        keys = self.keys(chain)
        signed: list[tuple[int, bytes, bytes]] = []
        for other in self.ends(held, peer):
            index = next((i for i, (a, b) in enumerate(zip(chain, other, strict=False)) if a != b), None)
            if index is not None:
                signed.append((index, leaf_hash(self.data[other[index]]), self.keys(other)[index + 1][0]))
        for name in held:
            if self.entry[name]["kind"] == "accuse" and self.entry[name]["peer"] == peer:
                at, halves = self.charge(name)
                signed += [(at, leaf, key) for leaf, key in halves]
        found = [len(chain), *self.wanted_out(held, peer)[1]]
        for index, leaf, key in signed:
            if index >= len(chain) or (leaf == leaf_hash(self.data[chain[index]])) == bool(key):
                continue
            if not key:
                found.append(index)
                continue
            if key == keys[index + 1][0] or sha(key).hex() == keys[index][1]:
                found.append(index)
        return min(found)

    def counting(self, held: Set[str], peer: str) -> list[str]:
        """The entries of a peer that count in weights: always one chain."""
        chains = [chain[: self.void(chain, held)] for chain in self.ends(held, peer)]
        return max(chains, key=len, default=[])

    def summed(self, held: Set[str]) -> set[str]:
        """The updates in the sum of a past."""
        chains = [chain for peer in {self.author[name] for name in held} for chain in self.ends(held, peer)]
        found = {chain[index] for chain in chains for index in self.standing(held, chain) if self.folded(chain[index])}
        return found - (self.condemned(held) - self.held_by_finals(held))

    def held_by_finals(self, held: Set[str]) -> set[str]:
        """The updates in the sum of what some final of a past holds."""
        found: set[str] = set()
        for past in self.finals(held):
            found |= self.summed(past)
        return found

    def finals(self, held: Set[str]) -> list[frozenset[str]]:
        """What the snapshots of the finals in a past hold, themselves included."""
        authors = {self.author[name] for name in held if self.entry[name]["kind"] == "final"}
        out = {peer: self.wanted_out(held, peer)[1] for peer in authors}
        finals = [name for peer in authors for chain in self.ends(held, peer) for name in self.newest_finals(chain)]
        finals = [name for name in finals if not any(since <= self.seq(name) for since in out[self.author[name]])]
        named = [self.chain[name][self.entry[name]["snapshot"]] for name in finals]
        return [self.past[snapshot] | {snapshot} for snapshot in named]

    def newest_finals(self, chain: list[str]) -> list[str]:
        """Those that no later one of a branch stands for: its snapshot comes after them."""
        found = [(seq, name) for seq, name in enumerate(chain) if self.entry[name]["kind"] == "final"]
        return [name for seq, name in found if all(seq >= self.entry[later]["snapshot"] for _, later in found)]

    def condemnations(self, chain: list[str]) -> list[list]:
        """[seq, peer, seqs, leaf] of each judgement in a log that condemns."""
        return [
            [seq, judgement["peer"], judgement["seqs"], judgement["hash"], self.house_then(name)]
            for seq, name in enumerate(chain)
            if self.entry[name]["kind"] == "verdict"
            for judgement in self.entry[name]["judgements"]
            if judgement["decision"] == "condemned"
        ]

    def votes(self, held: Set[str]) -> dict[str, set[tuple[str, str]]]:
        """Who condemns which entry in a past, and as whose guest: the first time on that branch."""
        found: dict[str, set[tuple[str, str]]] = {}
        for name in held:
            if self.entry[name]["kind"] == "verdict":
                for seq, _, seqs, leaf, house in self.condemnations(self.chain[name]):
                    if seq == self.seq(name):
                        for at in seqs:
                            target = self.chain[self.by_leaf[leaf]][at]
                            found.setdefault(target, set()).add((self.author[name], house))
        return found

    def judges(self, u: str, votes: dict[str, set[tuple[str, str]]]) -> set[tuple[str, str]]:
        return votes.get(u, set()) | votes.get(self.chain[u][self.entry[u]["data"]], set())

    def voices(self, judges: Set[tuple[str, str]]) -> int:
        return min(len({house or peer for peer, house in judges}), len({peer for peer, _ in judges}))

    def condemned(self, held: Set[str]) -> set[str]:
        """The updates let in that a quorum condemns in a past."""
        votes = self.votes(held)
        if not votes:
            return set()
        return {
            u for u in held if self.folded(u) and self.voices(self.judges(u, votes)) >= max(2, self.active[u] // 2 + 1)
        }

    def standing(self, held: Set[str], chain: list[str]) -> set[int]:
        """The indices of a branch at which an update counts in the sum of a past, were nothing condemned."""
        peer = self.author[chain[0]]
        withdrawn = {
            name
            for branch in self.ends(held, peer)
            for at, other in enumerate(branch)
            if self.entry[other]["kind"] == "recover"
            for name in branch[self.entry[other]["since"] : at]
        }
        found = {index for index in range(self.void(chain, held)) if chain[index] not in withdrawn}
        for past in self.finals(held):
            for branch in self.ends(past, peer):
                shared = [index for index, (a, b) in enumerate(zip(chain, branch, strict=False)) if a == b]
                found |= self.standing(past, branch) & set(shared)
        return found

    def policy(self, held: Set[str]) -> tuple[int, str]:
        """Number and hash of the policy in force in a past."""
        said: dict[tuple[int, str], set[str]] = {}
        for name in held:
            if self.entry[name]["kind"] == "policy":
                wish = self.entry[name]["number"], self.entry[name]["policy"]
                said.setdefault(wish, set()).add(self.keys(self.chain[name])[0][0].hex())
        enough = [wish for wish, admins in said.items() if len(admins) >= self.genesis["threshold"]]
        return min(enough, key=lambda wish: (-wish[0], wish[1]), default=(0, self.genesis["policy"]))

    # -- members

    def house(self, name: str) -> str:
        """Who answers for the peer that a member entry admits."""
        if name not in self.houses:
            admin = self.keys(self.chain[name])[0][0].hex() in self.genesis["admins"]
            self.houses[name] = "" if admin else self.author[name]
        return self.houses[name]

    def seats(self, held: Set[str]) -> dict[str, tuple[str, int, str]]:
        """Role, expiry and house of everybody whom a past has seen let in."""
        said: dict[str, list[tuple[str, int, str]]] = {}
        for name in held:
            entry = self.entry[name]
            if name == self.founder:
                said.setdefault(name, []).append(("admin", 0, ""))
            if entry["kind"] == "member":
                said.setdefault(entry["peer"], []).append((entry["role"], entry["expires"], self.house(name)))
        found = {}
        for peer, rows in said.items():
            rows = [row for row in rows if not row[2]] or rows  # an admin's word stands in place of all others
            role = next(
                role for role in ("admin", "trainer", "relay", "auditor", "observer") if role in {r for r, _, _ in rows}
            )
            ends = {expires for _, expires, _ in rows}
            found[peer] = role, 0 if 0 in ends else max(ends), min(house for _, _, house in rows)
        return found

    def house_then(self, name: str) -> str:
        """Of the author of an entry, in the past of it."""
        return self.seats(self.past[name])[self.author[name]][2]

    def wanted_out(self, held: Set[str], peer: str) -> tuple[set[int], list[int]]:
        """Every index from which some admin wants a peer out, and, if enough do, the one from which it is."""
        lowest: dict[bytes, int] = {}
        said = set()
        for name in held:
            entry = self.entry[name]
            if entry["kind"] == "revoke" and entry["peer"] == peer:
                admin = self.keys(self.chain[name])[0][0]
                lowest[admin] = min(entry["since"], lowest.get(admin, entry["since"]))
                said.add(entry["since"])
        needed = self.genesis["threshold"]
        return said, sorted(lowest.values())[needed - 1 : needed]

    # -- weights

    def trainers(self, held: Set[str]) -> set[str]:
        training = {peer for peer, (role, _, _) in self.seats(held).items() if role in ("trainer", "admin")}
        return {peer for peer in training if not self.wanted_out(held, peer)[1]}

    def weigh(self, u: str) -> None:
        c = self.genesis["fold"]
        update, past = self.entry[u], self.past[u]
        o = self.author[u]
        others = self.trainers(past) - {o}
        counted = {j: [name for name in self.counting(past, j) if self.folded(name)] for j in others}
        count = {j: 1 + len(counted[j]) for j in others}
        latest = {j: self.entry[counted[j][-1]]["norm"] if counted[j] else c["norm0"] for j in others}

        before = [name for name in self.chain[u][:-1] if self.folded(name)]
        row = self.row[before[-1]] if before else {"T": 0, "x": 0, "seen": {}, "credited": {}, "grown": {}}
        T, x = row["T"], row["x"]
        seen, credited, grown = ({j: row[name].get(j, 0) for j in others} for name in ("seen", "credited", "grown"))

        seats = self.seats(past)
        group = {j: ("house", seats[j][2]) if seats[j][2] else ("alone", j) for j in {o, *others}}
        active = {j for j in others if count[j] > seen[j] or T - grown[j] <= c["window"]}
        active -= {j for j in others if group[j] == group[o]}
        n = 1 + len({group[j] for j in active})
        panel = c.get("panel", 100)
        if n > panel:
            active = {j for j in active if count[j] > 1}
            n = max(panel, 1 + len({group[j] for j in active}))
        p = min(n, panel) - 1
        m = 1 + sum(group[j] == group[o] for j in others)
        new = {group[j] for j in active if count[j] > credited[j]}
        if len(new) > 0 and 3 * len(new) >= p:
            f = min(ONE, ONE * len(new) // p)
            T += f
            x = max(0, x - (c["leak"] * f >> 16))
            credited = dict(count)
        grown = {j: T if count[j] > seen[j] else grown[j] for j in others}

        if all(count[j] == 1 for j in others) and group[o][0] == "alone":
            q = ONE
        else:
            q = ONE if x <= c["burst"] else c["burst"] ** 2 * ONE // x**2
            x += q

        S = 0
        shown = dict(update["view"])
        viewed = {
            name for slot, last in enumerate(self.seen[u]) for name in self.chain[last][: shown.get(slot)]
        }  # fmt: skip
        for peer in {self.author[last] for last in self.seen[u]}:
            S += sum(self.weight[v] for v in self.counting(past, peer) if self.folded(v) and v not in viewed)
        table = c["staleness"]
        s = table[min(4 * S // c["eta"], len(table) - 1)]

        voices = [sorted(latest[j] for j in active if group[j] == one) for one in {group[j] for j in active}]
        norms = sorted([update["norm"], *(known[(len(known) - 1) // 2] for known in voices)])
        if len(norms) % 2 == 0:
            norms = sorted([*norms, c["norm0"]])
        M = norms[len(norms) // 2]
        clip = Fraction(1)
        if update["norm"] * ONE > c["kappa"] * M:
            clip = Fraction(c["kappa"] * M, update["norm"] * ONE)
        exact = Fraction(c["eta"], ONE) / n * Fraction(s, ONE) * clip * Fraction(q, ONE)
        self.weight[u] = math.floor(ONE * min(Fraction(1), exact) / m) * self.permille.get(u, 1000) // 1000
        self.active[u] = n
        self.row[u] = {"T": T, "x": x, "seen": count, "credited": credited, "grown": grown}

    # -- states and models

    def state(self, snapshot: str) -> tuple[str, int]:
        """`state` and `updates` of a snapshot entry."""
        past = self.past[snapshot]
        ends = [chain for peer in {self.author[name] for name in past} for chain in self.ends(past, peer)]
        imprints = sorted(self.imprint(chain[-1]) for chain in ends)
        tangled = [sha(spelled(knot)) for knot in self.tangles(past, ends)]
        state = sha(b"gossip/state/2\n", struct.pack(">I", len(imprints)), *imprints, *tangled)
        return state.hex(), len(self.summed(past))

    def imprint(self, name: str) -> bytes:
        """Of a branch up to and with this entry."""
        if name in self.imprints:
            return self.imprints[name]
        chain = self.chain[name]
        done = [other for other in chain if self.folded(other)]
        updates = [self.entry[other]["kind"] == "update" for other in chain]
        snapshots = [self.seq(other) for other in chain if self.entry[other]["kind"] == "snapshot"]
        snapped = snapshots[-1] + 1 if snapshots else 0
        found = sha(
            b"gossip/imprint/1\n",
            self.imprint(chain[-2]) if len(chain) > 1 else bytes(32),
            self.head(name)[40:],
            sha(spelled(self.facts(chain))),
            self.row_hash(done[-1]) if done else bytes(32),
            struct.pack(">QQQqQQ", len(chain), len(done), *self.sums(done), snapped, sum(updates[snapped:])),
            b"".join(struct.pack(">I", len(self.chain[last])) for last in self.seen[name]),
        )
        self.imprints[name] = found
        return found

    def sums(self, done: list[str]) -> tuple[int, int]:
        """The sum of the weights of these updates, and the norm of the last."""
        return sum(self.weight[name] for name in done), self.entry[done[-1]]["norm"] if done else -1

    def row_hash(self, name: str) -> bytes:
        row = self.row[name]
        js = sorted(row["seen"])
        columns = [row[column][j] for column in ("seen", "credited", "grown") for j in js]
        return sha(
            b"gossip/row/1\n",
            struct.pack(">QQI", row["T"], row["x"], len(js)),
            b"".join(bytes.fromhex(j) for j in js),
            b"".join(struct.pack(">Q", value) for value in columns),
        )

    def facts(self, chain: list[str]) -> dict:
        told: dict = {"accused": [], "admitted": [], "data": [], "final": [], "keys": [], "recovered": []}
        told |= {"challenges": [], "openings": [], "policies": [], "revoked": []}
        digest = bytes(32)
        for said in self.condemnations(chain):
            digest = sha(digest, spelled(said))
        told["condemned"] = digest.hex()
        finals = []
        for seq, name in enumerate(chain):
            entry, kind = self.entry[name], self.entry[name]["kind"]
            if kind == "enrol" and name == self.founder:
                told["admitted"].append([seq, self.founder, "admin", 0, ""])
            if kind == "member":
                told["admitted"].append([seq, entry["peer"], entry["role"], entry["expires"], self.house(name)])
            if kind == "accuse":
                at, halves = self.charge(name)
                told["accused"].append([seq, entry["peer"], at, [[leaf.hex(), key.hex()] for leaf, key in halves]])
            if kind == "data":
                told["data"] = [*told["data"], [seq, leaf_hash(self.data[name]).hex()]][-8:]
            if kind in ("challenge", "opening"):
                told[kind + "s"] = [*told[kind + "s"], [seq, leaf_hash(self.data[name]).hex()]][-16:]
            if kind == "revoke":
                told["revoked"].append([seq, entry["peer"], entry["since"]])
            if kind == "policy":
                told["policies"].append([seq, entry["number"], entry["policy"]])
            if kind in ("enrol", "rotate", "recover"):
                told["keys"].append([seq + 1, entry["key"], entry["next"]])
            if kind == "recover":
                told["recovered"].append([seq, entry["since"]])
            if kind == "final":
                finals.append((seq, entry["snapshot"]))
        for seq, snapshot in finals:
            if all(seq >= later for _, later in finals):
                told["final"].append([seq, snapshot, *self.finished(chain[snapshot])])
        enrols = [self.entry[name] for name in chain if self.entry[name]["kind"] == "enrol"]
        told["sponsor"] = enrols[0]["sponsor"] if enrols else ""
        told["roster"] = [self.author[last] for last in self.seen[chain[-1]]]
        for key in ("accused", "admitted", "keys", "policies", "recovered", "revoked"):
            digest = bytes(32)
            for item in told[key]:
                digest = sha(digest, spelled(item))
            told[key] = digest.hex()
        return told | {"peer": self.author[chain[0]]}

    def finished(self, snapshot: str) -> tuple[list[int], list, list]:
        """The sizes in a snapshot's past by slot, which slots' logs count there only in part, and what is condemned."""
        past = self.past[snapshot]
        slots = {-1: self.chain[snapshot], **{slot: self.chain[last] for slot, last in enumerate(self.seen[snapshot])}}
        parts, gone = [], []
        held = past | {snapshot}
        struck = self.condemned(held) - self.held_by_finals(held)
        for slot, chain in slots.items():
            ranges = self.ranges(held, chain)
            if ranges != [[0, len(chain)]]:
                parts.append([slot, ranges])
            standing = self.standing(held, chain)
            runs = self.runs(chain, [(name in struck and at in standing,) for at, name in enumerate(chain)])
            if any(alike[0] for _, _, alike in runs):
                gone.append([slot, [[begin, end] for begin, end, alike in runs if alike[0]]])
        return [len(self.chain[last]) for last in self.seen[snapshot]], parts, gone

    def runs(self, chain: list[str], alike: list[tuple]) -> list[tuple[int, int, tuple]]:
        """Updates let in that follow one another and are alike: from the first to the next that is not, or the end."""
        updates = [at for at, name in enumerate(chain) if self.folded(name)]
        groups = itertools.groupby(updates, key=lambda at: alike[at])
        begins = [(next(group), what) for what, group in groups]
        ends = [begin for begin, _ in [*begins, (len(chain), ())][1:]]
        return [(begin, end, what) for (begin, what), end in zip(begins, ends, strict=True)]

    def judged(self, chain: list[str], votes: dict[str, set[tuple[str, str]]], spared: Set[str]) -> list[list[int]]:
        """The runs of updates of a branch that two voices or more condemn and that are not in the sum of a final."""
        alike: list[tuple] = []
        for at, name in enumerate(chain):
            entry = self.entry[name]
            told = self.folded(name) and self.voices(self.judges(name, votes)) > 1 and name not in spared
            alike.append((entry["data"], self.active[name], at if name in votes else -1) if told else ())
        return [[begin, end, *what[:2]] for begin, end, what in self.runs(chain, alike) if what]

    def ranges(self, held: Set[str], chain: list[str]) -> list[list[int]]:
        """Which indices of a branch count in a past, whether there are updates there or not."""
        standing = sorted(self.standing(held, chain))
        return [
            [index, next(end for end in itertools.count(index) if end not in standing)]
            for index in standing
            if index - 1 not in standing
        ]

    def tangles(self, past: Set[str], ends: list[list[str]]) -> list[dict]:
        """By peer, what is tangled: sorted."""
        ends = sorted(ends, key=lambda chain: self.head(chain[-1]))
        votes, spared = self.votes(past), self.held_by_finals(past)
        said = [item for chain in ends for item in self.condemnations(chain)]
        accused = [name for name in past if self.entry[name]["kind"] == "accuse"]
        knots = []
        for peer in sorted({self.author[name] for name in past}):
            branches = [chain for chain in ends if self.author[chain[0]] == peer]
            recoveries = [
                (seq, self.entry[name]["since"])
                for chain in branches for seq, name in enumerate(chain) if self.entry[name]["kind"] == "recover"
            ]  # fmt: skip
            charged = {self.charge(name)[0] for name in accused if self.entry[name]["peer"] == peer}
            named = sorted({seqs[-1] for _, judged, seqs, *_ in said if judged == peer})
            wanted, _ = self.wanted_out(past, peer)
            if len(branches) == 1 and not charged and not recoveries and not named and not wanted:
                continue
            forks = []
            for (i, one), (j, other) in itertools.combinations(enumerate(branches), 2):
                forks.append([i, j, next(at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)])
            marks = []
            for i, chain in enumerate(branches):
                indices = {index for a, b, index in forks if i in (a, b)} | charged | wanted
                indices |= {index for both in recoveries for index in both}
                indices |= {index for both in self.ranges(past, chain) for index in both}
                indices |= {index for begin, end, *_ in self.judged(chain, votes, spared) for index in (begin, end)}
                marks.append([
                    [index, leaf_hash(self.data[chain[index]]).hex(), len(done), *self.sums(done)]
                    for index in sorted(indices) if 0 < index < len(chain)
                    for done in [[name for name in chain[:index] if self.folded(name)]]
                ])  # fmt: skip
            slots = [
                [number, slot, next(i for i, branch in enumerate(branches) if last in branch)]
                for number, chain in enumerate(ends)
                for slot, last in enumerate(self.seen[chain[-1]])
                if self.author[last] == peer and len(branches) > 1
            ]
            heard = [
                [[at, leaf_hash(self.data[chain[at]]).hex()] for at in named if at < len(chain)] for chain in branches
            ]
            judged = [self.judged(chain, votes, spared) for chain in branches]
            knots.append({
                "forks": forks, "heard": heard, "judged": judged, "marks": marks, "peer": peer, "slots": slots,
            })  # fmt: skip
        return knots

    def model(self, held: Set[str]) -> str:
        """The model_hash of everything in a past."""
        terms = [(self.weight[name], self.blobs[self.entry[name]["delta"]]) for name in self.summed(held)]
        layout = self.genesis["layout"]
        return model_hash(layout, fold(layout, self.genesis["seed"], terms))
