"""What the command line does, from Python: one function a command.

comparing   compare, reproduce, tune                  models   size, cost_of, memory_of, layers_of
timing      time, doctor                              stored   load, best, report
"""

from archbench.api.comparing import compare, reproduce, tune
from archbench.api.models import cost_of, layers_of, memory_of, size
from archbench.api.stored import best, report
from archbench.api.timing import doctor, time
from archbench.loading import load

__all__ = [
    "best",
    "compare",
    "cost_of",
    "doctor",
    "layers_of",
    "load",
    "memory_of",
    "report",
    "reproduce",
    "size",
    "time",
    "tune",
]
