"""The nouns: frozen dataclasses with units in their names. Importing this imports no torch, pandas or scipy."""

from archbench.schema.asked import Case, Device, Precision, Recipe, Study, View
from archbench.schema.keys import changed, digest, fields
from archbench.schema.models import Budget, Cost, Count, SizedModel
from archbench.schema.results import (
    RESULT_VERSION,
    SETTLED,
    SPLITS_OF_AN_EPOCH,
    USUAL,
    Attempt,
    Cell,
    Environment,
    Epoch,
    Kind,
    Knobs,
    MemoryFormat,
    Metrics,
    Outcome,
    Place,
    Progress,
    Record,
    Split,
    State,
    Status,
    Training,
)
from archbench.schema.timings import Allocator, Conditions, Engine, Memory, Mode, Peaks, Timing

__all__ = [
    "RESULT_VERSION", "SETTLED", "SPLITS_OF_AN_EPOCH", "USUAL", "Allocator", "Attempt", "Budget", "Case", "Cell",
    "Conditions", "Cost", "Count", "Device", "Engine", "Environment", "Epoch", "Kind", "Knobs", "Memory",
    "MemoryFormat", "Metrics", "Mode", "Outcome", "Peaks", "Place", "Precision", "Progress", "Recipe", "Record",
    "SizedModel", "Split", "State", "Status", "Study", "Timing", "Training", "View", "changed", "digest", "fields",
]  # fmt: skip
