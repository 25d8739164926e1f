from __future__ import annotations

import json
import string
import tomllib
from pathlib import Path
from types import UnionType
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archbench import study_file, study_schema
from archbench.errors import InputError
from archbench.study_file import folder_of, json_schema, line_of, read_study, study_of, tables_of

HEAD = """title = "A study"
models = ["cnn", "mlp"]
budgets = ["3k"]
"""  # lines 1 to 3


def read(text, head=HEAD):
    Path("study.toml").write_text(head + text, encoding="utf-8")
    return read_study(Path("study.toml"))


def refused(text, head=HEAD):
    with pytest.raises(InputError) as caught:
        read(text, head)
    return str(caught.value), caught.value.remedy


# What a file comes to.


def test_the_smallest_file_is_a_study_with_the_defaults_of_compare():
    study = study_of(read(""), name="mine")
    assert (study.models, study.budgets, study.seeds) == (("cnn", "mlp"), (3000,), (0, 1, 2))
    assert (study.dataset, study.cases, study.name, study.scale) == ("digits", (), "mine", "full")


def test_settings_are_those_of_recipe_and_view():
    study = study_of(
        read("""
[settings]
epochs = 2
lr = 1
augment = ["flip", "crop:2"]
split = [100, 20, 30]
preprocess = "gray+resize:12"
only = "3,5"
""")
    )
    assert (study.recipe.epochs, study.recipe.lr, study.recipe.augment) == (2, 1.0, ("flip", "crop:2"))
    assert (study.view.split, study.view.preprocess) == ((100, 20, 30), ("gray", "resize:12x12"))
    assert study.view.only == ("3", "5")


def test_a_scale_sets_what_it_names_and_leaves_the_rest():
    file = read("""
seeds = 5
[settings]
epochs = 20
lr = 0.5
[scales.quick]
about = "minutes"
epochs = 1
seeds = 1
models = ["mlp"]
budgets = [5000]
dataset = "mnist"
""")
    full, quick = study_of(file), study_of(file, "quick")
    assert (full.recipe.epochs, full.recipe.lr, len(full.seeds)) == (20, 0.5, 5)
    assert (quick.recipe.epochs, quick.recipe.lr, len(quick.seeds)) == (1, 0.5, 1)
    assert (quick.models, quick.budgets, quick.dataset, quick.scale) == (("mlp",), (5000,), "mnist", "quick")
    assert (full.models, full.dataset) == (("cnn", "mlp"), "digits")


def test_a_scale_may_have_cases_and_factors_of_its_own():
    file = read("""
factors = { lr = [0.1, 0.2] }
[scales.quick]
factors = { batch_size = [8] }
[[scales.quick.cases]]
name = "one"
""")
    assert [case.name for case in study_of(file).settings] == ["lr=0.1", "lr=0.2"]
    assert [case.name for case in study_of(file, "quick").settings] == ["one, batch_size=8"]


def test_there_is_no_scale_but_full_where_none_is_written():
    assert study_of(read(""), "full").scale == "full"
    for scale in ("quick", "huge", "__class__"):
        with pytest.raises(InputError, match=f"no scale '{scale}'") as caught:
            study_of(read(""), scale)
        assert caught.value.remedy == "It has full."


def test_the_machine_says_where_and_nothing_said_is_the_files():
    file = read("seeds = 2\n")
    study = study_of(file, data_root="/data", device="cpu", threads=1, seeds=None, dataset="npz:x.npz", download=True)
    assert (study.data_root, study.dataset, study.download, len(study.seeds)) == ("/data", "npz:x.npz", True, 2)


def test_results_of_the_quick_scale_have_a_folder_of_their_own():
    file = read("[scales.quick]\nepochs = 1\n")
    assert folder_of(study_of(file, "full", name="mine")) == Path("results/mine")
    assert folder_of(study_of(file, "quick", name="mine")) == Path("results/mine-quick")


def test_a_scale_sets_parts_of_search_and_pretraining():
    file = read("""
[tune]
trials = 50
models = ["mlp"]
epochs = 9
[pretrain]
model = "torchvision:resnet18"
epochs = 9
[scales.quick.tune]
trials = 4
[scales.quick.pretrain]
epochs = 1
""")
    tune, pretrain = tables_of(file, "quick")
    assert (tune.trials, tune.models, tune.epochs) == (4, ["mlp"], 9)
    assert (pretrain.model, pretrain.epochs) == ("torchvision:resnet18", 1)
    assert tables_of(file, "full") == (file.tune, file.pretrain)
    assert tables_of(read(""), "full") == (None, None)
    alone = read("[scales.quick.tune]\ntrials = 4\n")
    assert tables_of(alone, "quick")[0].trials == 4
    assert tables_of(alone, "full")[0] is None


# What is refused, where.


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        # what the schema does not know
        ("modles = 3\n", "line 4, modles", "there is no key 'modles'"),
        ("\n# a comment\n[settings]\n\nlearning = 1\n", "line 8, settings.learning", "no key 'learning'"),
        ("[[cases]]\n[[cases]]\nname = 'b'\nlearning = 1\n", "line 7, cases[1].learning", "no key 'learning'"),
        ("[scales.slow]\n", "line 4, scales.slow", "no key 'slow'"),
        ("[scales.quick]\nbaseline = 'cnn'\n", "line 5, scales.quick.baseline", "no key 'baseline'"),
        # types
        ('seeds = "3"\n', "line 4, seeds", "Expected `int | array`, got `str`"),
        ("keep_weights = 1\n", "line 4, keep_weights", "Expected `bool`"),
        ("[settings]\nepochs = 1.5\n", "line 5, settings.epochs", "Expected `int`"),
        ("[settings]\nlr = '0.1'\n", "line 5, settings.lr", "Expected `float`"),
        ("cases = [\n  {},\n  # one more\n  { epochs = 'x' },\n]\n", "line 7, cases[1].epochs", "Expected `int`"),
        ("[factors]\nepochs = [1]\nlr = 0.1\n", "line 6, factors.lr", "Expected `array`"),
        ("[tune.search]\nlr = '1:2'\nl2 = 3\n", "line 6, tune.search.l2", "Expected `str | array`"),
        # settings
        ("[settings]\nepochs = 3\nlr = -1.0\n", "line 6, settings.lr", "-1.0 is not accepted"),
        ("settings = { epochs = 3, lr = -1.0 }\n", "line 4, settings.lr", "-1.0 is not accepted"),
        ("settings.lr = inf\n", "line 4, settings.lr", "inf is not accepted"),
        ("[settings]\npreprocess = 'grey'\n", "line 5, settings.preprocess", "unknown pre-processing step"),
        ("[settings]\nsplit = [1, 2]\n", "line 5, settings.split", "no split"),
        ("[settings]\ninput = '3x3'\n", "line 5, settings.input", "input shape"),
        ("[settings]\nexclude = 'all'\n", "line 5, settings.exclude", "'all'"),
        ("[settings]\naugment = ['flop']\n", "line 5, settings.augment", "'flop'"),
        # cases, scales, search and pretraining
        ("[[cases]]\n[[cases]]\nname = 'b'\nlr = 0.0\n", "line 7, cases[1].lr", "0.0 is not accepted"),
        ("[scales.full]\n[scales.quick]\nepochs = 0\n", "line 6, scales.quick.epochs", "0 is not accepted"),
        ("[[scales.quick.cases]]\nmomentum = 2.0\n", "line 5, scales.quick.cases[0].momentum", "2.0 is not"),
        ("[scales.full]\nseeds = [1, 1]\n", "line 5, scales.full.seeds", "no seeds"),
        ("[scales.quick.tune]\nlr = 0.0\n", "line 5, scales.quick.tune.lr", "0.0 is not accepted"),
        ("[tune]\nmodels = ['mpl']\n", "line 5, tune.models[0]", "unknown model 'mpl'"),
        ("[tune]\n[tune.search]\nlr = '1:0'\n", "line 6, tune.search.lr", "no range"),
        ("[tune]\n[tune.search]\nlr = '-1:0.1'\n", "line 6, tune.search.lr", "-1 is not accepted"),
        ("[tune]\n[tune.search]\noptimizer = ['adm']\n", "line 6, tune.search.optimizer", "'adm' is no optimizer"),
        ("[tune]\n[tune.search]\nlr = []\n", "line 6, tune.search.lr", "no value to try"),
        ("[tune]\ntrials = 0\n", "line 5, tune.trials", "0 is not accepted"),
        ("[[cases]]\nmodels = []\n", "line 5, cases[0].models", "no model is named"),
        ("[[cases]]\nmodels = ['cnn', 'cnn']\n", "line 5, cases[0].models[1]", "named twice"),
        ("[factors]\nname = ['a', 'b']\n", "line 5, factors.name", "no setting"),
        ("[pretrain]\nepochs = 0\n", "line 5, pretrain.epochs", "0 is not accepted"),
        # factors
        ("[factors]\nlearning = [1]\n", "line 5, factors.learning", "'learning' is no setting"),
        ("[factors]\nlr = []\n", "line 5, factors.lr", "no list of values"),
        ("[factors]\nlr = [\n  0.1,\n  -1.0,\n]\n", "line 7, factors.lr[1]", "-1.0 is not accepted"),
        ("[factors]\nsplit = [\n [1, 2, 3],\n [4, 5]\n]\n", "line 7, factors.split[1]", "no split"),
        ("[factors]\nsplit = [5]\n", "line 5, factors.split[0]", "got `int`"),
        ("[factors]\nmodels = [['cnn'], ['mpl']]\n", "line 5, factors.models[1][0]", "unknown model"),
        ("[scales.quick.factors]\nepochs = [0]\n", "line 5, scales.quick.factors.epochs[0]", "0 is not accepted"),
        # data and seeds
        ("dataset = 'mnits'\n", "line 4, dataset", "unknown data set"),
        ("[[cases]]\ndataset = 'mnits'\n", "line 5, cases[0].dataset", "unknown data set"),
        ("seeds = []\n", "line 4, seeds", "no seeds"),
        ("baseline = 'resnet18'\n", "line 4, baseline", "not among the compared"),
        # the study as a whole
        ("[[cases]]\nname = 'a'\n[[cases]]\nname = 'a'\n", "line 6, cases[1]", "two cases are named 'a'"),
        ("[scales.quick]\nfactors = { lr = [1.0, 1.0] }\n", "line 5, scales.quick.factors.lr[1]", "lr takes 1.0 twice"),
    ],
)
def test_what_is_refused_is_named_by_line_and_key(text, where, what):
    message, _ = refused(text)
    assert message.startswith(f"study.toml, {where}: ")
    assert what in message


@pytest.mark.parametrize(
    ("head", "where", "what"),
    [
        ("title = 't'\nmodels = [\n  'cnn',\n  'mpl',\n]\n", "line 4, models[1]", "unknown model 'mpl'"),
        ("title = 't'\nmodels = ['cnn', 'mlp[']\n", "line 2, models[1]", "does not end in ']'"),
        ("title = 't'\nmodels = ['cnn[depth=3]']\n", "line 2, models[0]", "takes no option 'depth'"),
        ("title = 't'\nmodels = ['cnn@3kk']\n", "line 2, models[0]", "'3kk' is not a budget"),
        ("title = 't'\nmodels = ['mnist_fc@3k']\n", "line 2, models[0]", "has one size"),
        ("title = 't'\nmodels = ['cnn']\nbudgets = ['3k', 3000]\n", "line 3, budgets", "is given twice"),
        ("models = ['cnn']\n", "line 1, the file", "missing required field `title`"),
        ("title = 2020-01-01\n", "line 1, title", "Expected `str`, got `date`"),
    ],
)
def test_models_and_budgets_too(head, where, what):
    message, remedy = refused("", head)
    assert message.startswith(f"study.toml, {where}: ")
    assert what in message
    assert remedy


FIGURE = "[[published]]\nvalues = { test_accuracy = 0.9 }\nsource = 'x'\n"  # lines 4 to 6
SMALLEST = "[[claims]]\ntext = 'x'\nkind = 'smallest'\nexpected = 'cnn'\n"  # lines 4 to 7
CLAIM = "[[claims]]\ntext = 'x'\nkind = 'value'\nabove = 0.5\n"  # lines 4 to 7


OF_CNN = CLAIM + "of = { model = 'cnn' }\n"  # lines 4 to 8


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (FIGURE + "model = 'cn'\n", "line 7, published[0].model", "cn is not compared"),
        (FIGURE + "model = 'cnn['\n", "line 7, published[0].model", "does not end"),
        (FIGURE + "model = 'cnn'\ncase = 'x'\n", "line 8, published[0].case", "no case is named 'x'"),
        (FIGURE + "model = 'cnn'\nbudget = 5000\n", "line 7, published[0].model", "cnn@5k is not compared"),
        (FIGURE, "line 4, published[0].model", "one run is meant, and there are cnn@3k, mlp@3k"),
        ("[[published]]\nmodel = 'cnn'\n", "line 4, published[0]", "missing required field `values`"),
        ("[[published]]\nsource = 's'\nvalues = { a = 'x' }\n", "line 6, published[0].values.a", "Expected `float`"),
        ("[[published]]\nsource = 's'\n[published.values]\na = 1\nb = true\n", "line 8, published[0].values.b", "bool"),
        (CLAIM + "of = { model = 'x' }\n", "line 8, claims[0].of.model", "x is not compared"),
        (CLAIM + "[claims.of]\nmodel = 'cnn'\ncase = 'x'\n", "line 10, claims[0].of.case", "no case is named"),
        (CLAIM, "line 4, claims[0].of", "needs of"),
        (CLAIM.replace("value", "valu"), "line 6, claims[0].kind", "Invalid enum value 'valu'"),
        (CLAIM.replace("value", "ratio") + "of = { model = 'cnn' }\n", "line 4, claims[0].against", "needs against"),
        (CLAIM.replace("above = 0.5", "of.model = 'cnn'"), "line 4, claims[0]", "needs a bound"),
        (CLAIM.replace("value", "crossover") + "rival = ['cnn']\n", "line 4, claims[0].family", "needs family"),
        (
            CLAIM.replace("value", "crossover") + "family = ['cnn']\nrival = [\n  'mlp',\n  'x',\n]\n",
            "line 11, claims[0].rival[1]",
            "x is not compared",
        ),
        (SMALLEST.replace("expected = 'cnn'\n", ""), "line 4, claims[0].expected", "needs expected"),
        # metrics, epochs and bounds
        (OF_CNN + "metric = 'test_acuracy'\n", "line 9, claims[0].metric", "no metric 'test_acuracy'"),
        (OF_CNN + "metric = 'status'\n", "line 9, claims[0].metric", "no metric 'status'"),
        (OF_CNN.replace("'cnn'", "'cnn', epoch = 2"), "line 4, claims[0].metric", "test_accuracy of epoch 2"),
        (OF_CNN.replace("0.5", "50"), "line 7, claims[0].above", "50 is not accepted"),
        (OF_CNN.replace("0.5", "nan"), "line 7, claims[0].above", "nan is not accepted"),
        (OF_CNN + "below = 0.4\n", "line 7, claims[0].above", "nothing is above 0.5 and below 0.4"),
        (OF_CNN + "against = { model = 'mlp' }\n", "line 9, claims[0].against", "has no use for against"),
        (
            OF_CNN.replace("value", "difference") + "against = { model = 'cnn' }\n",
            "line 9, claims[0].against",
            "compared with itself",
        ),
        (
            OF_CNN.replace("value", "difference") + "against = { model = 'mlp' }\nmetric = 'train_us'\n",
            "line 6, claims[0].kind",
            "compared as a ratio",
        ),
        (FIGURE.replace("0.9", "98.2") + "model = 'cnn'\n", "line 5, published[0].values.test_accuracy", "98.2"),
        (FIGURE.replace("0.9", "nan") + "model = 'cnn'\n", "line 5, published[0].values.test_accuracy", "nan"),
        (
            FIGURE.replace("test_accuracy = 0.9", "params = -3") + "model = 'cnn'\n",
            "line 5, published[0].values.params",
            "-3",
        ),
        (FIGURE.replace(" test_accuracy = 0.9 ", "") + "model = 'cnn'\n", "line 5, published[0].values", "no figure"),
        (FIGURE + "model = 'cnn'\nepoch = 9\n", "line 5, published[0].values.test_accuracy", "of epoch 9"),
        (SMALLEST, "line 4, claims[0]", "needs a bound"),
        (SMALLEST + "above = 0.5\n", "line 8, claims[0].above", "has no use for above"),
        (SMALLEST + "least_accuracy = 80\n", "line 8, claims[0].least_accuracy", "80 is not accepted"),
        (
            SMALLEST.replace("cnn", "x") + "most_params = 9\n",
            "line 7, claims[0].expected",
            "x is not compared",
        ),
    ],
)
def test_figures_and_claims_name_what_is_compared(text, where, what):
    message, remedy = refused(text)
    assert message.startswith(f"study.toml, {where}: ")
    assert what in message
    assert remedy


def test_places_may_leave_out_what_there_is_one_of():
    cases = "[[cases]]\nname = 'a'\nmodels = ['cnn']\n[[cases]]\nname = 'b'\nmodels = ['cnn@3k', 'cnn@5k']\n"
    assert read(cases + FIGURE + "case = 'a'\n").published[0].model == ""
    read(cases + CLAIM + "of = { case = 'b', model = 'cnn @ 3000' }\n")
    read(cases + CLAIM + "of = { case = 'b', model = 'cnn', budget = 5000 }\n")
    assert "there are cnn@3k, cnn@5k" in refused(cases + CLAIM + "of = { case = 'b', model = 'cnn' }\n")[0]
    message, remedy = refused(cases + FIGURE + "model = 'cnn'\n")
    assert "it names no case" in message
    assert remedy == "Cases are a, b."


def test_models_are_named_in_any_spelling():
    head = "title = 't'\nmodels = ['cnn[dropout=.2, activation=sigmoid]']\n"
    read(FIGURE + "model = 'cnn[activation=sigmoid,dropout=0.2]'\n", head)
    read(FIGURE + "model = 'cnn[dropout=0.2,activation=\"sigmoid\"]'\n", head)


def test_the_cases_of_every_scale_may_be_named():
    cases = "[[scales.quick.cases]]\nname = 'a'\nmodels = ['mlp']\n"
    read(cases + FIGURE + "case = 'a'\n")
    read(cases + FIGURE + "model = 'cnn'\n")
    assert "no case is named 'tuned'" in refused(FIGURE + "model = 'cnn'\ncase = 'tuned'\n")[0]
    read(FIGURE + "model = 'cnn'\ncase = 'tuned'\n[tune]\nmodels = ['cnn']\n")


def test_what_a_plugin_registers_is_not_known_yet():
    head = "title = 't'\nmodels = ['own', 'own_too']\nplugins = ['own_models']\n"
    assert read(FIGURE + "model = 'own'\n", head).models == ["own", "own_too"]


def test_syntax_is_told_with_its_line():
    message, _ = refused("[settings\nlr = 1\n")
    assert "is no TOML" in message
    assert "at line 4" in message
    assert "at line 5" in refused("[settings]\nlr = 1 2\n")[0]


def test_a_file_that_cannot_be_read_says_so():
    with pytest.raises(InputError, match=r"none\.toml cannot be read: No such file"):
        read_study(Path("none.toml"))
    Path("binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"binary\.toml cannot be read"):
        read_study(Path("binary.toml"))
    with pytest.raises(InputError, match="no study is named 'none'"):
        study_file.find_study("none")


# Lines.


def test_lines_of_tables_keys_and_strings():
    text = '''# title = "not this"
title = """
[settings]
lr = 1
"""
models = [ # two
  "a", # [settings]

  "b",
]

[settings]   # here
"lr" = 1

[[cases]]
name = 'a'
[[cases]]
lr.x = 1
[cases.more]
y = 2

[a."b.c".d]
'''
    places = {
        (): 1, ("title",): 2, ("models",): 6, ("models", 0): 7, ("models", 1): 9, ("models", 9): 6,
        ("settings",): 12, ("settings", "lr"): 13, ("settings", "none"): 12, ("cases",): 15, ("cases", 0, "name"): 16,
        ("cases", 1): 17, ("cases", 1, "lr", "x"): 18, ("cases", 1, "more", "y"): 20, ("cases", 0, "lr"): 15,
        ("a", "b.c", "d"): 22, ("none", "lr"): 1,
    }  # fmt: skip
    assert {place: line_of(text, place) for place in places} == places


def test_lines_are_counted_as_editors_do():
    text = "a = 1\r\n\r\n# \u2028 and \x85 end no lines\r\nb = 2\r\n"
    assert [line_of(text, (key,)) for key in "ab"] == [1, 4]


KEYS = st.text(string.ascii_letters, min_size=1, max_size=5)
VALUES = st.sampled_from([
    "1", "'x = 1'", '"""\n[a]\na = 1\n"""', "'''\n[[b]]\n\"\"\"\n'''", "[1, 2]", "[\n  1, # a = 1\n  [2]\n]",
    "{ a = 1, b = { c = 2 } }", "[{ a = 1 }, { a = 2 }]", "[\n  { a = 1 },\n  { b = ']' },\n]", '"#"', "1979-05-27",
])  # fmt: skip
SPACE = st.sampled_from(["", "\n", "# [a]\n", "  # a = '''\n"])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["table", "array"]),
            KEYS,
            st.lists(st.tuples(SPACE, KEYS, VALUES), max_size=4, unique_by=lambda item: item[1]),
        ),
        max_size=5,
        unique_by=lambda item: (item[1], item[0] == "table"),
    )
)
def test_every_key_is_found_on_the_line_it_was_written_on(tables):
    text, expected, counts = "", {}, {}
    plain = {name for kind, name, _ in tables if kind == "table"}
    for kind, name, items in tables:
        if kind == "array" and name in plain:
            continue
        place = (name,) if kind == "table" else (name, counts.get(name, 0))
        counts[name] = counts.get(name, 0) + 1
        expected[place] = text.count("\n") + 1
        text += f"[{name}]\n" if kind == "table" else f"[[{name}]]\n"
        for space, key, value in items:
            text += space
            expected[*place, key] = text.count("\n") + 1
            text += f"{key} = {value}\n"
    tomllib.loads(text)
    assert {place: line_of(text, place) for place in expected} == expected


# The schema.


def test_the_shipped_schema_is_the_one_that_checks():
    file = next(iter(study_file.shipped().values())).with_name("study.schema.json")
    assert file.read_text(encoding="utf-8") == json_schema()


def structs(kind):
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from structs(field.type)
    for part in get_args(kind) if get_args(kind) or isinstance(kind, UnionType) else ():
        yield from structs(part)


def test_the_schema_lists_every_field_and_no_others():
    found = {kind.__name__: kind for kind in structs(study_schema.StudyFile)}
    schema = json.loads(json_schema())
    assert set(found) == set(schema["$defs"])
    for name, kind in found.items():
        assert set(schema["$defs"][name]["properties"]) == set(kind.__struct_fields__), name
        assert schema["$defs"][name]["additionalProperties"] is False, name
    assert schema["$ref"] == "#/$defs/StudyFile"
    assert schema["$defs"]["StudyFile"]["required"] == ["title"]


def test_every_setting_may_stand_in_a_file_and_every_field_is_a_setting():
    import inspect

    from archbench.settings import make_recipe, make_view

    known = {*inspect.signature(make_recipe).parameters, *inspect.signature(make_view).parameters}
    assert set(study_schema.Settings.__struct_fields__) == known


def test_no_case_takes_the_name_of_what_a_search_finds(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('title = "t"\nmodels = ["mlp"]\n[[cases]]\nname = "tuned"\n[tune]\ntrials = 1\n')
    with pytest.raises(InputError, match=r"line 5, tune: a case is named 'tuned'"):
        read_study(file)


def test_the_mark_that_some_editors_write_first_is_passed_over():
    Path("marked.toml").write_text("title = 't'\nmodels = ['cnn']\n", encoding="utf-8-sig")
    assert read_study(Path("marked.toml")).title == "t"


@pytest.mark.parametrize("text", ["x = " + "[" * 5000 + "]" * 5000, "x = " + "9" * 5000])
def test_what_no_study_holds_is_no_fault_of_archbench(text):
    Path("odd.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"odd\.toml is no TOML"):
        read_study(Path("odd.toml"))


def test_keys_are_suggested():
    assert "Did you mean models" in refused("modles = 3\n")[1]
    assert "Did you mean epochs" in refused("[settings]\nepoch = 3\n")[1]
    assert "Did you mean lr_decay" in refused("[[cases]]\nlr_deca = 3\n")[1]
