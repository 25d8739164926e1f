"""The figure of a report in a real browser: its axes, its tips, and what is opened from it."""

from __future__ import annotations

import math
import re

import matplotlib as mpl
import pytest
from browsing import WHY, in_browser, middle
from made import compared
from matplotlib.colors import to_rgb

from archbench.reporting.columns import axes_of

if not WHY:
    from playwright.sync_api import expect
pytestmark = in_browser


def test_axes_are_switched_and_the_figure_follows(opened):
    page = opened()
    costs, scores = axes_of(compared()["usual"].frame())
    assert page.locator("#x option").all_text_contents() == [axis.label for axis in costs]
    assert page.locator("#y option").all_text_contents() == [axis.label for axis in scores]
    before = page.locator(".mean").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert any(label.startswith("cnn@1k: Parameters 1,000, test accuracy 91 % [") for label in before)
    page.select_option("#x", "train_step_us_cpu")
    page.select_option("#y", "test_loss")
    expect(page.locator("#said")).to_have_text(re.compile("^train on CPU, µs/step against test loss"))
    labels = page.locator(".mean").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert any(re.match(r"net@1k: train on CPU, µs/step 150 \[", label) for label in labels)
    assert page.is_checked("#logx")
    places = "all => all.map(one => one.querySelector('.mark').getAttribute('transform'))"
    logarithmic = page.locator(".mean").evaluate_all(places)
    page.uncheck("#logx")
    assert page.locator(".mean").evaluate_all(places) != logarithmic
    assert page.locator(".seed").count() == 7  # the runs that are done
    page.uncheck("#seeds")
    assert page.locator(".seed").count() == 0


def test_lines_have_the_colours_of_the_figures_that_stand_still(opened):
    page = opened("evil")
    fills = page.locator(".mean .mark").evaluate_all("all => all.map(one => getComputedStyle(one).fill)")
    colors = [tuple(round(255 * part) for part in to_rgb(color)) for color in mpl.color_sequences["petroff10"]]
    assert {tuple(map(int, re.findall(r"\d+", fill))) for fill in fills} == set(colors[:3])


def test_what_is_switched_off_in_the_legend_is_not_drawn(opened):
    page = opened()
    page.click("#legend button:has-text('net')")
    assert page.locator("#legend button:has-text('net')").get_attribute("aria-pressed") == "false"
    assert not any(
        "net@" in label
        for label in page.locator(".mean").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    )


def test_a_tip_shows_every_figure_of_what_is_under_the_pointer(opened):
    page = opened()
    page.mouse.move(*middle(page, 0))
    tip = page.locator("#tip")
    tip.wait_for(state="visible")
    said = dict(zip(tip.locator("dt").all_text_contents(), tip.locator("dd").all_text_contents(), strict=True))
    assert said["parameters"] == "1,000"
    assert said["test accuracy"].startswith("91 % [")
    assert {"MACs", "train on CPU, µs/step", "infer on CPU, µs/step", "test loss", "MACs by fvcore"} <= set(said)
    page.mouse.move(2, 2)
    tip.wait_for(state="hidden")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (375, 667)])
def test_a_tip_lies_in_the_window_beside_its_point_and_is_whole(opened, width, height):
    page = opened(width=width, height=height)
    for place in range(page.locator(".mean").count()):
        x, y = middle(page, place)
        page.mouse.move(x, y)
        tip = page.locator("#tip")
        tip.wait_for(state="visible")
        box = tip.bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert 0 <= box["y"] <= box["y"] + box["height"] <= height
        away = [max(box[at] - p, p - box[at] - box[size], 0) for at, size, p in (("x", "width", x), ("y", "height", y))]
        assert math.hypot(*away) <= 40
        assert tip.evaluate("tip => tip.scrollHeight <= tip.clientHeight")
        page.mouse.move(2, 2)
        tip.wait_for(state="hidden")


def labels(page):
    return page.locator(".mean").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")


def test_a_published_point_is_hollow_and_its_tip_names_its_source(opened):
    page = opened("reproduced")
    hollow = page.locator(".hollow")
    assert hollow.count() == 1
    assert hollow.evaluate("one => getComputedStyle(one).fill") == "none"
    filled = page.locator(".mean[aria-label^='cnn@1k:'] .mark")
    assert hollow.get_attribute("d") == filled.get_attribute("d")
    page.locator("#plot").scroll_into_view_if_needed()
    box = hollow.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = page.locator("#tip")
    expect(tip.locator("strong")).to_have_text("cnn@1k, published")
    assert tip.locator("dd").all_text_contents() == ["1,000", "97 %"]
    source = "Source: A. Author, table 3, where more was trained than at the scale quick"
    assert tip.locator("p").all_text_contents() == [source]
    expect(page.locator("#said")).to_have_text(re.compile(r"hollow: published \(A. Author, table 3\), where more"))
    (told,) = [label for label in labels(page) if "published" in label]
    assert told.startswith("cnn@1k: ")
    assert told.endswith(", published 97 % (A. Author, table 3)")
    page.select_option("#x", "macs")
    assert hollow.count() == 1
    page.select_option("#x", "train_step_us_cpu")  # of another machine
    assert hollow.count() == 0
    page.select_option("#x", "params")
    page.select_option("#y", "test_loss")
    assert hollow.count() == 0
    assert not any("published" in label for label in labels(page))
    page.select_option("#y", "test_accuracy")
    page.click("#legend button:has-text('cnn')")
    assert hollow.count() == 0


def test_the_front_and_the_crossing_are_those_of_what_is_shown(opened):
    page = opened("reproduced")
    assert page.locator(".front").get_attribute("d").count("H") == 1  # from net@1k to cnn@5k
    expect(page.locator("#said")).to_have_text(re.compile(r"dotted: cnn overtakes net at [\d,.]+ \[[\d,.]+, [\d,.]+\]"))
    line, band = (page.locator(f".crossing {shape}").bounding_box() for shape in ("line", "rect"))
    assert band["x"] <= line["x"] <= band["x"] + band["width"]
    page.click("#legend button:has-text('net')")
    assert page.locator(".crossing").count() == 0
    page.click("#legend button:has-text('net')")
    assert page.locator(".crossing").count() == 1
    page.select_option("#y", "test_loss")
    assert page.locator(".crossing, .front").count() == 0


def test_a_click_opens_the_models_curves_layers_and_figures_and_escape_goes_back(opened):
    page = opened()
    page.mouse.click(*middle(page, 0))
    detail = page.locator("#detail")
    detail.wait_for(state="visible")
    assert detail.locator("h3").text_content() == "cnn@1k"
    assert page.evaluate("document.activeElement.id") == "detail-title"
    assert detail.locator("svg.curve").count() == 2
    assert detail.get_by_role("heading", name="Layers").count() == 1
    head = detail.locator("table").last.locator("th").all_text_contents()
    assert head == ["figure", "all", "seed 0", "seed 1", "seed 2"]
    page.keyboard.press("Escape")
    detail.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.classList.contains('mean')")


def test_all_of_it_is_reached_by_keyboard(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('mean')"):
            break
    label = "document.activeElement.getAttribute('aria-label')"
    first = page.evaluate(label)
    page.keyboard.press("End")
    last = page.evaluate(label)
    assert last != first
    assert page.locator("#tip").is_visible()
    page.keyboard.press("Home")
    assert page.evaluate(label) == first
    page.keyboard.press("ArrowDown")
    assert page.evaluate(label).split("@")[0] != first.split("@")[0]
    page.keyboard.press("Enter")
    page.locator("#detail").wait_for(state="visible")
    page.keyboard.press("Escape")
    assert page.evaluate("document.querySelectorAll('.mean[tabindex=\"0\"]').length") == 1


def opened_model(page):
    page.locator("#detail").wait_for(state="visible")
    return page.locator("#detail h3").text_content()


def test_after_a_click_keys_act_on_what_was_clicked(opened):
    page = opened()
    last = page.locator(".mean").count() - 1
    name = page.locator(".mean").nth(last).get_attribute("aria-label").partition(":")[0]
    page.mouse.click(*middle(page, last))
    assert opened_model(page) == name
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.tabIndex") == 0
    assert page.locator(".mean[tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    assert opened_model(page) == name


def test_a_screen_readers_click_opens_the_point_that_it_is_on(opened):
    """It comes from no place in the window."""
    page = opened()
    for place in range(page.locator(".mean").count()):
        mean = page.locator(".mean").nth(place)
        mean.dispatch_event("click", {"clientX": 0, "clientY": 0})
        assert opened_model(page) == mean.get_attribute("aria-label").partition(":")[0]


def test_where_all_are_hidden_it_says_so(opened):
    page = opened()
    for entry in page.locator("#legend button").all():
        entry.click()
    assert page.locator("#plot").text_content().startswith("All are hidden")
    assert page.locator("#said").text_content().startswith("All are hidden")
    page.locator("#legend button").first.click()
    assert page.locator(".mean").count() == 1
