"""README.txt of a bundle: how to check it with tools that its authors did not write.

Every line that begins with $ here is a command; tests/ledger/test_bundle.py runs them all in one shell, on good
bundles and on bad ones. The commands write nothing inside the bundle, for a stray file there is a finding.
"""

from __future__ import annotations

from ledger.entry import Hash, PeerId

_TEXT = """\
A ledger bundle
===============

This folder holds the whole ledger of a swarm: every entry of every peer's log, the weight changes ("blobs") that
they name, the data-quality policy, and each author's signature over its log.

    gossip ledger verify .      checks everything below, and every rule that entries must satisfy
    gossip ledger replay .      recomputes the model, and every model hash on the way, bit for bit

What follows needs no gossip: only a shell, sha256sum and openssl (3.0 or newer). Type it in this folder, all in
one shell; lines in between say what you should see. (On macOS, "shasum -a 256" is sha256sum.)


1. The first entry of the founder's log is the beginning of the swarm. Its SHA-256 is the swarm's id, which you
should know from somewhere else than this folder:

{swarm}

$   t=$(mktemp -d)
$   # first LOG: its first tile of entries. length FILE AT, cut_entry FILE AT: the entry at byte AT of a tile
$   first() {{ [ -f "$1/tile/entries/000" ] && echo "$1/tile/entries/000" || echo "$1"/tile/entries/000.p/*; }}
$   length() {{ od -An -tu1 -j "$2" -N 2 "$1" | awk '{{print $1 * 256 + $2}}'; }}
$   cut_entry() {{ tail -c +$(($2 + 3)) "$1" | head -c "$(length "$1" "$2")"; }}
$   founder=logs/{founder}
$   cut_entry "$(first "$founder")" 0 > "$t/genesis"
$   sha256sum < "$t/genesis"


2. The genesis names the policy by its SHA-256. These two lines show the same hash:

$   grep -o '"policy":"[0-9a-f]*"' "$t/genesis"
$   sha256sum policy.toml


3. Every blob is what its name says. This prints nothing:

$   for f in blobs/*; do [ ! -f "$f" ] || echo "${{f#blobs/}}  $f"; done > "$t/blobs"
$   [ ! -s "$t/blobs" ] || sha256sum -c --quiet "$t/blobs"


4. Every log's name is the SHA-256 of its author's enrolment (entry 0, or entry 1 of the founder's log), and the
enrolment names the author's key. One line "enrolment OK" per log:

$   for d in logs/*; do
$     f=$(first "$d")
$     at=0
$     if [ "$d" = "$founder" ]; then at=$(($(length "$f" 0) + 2)); fi
$     cut_entry "$f" "$at" > "$t/enrolment"
$     echo "${{d#logs/}}  $t/enrolment" | sha256sum -c --quiet
$     key=$(openssl pkey -pubin -in "$d/key.pem" -outform DER | tail -c 32 | od -An -tx1 | tr -d ' \\n')
$     grep -q "\\"key\\":\\"$key\\"" "$t/enrolment" && echo "enrolment OK"
$   done


5. Every author signed its log's size and Merkle root. One line "Signature Verified Successfully" per log:

$   for d in logs/*; do
$     head -n 3 "$d/checkpoint" > "$t/body"
$     tail -n 1 "$d/checkpoint" | cut -d ' ' -f 3 | base64 -d | tail -c 64 > "$t/signature"
$     openssl pkeyutl -verify -rawin -pubin -inkey "$d/key.pem" -in "$t/body" -sigfile "$t/signature"
$   done


6. Entries of one log form a chain: "prev" is the SHA-256 of the entry before. Of the founder's second entry:

$   cut_entry "$(first "$founder")" $(($(length "$(first "$founder")" 0) + 2)) | grep -o '"prev":"[0-9a-f]*"'
$   sha256sum < "$t/genesis"

The formats are those of c2sp.org: signed-note and tlog-checkpoint (logs/*/checkpoint), tlog-tiles (logs/*/tile).
"""


def readme(swarm: Hash, founder: PeerId) -> str:
    """The text for one bundle."""
    return _TEXT.format(swarm=swarm, founder=founder).replace("\n$   ", "\n    ")
