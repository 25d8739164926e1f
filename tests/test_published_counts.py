"""All of torchvision's classifiers: our parameters and MACs are those that it publishes with its weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from archbench.cost.published import PublishedCount, published_counts
from archbench.model_words import published_words

TABLE = Path(__file__).parents[1] / "docs" / "torchvision-counts.md"


@pytest.fixture(scope="module")
def rows():
    return published_counts()


def test_all_weight_entries_agree_to_the_printed_digits(rows):
    assert len(rows) >= 115
    assert [row for row in rows if not row.agrees] == []


def test_the_table_in_the_docs_is_what_is_counted(rows):
    text = TABLE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == 1 + len(rows)
    words = published_words(rows)
    for line, expected in zip(lines[1:], words.itertuples(index=False), strict=True):
        assert [cell.strip() for cell in line.strip("|").split("|")] == list(expected)


def test_what_differs_is_told():
    row = PublishedCount("net", "V1", 224, 1000, 0.001, 1000, 1_400_000)
    assert row.agrees
    assert not PublishedCount("net", "V1", 224, 1000, 0.001, 1001, 1_400_000).agrees
    assert not PublishedCount("net", "V1", 224, 1000, 0.001, 1000, 1_600_000).agrees
