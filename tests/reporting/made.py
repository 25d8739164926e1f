"""What the tests of reports stand on: comparisons of all kinds, and a page of one that means harm."""

from __future__ import annotations

import dataclasses
import json
import re
from functools import cache
from pathlib import Path

from test_tables import BASE, RECORDS, SLOW, record

from archbench.comparison import Comparison
from archbench.reporting import html_of, page_of
from archbench.schema import Count, Study

EVIL = '</script><img src=x onerror="document.title=1">&\'`|_*$\\{}'
"""A model's name that would be markup in HTML, in a script element, in Markdown or in LaTeX."""


def comparison(records, folder, **study):
    models = tuple(dict.fromkeys(one.cell.model for one in records))
    seeds = tuple(dict.fromkeys(one.cell.recipe.seed for one in records))
    return Comparison(Study(models, seeds=seeds or (0,), **study), records, folder)


def renamed(one, model, case="", dataset=None):
    cell = dataclasses.replace(one.cell, model=model, case=case, dataset=dataset or one.cell.dataset)
    cell = dataclasses.replace(cell, sized=cell.sized and dataclasses.replace(cell.sized, model=model, family=model))
    return dataclasses.replace(one, cell=cell, error=one.error and f"{one.error}: {model}")


def counted(one):
    count = Count("fvcore", "0.1", "macs", one.cost.macs + 7, parts={"products": one.cost.macs, "batch norm": 7})
    return dataclasses.replace(one, cost=dataclasses.replace(one.cost, counters=(count,)))


NOISY = [value + 5 * (-1) ** place for place, value in enumerate(BASE)]
"""Times of steps of which the half is a tenth longer than the other."""


CROSSING = [
    record(model, size, seed, accuracy + seed / 1000, samples)
    for model, samples, sizes in (("cnn", BASE, {1000: 0.80, 5000: 0.95}), ("net", SLOW, {1000: 0.90, 5000: 0.91}))
    for size, accuracy in sizes.items()
    for seed in range(3)
]
"""Runs of two lines that cross between their sizes."""


def wordy(one):
    """Return a record whose counters have much to say, so that a table of theirs is as wide as paper."""
    parts = {"products": one.cost.macs, "bias": 6_652, "batch norm": 13_284, "activations": 6_642, "pooling": 2_120}
    counts = tuple(
        Count(name, version, unit, sum(parts.values()), parts=parts)
        for name, version, unit in (("ptflops", "0.7.5", "macs"), ("torch", "2.14.1+cu130", "flops"))
    )
    return dataclasses.replace(one, cost=dataclasses.replace(one.cost, counters=counts))


def kinds(folder):
    """Return comparisons of every kind that a page must be made of, by what they are."""
    failed = [record("net", 1000, seed, 0.0, status="failed") for seed in range(2)]
    unbuilt = dataclasses.replace(failed[0], cell=dataclasses.replace(failed[0].cell, sized=None), cost=None)
    found = {
        "usual": [counted(one) for one in RECORDS],
        "one seed": [record("cnn", 1000, 0, 0.9, BASE), record("net", 1000, 0, 0.8, SLOW)],
        "no timings": [record(name, 1000, seed, 0.9) for name in ("cnn", "net") for seed in range(3)],
        "one model": [record("cnn", 1000, 0, 0.9, BASE)],
        "failed alone": [*failed, unbuilt],
        "several data sets": [
            renamed(one, one.cell.model, data, data) for one in RECORDS for data in ("digits", "mnist")
        ],
        "in doubt": [
            wordy(record(name, size, seed, 0.9, NOISY))
            for name in ("cnn", "mobilenet")
            for size in (30_000, 200_000, 1_600_000)
            for seed in range(2)
        ],
        "long names": [renamed(one, one.cell.model * 60) for one in RECORDS],
        "evil": [renamed(one, one.cell.model + EVIL, EVIL) for one in RECORDS],
        "nothing": [],
    }
    repeated = comparison(CROSSING, Path(__file__).parent / "reproduced", name="repeated", scale="quick")
    return {name: comparison(records, folder) for name, records in found.items()} | {"reproduced": repeated}


@cache
def compared():
    return kinds(Path("results/made"))


@cache
def page(kind):
    return page_of(compared()[kind])


@cache
def html(kind):
    return html_of(page(kind))


KINDS = tuple(compared())


def data_of(html):
    """Return the JSON of a page, as a browser would find it."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])
