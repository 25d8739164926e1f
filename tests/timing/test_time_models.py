from __future__ import annotations

import dataclasses
import os
import threading

import pytest
import torch
from conftest import QUICK, InstantClock
from torch import nn

import zoo
from archbench import timing
from archbench.budget import size_model
from archbench.environment import capture
from archbench.errors import InputError
from archbench.schema import Budget, Recipe
from archbench.timed import random_images
from archbench.timing import Request, launch, steps, time_models
from archbench.timing.launch import Fresh, Here, cores_for
from archbench.timing.process import hold_to
from archbench.timing.protocol import Protocol
from archbench.timing.sessions import fits
from zoo import registry

SHAPE = (1, 8, 8)
RECIPE = Recipe(batch_size=6)


def asked(models, **changes):
    settings = {"recipe": RECIPE, "device": "cpu", "threads": 1, **changes}
    return Request(tuple(models), models[0].key, {SHAPE: random_images(SHAPE, 10)}, **settings)


def timed(models, on_problem=lambda problem: None, **changes):
    return time_models(asked(models, **changes), capture(), protocol=QUICK, on_problem=on_problem)


def sized(name, budget=None):
    return size_model(name, budget and Budget(budget), SHAPE, 10)


@pytest.fixture
def own(monkeypatch):
    """Return a function that registers a network for this test alone."""
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))

    def register(net, name):
        zoo.register_model(name)(net)
        return sized(name)

    return register


class Linear(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(64, num_classes)

    def forward(self, x):
        return self.layer(x.flatten(1))


def test_each_model_is_timed_in_both_modes_in_one_session():
    models = [sized(name, 5000) for name in ("mlp", "mobilenet")]
    threads = torch.get_num_threads()
    timings = timed(models)
    assert {(t.sized_key, t.mode) for t in timings} == {(m.key, mode) for m in models for mode in ("train", "infer")}
    assert len({t.session for t in timings}) == 1
    assert all(len(t.samples_us) == len(t.cpu_us) == QUICK.min_rounds for t in timings)
    assert all(t.samples_us == (1e6,) * QUICK.min_rounds for t in timings)  # as the clock says
    assert all((t.batch_size, t.threads, t.precision, t.optimizer) == (6, 1, "fp32", "adam") for t in timings)
    assert all(t.peaks is not None and t.conditions.others_cores == 0 for t in timings)
    assert all(t.conditions.untimed_s >= 3 * 4 for t in timings)  # three blocks of a second each, in the warm-up
    assert torch.get_num_threads() == threads
    assert all(fits(t, RECIPE, 1, capture()) for t in timings)
    assert not any(fits(t, Recipe(batch_size=7), 1, capture()) for t in timings)
    assert not any(fits(t, RECIPE, 2, capture()) for t in timings)
    twins = {t.sized_key for t in timings if t.twin_us}
    assert twins == {models[0].key}
    assert all(t.data_us == () for t in timings)


def test_modes_and_the_pipeline_are_chosen():
    timings = timed([sized("mlp", 5000)], modes=("train",), pipeline=True)
    assert [t.mode for t in timings] == ["train"]
    assert len(timings[0].data_us) == len(timings[0].samples_us)


def test_a_training_step_trains_and_an_inference_step_does_not(own):
    seen = []

    class Watched(Linear):
        def __init__(self, num_classes):
            super().__init__(num_classes)
            seen.append(self)

        def forward(self, x):
            self.modes = {*getattr(self, "modes", ()), (self.training, torch.is_inference_mode_enabled())}
            return super().forward(x)

    model = own(Watched, "watched")
    torch.manual_seed(0)
    fresh = zoo.create_model("watched").layer.bias.detach().clone()
    seen.clear()
    timed([model])
    trained, trained_twin, inferred, inferred_twin = seen
    settling = (False, False)  # one run in eval mode tells which memory order the net takes
    assert trained.modes == trained_twin.modes == {settling, (True, False)}
    assert inferred.modes == inferred_twin.modes == {settling, (False, True)}
    assert torch.equal(inferred.layer.bias, fresh)
    assert not torch.equal(trained.layer.bias, fresh)


def test_steps_run_with_the_threads_and_the_precision_that_are_recorded(own):
    seen = set()

    class Watched(Linear):
        def forward(self, x):
            logits = super().forward(x)
            seen.add((torch.get_num_threads(), logits.dtype))
            return logits

    model = own(Watched, "watched_threads")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        timings = timed([model], recipe=Recipe(batch_size=6, precision="bf16"))
    finally:
        torch.set_num_threads(before)
    # One run outside of autocast settles the memory order.
    assert seen >= {(1, torch.bfloat16)}
    assert {threads for threads, _ in seen} == {1}
    assert {t.threads for t in timings} == {1}


def test_a_model_that_fails_is_named_and_the_others_are_timed(own):
    class Broken(Linear):
        def forward(self, x):
            raise ValueError("no forward\nat all")

    problems = []
    broken, mlp = own(Broken, "broken_step"), sized("mlp", 5000)
    timings = timed([broken, mlp], problems.append)
    assert {t.sized_key for t in timings} == {mlp.key}
    assert set(problems) == {
        f"broken_step cannot be timed ({mode}, cpu): ValueError: no forward" for mode in ("train", "infer")
    }
    assert timed([broken], problems.append) == []


def test_more_threads_than_cores_are_refused():
    with pytest.raises(InputError, match="1,000 threads: this process may use"):
        timed([sized("mlp", 5000)], threads=1000)


def test_models_without_gradients_have_no_training_step(monkeypatch):
    taught = []
    original = steps.build_model

    def built(model):
        net = original(model)
        if hasattr(net, "fit"):
            fit = net.fit
            net.fit = lambda images, labels: (taught.append((model.model, len(images))), fit(images, labels))[1]
        return net

    monkeypatch.setattr(steps, "build_model", built)
    models = [sized(name) for name in ("knn", "linear_svm", "mlp")]
    timings = timed(models)
    modes = {model.model: {t.mode for t in timings if t.sized_key == model.key} for model in models}
    assert modes == {"knn": {"infer"}, "linear_svm": {"infer"}, "mlp": {"train", "infer"}}
    assert set(taught) == {("knn", 256)}  # all images; the speed of the other does not depend on what it learned


def test_the_default_is_fresh_processes_unless_a_model_exists_only_here(own, monkeypatch):
    chosen = []
    for name in ("Fresh", "Here"):
        monkeypatch.setattr(timing, name, lambda name=name: (chosen.append(name), Here(InstantClock()))[1])
    mlp = sized("mlp", 5000)
    time_models(asked([mlp]), capture(), protocol=QUICK)
    time_models(asked([mlp]), capture(), protocol=dataclasses.replace(QUICK, processes=0))
    local = own(Linear, "of_a_notebook")
    monkeypatch.setattr(Linear, "__module__", "__main__")
    time_models(asked([local]), capture(), protocol=QUICK)
    assert chosen == ["Fresh", "Here", "Here"]


def test_fresh_processes_are_held_to_their_cores_and_say_what_they_measured():
    """The one test that starts processes and lets real time pass: a few milliseconds of it are asked for."""
    protocol = Protocol(
        processes=2, max_seconds=30, ratio_goal=9, step_goal=9, min_rounds=6, turn_us=1, block_us=1, warmup_us=0
    )
    mine = Request((sized("mlp", 5000),), None, {SHAPE: random_images(SHAPE, 10)}, RECIPE, "cpu", 1, pipeline=True)
    timings = time_models(mine, capture(), protocol=protocol, launcher=Fresh())
    for one in timings:
        assert one.cores == cores_for(1)
        assert one.threads == 1
        assert one.processes == (0, 1) * 6
        assert all(us > 0 for us in (*one.samples_us, *one.cpu_us))
    assert len(timings[0].data_us) == 12


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system holds no process to cores")
def test_threads_that_were_there_before_are_held_too():
    before, done = os.sched_getaffinity(0), threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    core = max(before)
    try:
        assert hold_to((core,)) == (core,)
        assert os.sched_getaffinity(thread.native_id) == {core}
    finally:
        hold_to(tuple(before))
        done.set()
        thread.join()


def test_a_process_that_dies_says_its_last_words(own, tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(
        "import os, sys\nimport zoo\nfrom torch import nn\n"
        "class Deadly(nn.Module):\n"
        "    def __init__(self, num_classes):\n"
        "        super().__init__()\n        self.layer = nn.Linear(64, num_classes)\n"
        "    def forward(self, x):\n"
        "        if 'archbench.timing.process' in sys.modules and os.environ.get('DEADLY'):\n"
        "            print('farewell', file=sys.stderr, flush=True)\n            os._exit(3)\n"
        "        return self.layer(x.flatten(1))\n"
        "zoo.register_model('deadly')(Deadly)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    zoo.import_models("deadly")
    model = sized("deadly")
    monkeypatch.setenv("DEADLY", "1")
    mine = asked([model], plugins=("deadly",))
    with pytest.raises(Exception, match="ended with exit status 3: farewell"):
        time_models(mine, capture(), protocol=Protocol(processes=1), launcher=Fresh())


def test_what_is_printed_while_importing_and_files_beside_it_do_not_disturb(tmp_path, monkeypatch):
    for name in ("random.py", "pickle.py"):  # what we import first, and what it imports
        (tmp_path / name).write_text("raise RuntimeError('not the library')\n")
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("print('hello from the site')\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.chdir(tmp_path)
    protocol = Protocol(processes=1, max_seconds=0, turn_us=1, block_us=1)
    timings = time_models(asked([sized("mlp", 5000)]), capture(), protocol=protocol, launcher=Fresh())
    assert len(timings) == 2
    assert all(one.samples_us for one in timings)


def test_threads_are_spread_over_hardware_before_they_share_it(monkeypatch):
    pairs = {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(pairs))
    monkeypatch.setattr(launch, "_siblings", pairs.get)
    assert [cores_for(threads) for threads in (1, 2, 3, 4)] == [(3,), (1, 3), (1, 2, 3), (0, 1, 2, 3)]


def test_compiled_nets_of_one_class_are_each_compiled_for_their_own_shape():
    models = [sized(name) for name in ("linear", "mlp")] + [sized("mlp", budget) for budget in (3000, 5000)]
    made = steps.make_steps(asked(models, engines=("compiled",)))
    assert made.problems == []
    assert set(made.compile_s) == set(made.subjects)
    assert all(taken > 0 for taken in made.compile_s.values())


def test_cores_are_the_last_of_those_that_may_be_used():
    usable = sorted(os.sched_getaffinity(0))
    assert cores_for(1) == (usable[-1],)
    assert cores_for(len(usable)) == tuple(usable)


@pytest.mark.gpu
def test_models_are_timed_on_cuda_op_by_op_and_as_graphs():
    models = [sized("mlp", 5000), sized("cnn", 5000)]
    timings = time_models(
        asked(models, device="cuda", engines=("eager", "graph")), capture(),
        protocol=Protocol(processes=0, max_seconds=1), launcher=Here(),
    )  # fmt: skip
    assert {t.device for t in timings} == {"cuda"}
    assert {(t.mode, t.engine) for t in timings} == {(m, e) for m in ("train", "infer") for e in ("eager", "graph")}
    assert all(value > 0 for t in timings for value in t.samples_us)
    assert all(t.compile_s is not None for t in timings if t.engine == "graph")
