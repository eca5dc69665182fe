"""The training process starts before the node is imported, and what is not needed at a start is not imported."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.children import own_environment
from gossip.node import NodeConfig
from gossip.node.ahead import Ahead
from gossip.setup import create_swarm

ORDER = """if True:
    import os, sys
    def seen(event, given):
        if event == "subprocess.Popen" and given[1][-2] in ("train", "check"):  # (ifaddr asks ldconfig)
            print("process", *given[1][-2:])
        elif event == "import" and given[0] in ("aiohttp", "gossip.node.shell", "zeroconf"):
            print("import", given[0])
            if given[0] == "zeroconf":
                sys.stdout.flush()
                os._exit(0)  # as killed: the process that was begun ends by itself
    sys.addaudithook(seen)
    from cli.app import app
    app(sys.argv[1:])
"""
MODEL = """{"model": 1, "features": {"kind": "numbers/1", "columns": 3}, "classes": ["a", "b"],
 "layers": [{"kind": "dense", "units": 2}], "loss": "softmax", "optimiser": {"kind": "sgd", "rate": 0.1},
 "batch": 2, "local_steps": 2, "density": 0.5, "eta": 1.0, "norm0": 1.0}"""


@pytest.mark.e2e
def test_jax_loads_beside_the_import_of_the_node(tmp_path: Path) -> None:
    place, rows = tmp_path / "ann", tmp_path / "rows.csv"
    create_swarm(place, name="field", task="table", model_text=MODEL, peer_name="ann", seed=1)
    rows.write_text("x,y,z,label\n" + "1,2,3,a\n4,5,6,b\n" * 8)
    words = [sys.executable, "-c", ORDER, "run", "--dir", str(place), "--data", str(rows), "--json"]
    environment = {**own_environment(), "GOSSIP_HOME": str(tmp_path / "home")}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith(("process", "import"))]
    assert [line.split()[0] for line in told] == ["process", "import", "import", "import"], done.stderr
    assert told[0].startswith("process train")  # and no checking process: there is nothing to look at
    assert set(told[1:]) == {"import gossip.node.shell", "import aiohttp", "import zeroconf"}


def test_what_begins_ahead_needs_no_network_code() -> None:
    code = "import sys, gossip.node.ahead; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=own_environment(), check=True
    )
    loaded = set(done.stdout.split())
    assert "gossip.training.worker_client" in loaded
    assert not loaded & {"gossip.node.shell", "gossip.peer.peer", "aiohttp", "zeroconf", "aiortc", "jax", "psutil"}


def test_who_observes_begins_no_process(tmp_path: Path) -> None:
    async def begun() -> None:
        ahead = await Ahead.begin(NodeConfig(directory=tmp_path))
        assert ahead.trainer is None
        assert ahead.power.cores
        await ahead.end()

    asyncio.run(begun())


def test_a_node_that_never_ran_leaves_no_process(tmp_path: Path) -> None:
    async def begun() -> int:
        ahead = await Ahead.begin(NodeConfig(directory=tmp_path, data=(tmp_path / "rows.csv",)))
        assert ahead.trainer is not None
        pid = ahead.trainer.pid
        assert pid is not None
        await ahead.end()
        await ahead.end()
        assert ahead.trainer.pid is None
        return pid

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(begun()), 0)
