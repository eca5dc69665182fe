"""What libp2p imports and we never use is imported when somebody does use it, so most often never.

    import requests   --libp2p's AutoTLS-->   a name that becomes the module at its first use

py-libp2p 0.8.1 brings two HTTP clients, with a terminal's library behind one of them, for certificates that we never
ask for, and a library about processes for limits that we do not set. Together they were a third of what importing it
costs (docs/wide.md), on machines that have better to do in just that moment. Nothing is replaced: whoever asks the name
for anything gets the module itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Final

UNUSED: Final = ("httpx", "psutil", "requests", "service_identity")


class _Later(ModuleType):
    """Stands for a module until somebody uses it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__path__", "__version__"):  # of who walks through all modules
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def put_off(names: tuple[str, ...] = UNUSED) -> None:
    """Before libp2p is imported. What is imported already stays as it is."""
    for name in names:
        if name not in sys.modules and importlib.util.find_spec(name) is not None:
            sys.modules[name] = _Later(name)
