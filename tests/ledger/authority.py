"""A time-stamp authority on this machine, played by the openssl command: it signs whatever it is asked to."""

from __future__ import annotations

import subprocess
from pathlib import Path

CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[between]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
nsComment = {between}
[tsa]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[ts]
default_tsa = stamps
[stamps]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = {digests}
accuracy = secs:1, millisecs:500
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """A root, perhaps one authority between, and the signer. `days` is how long the signer's certificate is good.

    `between` is a comment in the certificate between, so that it may be the longer or the shorter one of the two sent.

    `digests` are those that it stamps; it refuses others.
    """

    def __init__(self, folder: Path, *, between: str = "", days: int = 2, digests: str = "sha256, sha512") -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.root = folder / "root.pem"
        self._config = folder / "config"
        self._config.write_text(CONFIG.format(folder=folder, digests=digests, between=between or "-"))
        self._openssl(
            "req", "-x509", "-extensions", "ca", *CURVE, "-keyout", folder / "root.key", "-out", self.root,
            "-subj", f"/CN=root of {folder.name}", "-days", "3",
        )  # fmt: skip
        self._chain: tuple[object, ...] = ()
        above = "root"
        if between:
            self._issue("between", above, "between", 3)
            self._chain = ("-chain", folder / "between.pem")
            above = "between"
        self._issue("signer", above, "tsa", days)

    def _issue(self, name: str, above: str, kind: str, days: int) -> None:
        folder = self.folder
        self._openssl(
            "req", "-new", *CURVE, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr",
            "-subj", f"/CN={name} of {folder.name}",
        )  # fmt: skip
        self._run(
            "x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / f"{above}.pem",
            "-CAkey", folder / f"{above}.key", "-set_serial", "7", "-extfile", self._config, "-extensions", kind,
            "-days", days, "-out", folder / f"{name}.pem",
        )  # fmt: skip

    def answer(self, query: bytes) -> bytes:
        """Its answer to a query, granted or not."""
        asked, given = self.folder / "query", self.folder / "answer"
        asked.write_bytes(query)
        self._openssl(
            "ts", "-reply", "-section", "stamps", "-queryfile", asked, "-signer", self.folder / "signer.pem",
            "-inkey", self.folder / "signer.key", *self._chain, "-out", given,
        )  # fmt: skip
        return given.read_bytes()

    def text(self, answer: bytes) -> str:
        """An answer as openssl shows it."""
        file = self.folder / "shown"
        file.write_bytes(answer)
        return self._run("ts", "-reply", "-in", file, "-text")

    def accepts(self, token: bytes, body: bytes) -> bool:
        """What openssl, with nothing of ours, says of a token over a body."""
        file, data = self.folder / "token", self.folder / "body"
        file.write_bytes(token)
        data.write_bytes(body)
        words = ("ts", "-verify", "-token_in", "-in", file, "-data", data, "-CAfile", self.root)
        return "Verification: OK" in self._run(*words, check=False)

    def _openssl(self, command: str, *words: object) -> None:
        self._run(command, "-config", self._config, *words)

    @staticmethod
    def _run(*words: object, check: bool = True) -> str:
        done = subprocess.run(
            ["openssl", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout
