"""What several test files stand on: small data, small studies, a store that a run filled."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

import zoo
from archbench import api, timing
from archbench.collection import collect_seldom
from archbench.data import Dataset
from archbench.execute import work
from archbench.manner import Manner
from archbench.pipeline import run
from archbench.schema import Peaks, Timing
from archbench.study import make_study
from archbench.timing import Protocol, launch
from archbench.timing.clock import Elapsed
from archbench.timing.noise import Look

# A shared machine pauses when it likes: no example is too slow. The same examples come each time, so that a change is
# not held up by what was there before it; the long form of the faults draws new ones.
settings.register_profile("archbench", deadline=None, derandomize="ARCHBENCH_FAULTS" not in os.environ)
settings.load_profile("archbench")

# A shell starts what it runs in the background with Ctrl-C ignored, and so would be all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
collect_seldom()  # as the command does
zoo.list_models()  # all are registered before a test looks at the registry
torch.set_num_threads(1)  # several test processes share the cores

QUICK = Protocol(min_rounds=8)
SHARED = Path(__file__).parents[2] / "shared"


def pytest_collection_modifyitems(items):
    no_gpu = pytest.mark.skip(reason="needs a CUDA device, and torch sees none")
    no_shared = pytest.mark.skip(reason=f"needs the real images in {SHARED / 'data'}, and they are not there")
    for item in items:
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(no_gpu)
        if "shared" in item.keywords and not (SHARED / "data").is_dir():
            item.add_marker(no_shared)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run every test in an empty folder, without the user's own settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHBENCH_DATA", raising=False)


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect():
    """What is timed or measured collects garbage first, which would look through all that the tests before imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_config_folder(tmp_path_factory):
    os.environ["MPLCONFIGDIR"] = str(tmp_path_factory.mktemp("matplotlib"))
    os.environ["MPLBACKEND"] = "agg"
    os.environ["ARCHBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))


def timing_of(samples=(), **changes):
    settings = {
        "sized_key": "a", "device": "cpu", "device_name": "x", "precision": "fp32", "mode": "train", "batch_size": 8,
        "threads": 1, "samples_us": tuple(samples), "steps_per_sample": 1, "session": "s", "optimizer": "adam",
        "torch": "2", "processes": tuple(place % 5 for place in range(len(samples))),
    }  # fmt: skip
    return Timing(**(settings | changes))


class InstantClock:
    """Every block takes a second, whatever it does: so a turn is one round, and no test waits for the clock."""

    least_steps = 1

    def elapsed(self, work):
        work()
        return Elapsed(1e6, 1e6)


class Quiet:
    """A machine on which nothing else runs."""

    def look(self):
        return Look(busy_s=0.0)


@pytest.fixture(scope="session", autouse=True)
def _instant_timing(tmp_path_factory):
    """Steps are timed in the test's own process, by a clock that does not run; the locks are the test's own."""
    os.environ["ARCHBENCH_ALLOCATOR"] = "system"  # what a test's own process has
    os.environ["ARCHBENCH_LOCKS"] = str(tmp_path_factory.mktemp("locks"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("Here", "Fresh"):
            patch.setattr(timing, name, lambda: launch.Here(InstantClock()))
        patch.setattr(timing, "MachineNoise", lambda device: Quiet())
        for module in (timing, api.timing):
            patch.setattr(module, "peaks_of", lambda *args, **more: Peaks(1e11, 1e10))
        yield


@pytest.fixture
def stripes() -> Dataset:
    """Two classes that any net can tell apart: bright left half, bright right half; 48 + 16 + 16 images of 1x8x8."""

    def part(samples, seed):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(samples) % 2
        images = torch.randint(0, 60, (samples, 1, 8, 8), generator=generator)
        for image, label in zip(images, labels, strict=True):
            image[:, :, :4] += 150 * (1 - label)
            image[:, :, 4:] += 150 * label
        return images.to(torch.uint8), labels

    parts = {"train": part(48, 0), "validation": part(16, 1), "test": part(16, 2)}
    images = {split: images for split, (images, _) in parts.items()}
    labels = {split: labels for split, (_, labels) in parts.items()}
    return Dataset("stripes", images, labels, ("left", "right"), "made in the test")


def small_study(models=("mlp",), budgets=("3k", "10k"), **settings):
    return make_study(list(models), list(budgets), **{"epochs": 2, "seeds": 2, **settings})


@pytest.fixture
def trained(monkeypatch):
    """Return the cells that are trained in this process, as they are."""
    cells = []
    original = work.train_job
    monkeypatch.setattr(work, "train_job", lambda job, *rest: (cells.append(job.cell), original(job, *rest))[1])
    return cells


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """Return the comparison of two families at two budgets with two seeds on digits, and where it is stored."""
    folder = tmp_path_factory.mktemp("filled")
    return run(small_study(["mlp", "mobilenet"], ["5k", "20k"], epochs=1), folder, manner=Manner(0), protocol=QUICK)


@pytest.fixture(scope="module")
def chromium():
    from browsing import BROWSER
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, which containers run as, Chromium has no sandbox.
        words = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=BROWSER, args=words)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """Return what opens a report; at the end it had written nothing to the console and asked for nothing."""
    from made import html

    contexts, said = [], []

    def open_(kind="usual", width=1280, height=900, **settings):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, offline=True, reduced_motion="reduce", **settings
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith(("file:", "data:")) else 0)
        file = tmp_path / "report.html"
        file.write_text(html(kind), encoding="utf-8")
        page.goto(file.as_uri())
        if settings.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture(scope="module")
def maps_of_any_size():
    """Maps of a test are small: let loops of our own go over them all the same."""
    from archbench.quick import maps

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "LEAST_VALUES", 0)
        yield
