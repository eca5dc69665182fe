"""README.txt of a bundle: how to check it with tools that its authors did not write.

Every line that begins with $ here is a command; tests/ledger/test_bundle.py runs them all in one shell, on good
bundles and on bad ones, and tests/ledger/test_readme.py runs the part for Go. The commands write nothing inside the
bundle, for a stray file there is a finding.
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

policy.toml                  the rules that updates must satisfy
policy.tlog                  whose cosignatures make a snapshot final, if the swarm has witnesses
blobs/HASH                   weight changes, and proofs that an author signed two histories
logs/PEER/key.pem            the author's public key
logs/PEER/checkpoint         its signature over its log's size and Merkle root
logs/PEER/cosigned           the same of some size, with the signatures of peers that witnessed it
logs/PEER/head.tlog-proof    that the log's last entry here is under that checkpoint, or under a later one
logs/PEER/tile/entries/...   the entries, 256 to a file, each after its length in two bytes
logs/PEER/tile/0/...         SHA-256 of a zero byte and each entry; tile/1 and so on: the Merkle tree above them
logs/PEER/fork-.../          another history that the same author signed; what holds for a log holds for it

What follows needs no gossip: only a shell, sha256sum and openssl (3.0 or newer). Type it in this folder, all in
one shell; lines in between say what you should see. (On macOS, "shasum -a 256" is sha256sum.)


1. The first entry of the founder's log is the beginning of the swarm. Its SHA-256 is the swarm's id, which you
should know from somewhere else than this folder:

{swarm}

$   t=$(mktemp -d)
$   # first LOG: its first tile of entries. length FILE AT, cut_entry FILE AT: the entry at byte AT of a tile
$   first() { [ -f "$1/tile/entries/000" ] && echo "$1/tile/entries/000" || echo "$1"/tile/entries/000.p/*; }
$   length() { od -An -tu1 -j "$2" -N 2 "$1" | awk '{print $1 * 256 + $2}'; }
$   cut_entry() { tail -c +$(($2 + 3)) "$1" | head -c "$(length "$1" "$2")"; }
$   founder=logs/{founder}
$   cut_entry "$(first "$founder")" 0 > "$t/genesis"
$   sha256sum < "$t/genesis"


2. The genesis names the policy by its SHA-256. These two lines show the same hash:

$   grep -o '"policy":"[0-9a-f]*"' "$t/genesis"
$   sha256sum policy.toml


3. Every blob is what its name says. This prints nothing:

$   for f in blobs/*; do [ ! -f "$f" ] || echo "${f#blobs/}  $f"; done > "$t/blobs"
$   [ ! -s "$t/blobs" ] || sha256sum -c --quiet "$t/blobs"


4. Every log's name is the SHA-256 of its author's enrolment (entry 0, or entry 1 of the founder's log), and the
enrolment names the author's key. One line "enrolment OK" per log, or "enrolment OK, key changed since" where a later
entry of the log names the key:

$   for d in logs/*; do
$     f=$(first "$d")
$     at=0
$     if [ "$d" = "$founder" ]; then at=$(($(length "$f" 0) + 2)); fi
$     cut_entry "$f" "$at" > "$t/enrolment"
$     echo "${d#logs/}  $t/enrolment" | sha256sum -c --quiet
$     key=$(openssl pkey -pubin -in "$d/key.pem" -outform DER | tail -c 32 | od -An -tx1 | tr -d ' \\n')
$     if grep -q "\\"key\\":\\"$key\\"" "$t/enrolment"; then echo "enrolment OK"
$     elif grep -raq "\\"key\\":\\"$key\\"" "$d/tile/entries"; then echo "enrolment OK, key changed since"; fi
$   done


5. Every author signed its log's size and Merkle root. One line "Signature Verified Successfully" per log:

$   for d in logs/*; do
$     head -n 3 "$d/checkpoint" > "$t/body"
$     sed -n 5p "$d/checkpoint" | cut -d ' ' -f 3 | base64 -d | tail -c 64 > "$t/signature"
$     openssl pkeyutl -verify -rawin -pubin -inkey "$d/key.pem" -in "$t/body" -sigfile "$t/signature"
$   done


6. Entries of one log form a chain: "prev" is the SHA-256 of the entry before. Of the founder's second entry:

$   cut_entry "$(first "$founder")" $(($(length "$(first "$founder")" 0) + 2)) | grep -o '"prev":"[0-9a-f]*"'
$   sha256sum < "$t/genesis"


7. Other peers witnessed logs: each signed a size and root that it had recomputed, with the time. One line
"Signature Verified Successfully" per cosignature by a key that is here; nothing where nobody witnessed. Witnesses
change their keys, too: a cosignature begins with four bytes of the SHA-256 of its name and key, and tells so which of
the keys made it that the witness's log names:

$   bytes() { for b in $(echo "$1" | sed 's/../& /g'); do printf "\\\\$(printf %03o "0x$b")"; done; }
$   keys_of() { { openssl pkey -pubin -in "$1/key.pem" -outform DER | tail -c 32 | od -An -tx1 | tr -d ' \\n'; echo
$     grep -rahoE '"key":"[0-9a-f]{64}"' "$1/tile/entries" | cut -d '"' -f 4; } | sort -u; }
$   id_of() { { printf '%s\\n\\004' "$1"; bytes "$2"; } | sha256sum | head -c 8; }
$   for d in logs/*; do
$     [ ! -f "$d/cosigned" ] || sed 1,5d "$d/cosigned" | while read -r _ name sealed; do
$       w=$(grep -lxF "$name" logs/*/checkpoint | head -n 1)
$       [ -n "$w" ] || continue
$       echo "$sealed" | base64 -d > "$t/sealed"
$       time=$((0x$(od -An -tx1 -v -j 4 -N 8 "$t/sealed" | tr -d ' \\n')))
$       { printf 'cosignature/v1\\ntime %s\\n' "$time"; head -n 3 "$d/cosigned"; } > "$t/body"
$       tail -c 64 "$t/sealed" > "$t/signature"
$       id=$(od -An -tx1 -N 4 "$t/sealed" | tr -d ' \\n')
$       for key in $(keys_of "${w%/checkpoint}" 2> "$t/none"); do
$         [ "$(id_of "$name" "$key")" = "$id" ] || continue
$         bytes "302a300506032b6570032100$key" > "$t/key"
$         openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$t/key" -in "$t/body" -sigfile "$t/signature"
$         id=found
$       done
$       [ "$id" = found ] || echo "Verification Failure: no key of $name made that"
$     done
$   done


8. The same signatures with Go and golang.org/x/mod/sumdb/note, the code behind sum.golang.org. Type:

  mkdir "$t/check" && sed -n '/^package main$/,/^}  *[/][/] end$/p' README.txt > "$t/check/main.go"
  (cd "$t/check" && go mod init check && go get golang.org/x/mod/sumdb/note@v0.14.0 && go build)
  "$t/check/check" logs/*

It prints, for each log, its size, and how many of the cosignatures it knows the keys of; all it knows are good, or
it stops and says which is not.

{program}
The formats are those of c2sp.org: signed-note, tlog-checkpoint and tlog-cosignature (logs/*/checkpoint, cosigned),
tlog-proof (logs/*/head.tlog-proof), tlog-policy (policy.tlog), tlog-tiles (logs/*/tile).
"""

GO_PROGRAM = """\
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A witness is a note.Verifier of cosignatures: 8 bytes of time, 64 of Ed25519.
type witness struct {
	name string
	key  ed25519.PublicKey
}

func (w witness) Name() string { return w.name }

func (w witness) KeyHash() uint32 {
	hash := sha256.Sum256(append([]byte(w.name+"\\n\\x04"), w.key...))
	return binary.BigEndian.Uint32(hash[:])
}

func (w witness) Verify(text, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\\ntime %d\\n%s", binary.BigEndian.Uint64(sig), text)
	return ed25519.Verify(w.key, []byte(signed), sig[8:])
}

func check(err error, file string) {
	if err != nil {
		fmt.Println(file, err)
		os.Exit(1)
	}
}

func main() {
	authors, everybody := map[string]note.Verifier{}, []note.Verifier{}
	for _, log := range os.Args[1:] {
		text, err := os.ReadFile(log + "/key.pem")
		check(err, log)
		block, _ := pem.Decode(text)
		key := ed25519.PublicKey(block.Bytes[len(block.Bytes)-32:])
		text, err = os.ReadFile(log + "/checkpoint")
		check(err, log)
		name := string(bytes.SplitN(text, []byte("\\n"), 2)[0])
		word, err := note.NewEd25519VerifierKey(name, key)
		check(err, log)
		authors[log], err = note.NewVerifier(word)
		check(err, log)
		everybody = append(everybody, authors[log], witness{name, key})
		known := map[string]bool{string(key): true}
		filepath.WalkDir(log+"/tile/entries", func(file string, _ fs.DirEntry, _ error) error {
			text, _ := os.ReadFile(file)
			for _, found := range regexp.MustCompile(`"key":"([0-9a-f]{64})"`).FindAllSubmatch(text, -1) {
				if older, _ := hex.DecodeString(string(found[1])); !known[string(older)] {
					known[string(older)] = true
					everybody = append(everybody, witness{name, older})
				}
			}
			return nil
		})
	}
	for _, log := range os.Args[1:] {
		text, err := os.ReadFile(log + "/checkpoint")
		check(err, log)
		own, err := note.Open(text, note.VerifierList(authors[log]))
		check(err, log+"/checkpoint")
		size, count := strings.Split(own.Text, "\\n")[1], 0
		if text, err = os.ReadFile(log + "/cosigned"); err == nil {
			both, err := note.Open(text, note.VerifierList(everybody...))
			check(err, log+"/cosigned")
			for _, signature := range both.Sigs {
				if signature.Hash != authors[log].KeyHash() {
					count++
				}
			}
		}
		fmt.Println(log, "size", size, "cosignatures", count)
	}
} // end
"""


def readme(swarm: Hash, founder: PeerId) -> str:
    """The text for one bundle."""
    text = _TEXT.replace("{swarm}", swarm).replace("{founder}", founder).replace("{program}", GO_PROGRAM)
    return text.replace("\n$   ", "\n    ")
