"""What begins before the node itself is imported: the training process, which has jax to import.

    Ahead.begin(config)   cores chosen, process started      (0.3 s of a core after `gossip run` was typed)
    import of the node    aiohttp, zeroconf, the machine     (0.4 s more, beside the import of jax)
    Node(config, ahead=ahead)

It refuses to know what is trained. Whoever begins it ends it: a node that never came to run owns no process.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Self

from gossip.node.config import NodeConfig
from gossip.node.power import Power
from gossip.training.worker_client import TrainerProcess


@dataclass(frozen=True, slots=True)
class Ahead:
    """The cores of one node, and its training process if there is anything to train on."""

    power: Power
    trainer: TrainerProcess | None

    @classmethod
    async def begin(cls, config: NodeConfig) -> Self:
        power = Power(config.cores, random.SystemRandom())
        if not config.trains:
            return cls(power, None)
        trainer = TrainerProcess(cores=power.cores)
        await trainer.spawn()
        return cls(power, trainer)

    async def end(self) -> None:
        """Once more does no harm."""
        if self.trainer is not None:
            await self.trainer.close()
