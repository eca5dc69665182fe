"""What a commitment to a data set costs, and an opening of it: `python -m tests.bench --only data`.

A million made-up requests, streamed, in a process of its own, so that its memory is its own (Linux). Beside it, in the
same process, the bare SHA-256 of the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

from cli.bench.figures import Figure, Goal, Section

RECORDS: Final = 1_000_000
OPENED: Final = 59
MOST_MB: Final = 150
PROGRAM: Final = """
import json, mmap, os, sys, tempfile, zlib
from hashlib import sha256
from time import perf_counter, process_time
from ledger.opening import challenge_text, make_opening, make_sketch, public_salt, verify_opening, verify_sketch
from ledger.provenance import commit_records
from ledger.keys import PrivateKey

def requests(count):
    for i in range(count):
        page = f"https://www.news{i % 700}.example/section/article-{i}.html"
        url = f"https://ads{i % 997}.tracker.example/px/collect?id={i * 7919}&ref=homepage&v=3.1.{i % 17}"
        yield f"{page}\\0{url}\\0image".encode(), b'["tracker",true]'

def peak_mb():
    with open("/proc/self/status") as lines:
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

def timed(run):
    begun = process_time()
    result = run()
    return result, process_time() - begun

count, opened, swarm = int(sys.argv[1]), int(sys.argv[2]), "2a" * 32
signature = PrivateKey.from_seed(b"b" * 32).sign(challenge_text(swarm, "c4" * 32, "da" * 32, opened)).hex()
base = peak_mb()
_, made_s = timed(lambda: sum(1 for _ in requests(count)))
_, hashed_s = timed(lambda: [None for key, value in requests(count) if not sha256(key + value).digest()])
with tempfile.TemporaryFile() as file:
    commitment, commit_s = timed(lambda: commit_records(requests(count), public_salt(swarm), keep=file.write))
    file.flush()
    peak = peak_mb()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as leaves:
        sketch, sketch_s = timed(lambda: make_sketch(leaves))
        blob, opening_s = timed(lambda: make_opening(leaves, requests(count), swarm, signature, opened))
verify_sketch(sketch, commitment)
found, verify_s = timed(lambda: verify_opening(blob, commitment, swarm, signature, opened))
packed = zlib.compressobj(9, wbits=-15)
print(json.dumps({
    "records": commitment.records, "commit_s": commit_s - made_s, "hashed_s": hashed_s - made_s, "base_mb": base,
    "peak_mb": peak, "sketch": len(sketch), "sketch_s": sketch_s, "opening": len(blob), "opened": len(found.records),
    "deflated": len(packed.compress(blob) + packed.flush()), "opening_s": opening_s - made_s, "verify_s": verify_s,
    "shown": sum(len(each.key) + len(each.value) for each in found.records),
}))
"""


def measure(*, quick: bool) -> Section:
    count = RECORDS // 10 if quick else RECORDS
    told = measured(count)
    assert (told["records"], told["opened"]) == (count, OPENED)
    rate = count / told["commit_s"]
    bare = count / told["hashed_s"]
    return Section(
        f"data: {count:,} requests committed to, {OPENED} of them opened",
        (
            Figure("commitment", rate, "records/s", Goal(20_000, at_most=False), digits=0, note="of a core"),
            Figure("commitment / bare SHA-256 of the same bytes", bare / rate, "x", note=f"{bare:,.0f} records/s"),
            Figure("peak memory", told["peak_mb"], "MB", Goal(MOST_MB), digits=0, note=f"{told['base_mb']:.0f} before"),
            Figure("sketch", told["sketch"], "bytes", digits=0, note=f"{told['sketch_s']:.1f} s"),
            Figure("opening", told["opening"], "bytes", digits=0, note=f"{told['deflated']:,} deflated"),
            Figure("opening / the records in it", told["opening"] / told["shown"], "x"),
            Figure("making it: one pass over the data", told["opening_s"], "s"),
            Figure("verifying it", 1e3 * told["verify_s"], "ms"),
        ),
    )


def measured(count: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(count), str(OPENED)], capture_output=True, text=True, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told
