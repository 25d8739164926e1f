"""What the tests in a browser stand on: a page that is opened, and what is asked of it."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WHY = (
    "no Chromium is installed" if BROWSER is None else
    "playwright is not installed" if importlib.util.find_spec("playwright") is None else ""
)  # fmt: skip
in_browser = [pytest.mark.browser, pytest.mark.skipif(bool(WHY), reason=WHY)]


def cells(page, table, column):
    return page.locator(f"#{table} tbody tr:not([hidden]) td:nth-child({column})").all_text_contents()


def middle(page, place):
    page.locator("#plot").scroll_into_view_if_needed()
    box = page.locator(f".mean[data-place='{place}'] .mark").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
