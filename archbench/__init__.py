"""archbench compares neural-network architectures on equal terms.

>>> import archbench
>>> result = archbench.compare(["cnn", "mobilenet"], budgets=["30k", "200k"])  # doctest: +SKIP
>>> result.frame()  # doctest: +SKIP

The public names below are imported when they are first used, so that importing archbench takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archbench.api import (
        best,
        compare,
        cost_of,
        doctor,
        layers_of,
        load,
        memory_of,
        report,
        reproduce,
        size,
        time,
        tune,
    )
    from archbench.comparison import Comparison
    from archbench.data import Parts, load_dataset, register_dataset
    from archbench.errors import ArchbenchError
    from zoo import create_model, list_models, model_spec, register_model

_HOMES = {
    "ArchbenchError": "archbench.errors",
    "Comparison": "archbench.comparison",
    "Parts": "archbench.data",
    "best": "archbench.api",
    "compare": "archbench.api",
    "cost_of": "archbench.api",
    "create_model": "zoo",
    "doctor": "archbench.api",
    "layers_of": "archbench.api",
    "list_models": "zoo",
    "load": "archbench.api",
    "load_dataset": "archbench.data",
    "memory_of": "archbench.api",
    "model_spec": "zoo",
    "register_dataset": "archbench.data",
    "register_model": "zoo",
    "report": "archbench.api",
    "reproduce": "archbench.api",
    "size": "archbench.api",
    "time": "archbench.api",
    "tune": "archbench.api",
}

__all__ = [
    "ArchbenchError",
    "Comparison",
    "Parts",
    "best",
    "compare",
    "cost_of",
    "create_model",
    "doctor",
    "layers_of",
    "list_models",
    "load",
    "load_dataset",
    "memory_of",
    "model_spec",
    "register_dataset",
    "register_model",
    "report",
    "reproduce",
    "size",
    "time",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module 'archbench' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
