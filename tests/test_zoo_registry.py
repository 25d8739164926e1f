from __future__ import annotations

import importlib.metadata
import sys
import textwrap
import types

import pytest
import torch
from torch import nn

import zoo
from zoo import registry


@pytest.fixture
def own_registry(monkeypatch):
    """Let a test register what it likes."""
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    monkeypatch.setattr(registry, "_BROKEN_PLUGINS", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def shallow(*, num_classes, in_chans, input_size, width=4):
    """One hidden layer."""
    features = in_chans * input_size[0] * input_size[1]
    return nn.Sequential(nn.Flatten(), nn.Linear(features, width), nn.Linear(width, num_classes))


def test_a_builder_with_a_width_scales_by_it(own_registry):
    zoo.register_model(shallow)
    spec = zoo.model_spec("shallow")
    assert (spec.scalable, spec.width, spec.summary, spec.family) == (True, 4, "One hidden layer.", "shallow")
    net = zoo.create_model("shallow", num_classes=3, in_chans=1, input_size=2, width=7)
    assert net(torch.zeros(1, 1, 2, 2)).shape == (1, 3)
    assert net[1].out_features == 7


def test_a_builder_without_a_width_is_fixed(own_registry):
    @zoo.register_model("fixed", source="the test")
    def _(*, num_classes, **_):
        return nn.Sequential(nn.Flatten(), nn.Linear(4, num_classes))

    assert not zoo.model_spec("fixed").scalable
    assert zoo.model_spec("fixed").source == "the test"
    with pytest.raises(TypeError, match="takes no width"):
        zoo.create_model("fixed", width=3)


def test_a_name_is_given_once(own_registry):
    def cnn(**_):
        return nn.Identity()

    with pytest.raises(zoo.DuplicateModelError, match="two models are named 'cnn'"):
        zoo.register_model(cnn)
    assert zoo.model_spec("cnn").build.__module__ == "zoo.cnn"


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(zoo.UnknownModelError) as caught:
        zoo.model_spec("MobilNet")
    assert caught.value.near[0] == "mobilenet"


def test_patterns_select():
    assert zoo.list_models("resnet18*") == ["resnet18", "resnet18_mod"]
    assert zoo.list_models("nothing*") == []


def write(folder, name, text):
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


NET = """
    from torch import nn
    from zoo import register_model

    def net(num_classes, width=3):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, num_classes))

    LIMIT = 3
    BUILT = nn.Linear(2, 2)
"""


@pytest.mark.parametrize("how", ["module", "path"])
def test_a_module_of_the_current_folder_is_imported(own_registry, tmp_path, how):
    path = write(tmp_path, "mine_a.py", NET + "\n    register_model('mine_net')(net)\n")
    zoo.import_models("mine_a" if how == "module" else str(path))
    assert "mine_net" in zoo.list_models()


@pytest.mark.parametrize("how", ["mine_b:net", "mine_b.py:net"])
def test_an_attribute_of_a_module_is_a_model(own_registry, tmp_path, how):
    write(tmp_path, "mine_b.py", NET)
    net = zoo.create_model(how, num_classes=2, in_chans=1, input_size=8, width=5)
    assert net(torch.zeros(1, 1, 8, 8)).shape == (1, 2)
    assert zoo.model_spec(how).width == 3


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone:net", None, "importing gone failed"),
        ("mine_c:other", NET, "has no attribute 'other'"),
        ("mine_c:LIMIT", NET, "is a int, not a function or class"),
        ("mine_c:BUILT", NET, "is a Linear, not a function or class"),
        ("mine_c:net", "raise RuntimeError('broken inside')", "RuntimeError: broken inside"),
        ("mine_c:net", "raise SystemExit(3)", "SystemExit: 3"),
        ("mine_c:net", "def (", "SyntaxError"),
    ],
)
def test_what_cannot_be_imported_says_why(own_registry, tmp_path, name, text, message):
    if text is not None:
        write(tmp_path, "mine_c.py", text)
    with pytest.raises(zoo.ModelImportError, match=message):
        zoo.model_spec(name)


class FakeEntryPoint:
    def __init__(self, name, load):
        self.name, self.load = name, load


def broken():
    raise ImportError("no module named missing")


def leaving():
    raise SystemExit(1)


def test_a_broken_plugin_is_named_and_does_not_stop_the_rest(own_registry, monkeypatch):
    entries = [FakeEntryPoint("bad", broken), FakeEntryPoint("exits", leaving), FakeEntryPoint("good", lambda: shallow)]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: entries if group == "archbench.models" else []
    )
    monkeypatch.setattr(registry, "_plugins_loaded", False)
    problems = zoo.load_plugins()
    assert set(problems) == {"bad", "exits"}
    assert "no module named missing" in str(problems["bad"])
    assert "good" in zoo.list_models()


def source_sha256(name):
    spec = zoo.model_spec(name)
    return spec.source_sha256(zoo.create_model(name, num_classes=2, in_chans=1, input_size=8))


def test_the_source_hash_follows_the_files(own_registry, tmp_path):
    def sha256(text, helper="class Body(nn.Linear):\n    pass\n"):
        write(tmp_path, "mine_h.py", "from torch import nn\n" + helper)
        write(tmp_path, "mine_d.py", text)
        for module in ("mine_d", "mine_h"):
            sys.modules.pop(module, None)
        importlib.invalidate_caches()
        return source_sha256("mine_d:net")

    body = NET.replace("nn.Linear(width, num_classes))", "mine_h.Body(width, num_classes))").replace(
        "from torch import nn", "import mine_h; from torch import nn"
    )
    assert sha256(NET) == sha256(NET)
    assert sha256(NET) != sha256(NET.replace("LIMIT = 3", "LIMIT = 4"))
    assert sha256(body) == sha256(body)
    assert sha256(body) != sha256(body, "class Body(nn.Linear):\n    scale = 2\n")  # a class from another module
    assert source_sha256("cnn") != source_sha256("mlp")


def test_the_source_hash_follows_what_was_defined_at_a_prompt(own_registry):
    def sha256(code):
        module = types.ModuleType("prompt_made")  # like __main__ of a notebook: a module without a file
        sys.modules["prompt_made"] = module
        exec("from torch import nn\n" + textwrap.dedent(code), vars(module))
        zoo.register_model("prompted")(module.Net)
        return source_sha256("prompted")

    code = """
        class Net(nn.Module):
            def __init__(self, num_classes):
                super().__init__()
                self.layer = nn.Linear(64, num_classes)
            def forward(self, x):
                return self.layer(x.flatten(1)) * 1.0
    """
    assert sha256(code) == sha256(code)
    assert sha256(code) != sha256(code.replace("* 1.0", "* 2.0"))
    assert sha256(code) != sha256(code.replace("nn.Linear(64, num_classes)", "nn.Linear(64, num_classes, bias=False)"))


def test_a_file_whose_name_is_taken_is_refused(own_registry, tmp_path):
    (tmp_path / "json.py").write_text("")
    with pytest.raises(zoo.ModelImportError, match="another module is named json"):
        zoo.import_models(str(tmp_path / "json.py"))


def test_skeletons_have_shapes_and_no_memory():
    with zoo.skeletons():
        net = zoo.create_model("resnet18", width=4096, num_classes=1000)
    assert all(parameter.is_meta for parameter in net.parameters())
    assert net.classifier.weight.shape == (1000, 8 * 4096)
    assert not zoo.create_model("mlp").classifier.weight.is_meta
    assert zoo.create_model("mlp").classifier.weight.abs().sum() > 0
