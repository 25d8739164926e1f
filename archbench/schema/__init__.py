"""The nouns: frozen dataclasses with units in their names. Importing this imports no torch, pandas or scipy."""

from archbench.schema.asked import Case, Device, Precision, Recipe, Study, View
from archbench.schema.keys import changed, digest, fields
from archbench.schema.models import Budget, Cost, Count, SizedModel
from archbench.schema.results import (
    RESULT_VERSION,
    SETTLED,
    SPLITS_OF_AN_EPOCH,
    Attempt,
    Cell,
    Environment,
    Epoch,
    Kind,
    Metrics,
    Outcome,
    Progress,
    Record,
    Split,
    State,
    Status,
    Training,
)
from archbench.schema.timings import Allocator, Conditions, Engine, Memory, Mode, Peaks, Timing

__all__ = [
    "RESULT_VERSION", "SETTLED", "SPLITS_OF_AN_EPOCH", "Allocator", "Attempt", "Budget", "Case", "Cell",
    "Conditions", "Cost", "Count", "Device", "Engine", "Environment", "Epoch", "Kind", "Memory", "Metrics", "Mode",
    "Outcome", "Peaks", "Precision", "Progress", "Recipe", "Record", "SizedModel", "Split", "State", "Status",
    "Study", "Timing", "Training", "View", "changed", "digest", "fields",
]  # fmt: skip
