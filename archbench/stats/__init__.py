"""Statistics, each with its interval, each allowed to have none: None where the samples are too few to tell.

docs/statistics.md states every rule with its source.
"""

from archbench.stats.crossing import Crossing, Crossings, crossings, crossover, leads, surely_uncrossed
from archbench.stats.fit import REACH, PowerLaw, fit_power_law
from archbench.stats.intervals import (
    CONFIDENCE,
    Estimate,
    difference_of_proportions,
    exact,
    mean,
    predicted,
    proportion,
    scaled,
    t_factor,
)
from archbench.stats.paired import (
    differences,
    fisher_test,
    holm,
    least_sign_flip,
    paired_difference,
    paired_ratio,
    sign_flip_test,
    t_test,
)
from archbench.stats.pareto import dominating, pareto_front
from archbench.stats.power import LEVEL, POWER, detectable, detectable_effect, power, seeds_needed
from archbench.stats.ranks import agreement

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "POWER",
    "REACH",
    "Crossing",
    "Crossings",
    "Estimate",
    "PowerLaw",
    "agreement",
    "crossings",
    "crossover",
    "detectable",
    "detectable_effect",
    "difference_of_proportions",
    "differences",
    "dominating",
    "exact",
    "fisher_test",
    "fit_power_law",
    "holm",
    "leads",
    "least_sign_flip",
    "mean",
    "paired_difference",
    "paired_ratio",
    "pareto_front",
    "power",
    "predicted",
    "proportion",
    "scaled",
    "seeds_needed",
    "sign_flip_test",
    "surely_uncrossed",
    "t_factor",
    "t_test",
]
