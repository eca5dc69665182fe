"""Fuzzing led by coverage: `python -m tests.fuzz.atheris frame -runs=100000`, or `make fuzz` for every target in turn.

    corpus/<target> and the target's real messages --libFuzzer, with what each input reaches--> more inputs, or a crash

Extra `fuzz` (atheris, for CPython 3.11 on Linux). The reader, and all of ledger and gossip below it, is instrumented as
it is imported. Whatever a target may not raise ends the run, and libFuzzer writes the input to crash-*: put it into the
corpus as regression-WORDS, and mend what it found. Options behind the target are libFuzzer's own.

Rules kept here: nothing that is found is written into the tree by itself; a minute for each target, if nothing else is
said. It refuses to know what the targets read (targets.py).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

SECONDS: Final = 60
EVERY: Final = "all"


def main(words: list[str]) -> int:
    if not words:
        print("usage: python -m tests.fuzz.atheris TARGET|all [libFuzzer's options, such as -runs=100000]")
        return 2
    if words[0] == EVERY:
        return _each(words[1:])
    return _one(words[0], words[1:])


def _each(options: list[str]) -> int:
    """Every target in a process of its own: libFuzzer ends the one it runs in."""
    from tests.fuzz.targets import TARGETS

    failed = []
    for name in TARGETS:
        done = subprocess.run([sys.executable, "-m", "tests.fuzz.atheris", name, *options], check=False)
        if done.returncode:
            failed.append(name)
    print(f"{len(TARGETS)} targets, " + (f"failed: {', '.join(failed)}" if failed else "nothing found"))
    return 1 if failed else 0


def _one(name: str, options: list[str]) -> int:
    import atheris

    with atheris.instrument_imports(include=["ledger", "gossip"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS.get(name)
    if target is None:
        print(f"there is no target {name!r}: {', '.join(TARGETS)}")
        return 2
    is_limited = any(word.startswith(("-runs", "-max_total_time")) for word in options)
    limits = [] if is_limited else [f"-max_total_time={SECONDS}"]
    corpus = Path(tempfile.mkdtemp(prefix=f"gossip-fuzz-{name}-"))
    for data in target.seeds:
        (corpus / sha256(data).hexdigest()[:16]).write_bytes(data)
    words = [f"-max_len={target.limit}", "-timeout=5", "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=1"]
    print(f"{name}: {len(target.seeds)} inputs to begin with, in {corpus}", flush=True)
    atheris.Setup([sys.argv[0], *words, *limits, *options, str(corpus)], target.takes)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
