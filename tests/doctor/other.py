"""The machine at the other end of a cable: a namespace of its own, and in it a doctor that answers.

python -m tests.doctor.other FD      hands its tap over through that socket, then prints what it has to say
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

from gossip.doctor.examine import Wanted, answer
from tests.net.interfaces import Tap, up

HERE, THERE, PORT = "10.77.0.1", "10.77.0.2", 4000

if __name__ == "__main__":
    up("lo")
    with Tap("tap0", THERE) as tap, socket.socket(fileno=int(sys.argv[1])) as parent:
        socket.send_fds(parent, [b"tap"], [tap.fd])
        wanted = Wanted(folder=Path("/"), interfaces=("tap0",), port=PORT)
        answer(wanted, lambda kind, facts: print(json.dumps([kind, facts]), flush=True))
