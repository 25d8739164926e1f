"""The model zoo: architectures that scale to a parameter budget, on images of any size from 8x8 up.

>>> import zoo
>>> net = zoo.create_model("mobilenet", in_chans=1, input_size=48, num_classes=7, width=8, dense=64)
>>> sum(p.numel() for p in net.parameters())
71271
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.grammar import OptionError, join_options, split_options, written
    from zoo.imports import ModelImportError, import_models
    from zoo.registry import (
        DuplicateModelError,
        UnknownModelError,
        create_model,
        list_models,
        load_plugins,
        model_spec,
        register_model,
        skeletons,
    )
    from zoo.spec import ModelSpec, Published

ENTRY_POINT_GROUP = "archbench.models"  # where installed packages announce models of theirs
FAMILIES = (
    "baselines", "captcha", "cifar", "cnn", "convnext", "fer", "linear", "mlp", "mnist", "mobilenet", "mobilenetv2",
    "resnet", "squeezenet", "transfer", "vit",
)  # fmt: skip
GRAMMAR = ("OptionError", "join_options", "split_options", "written")  # names are read without torch
HOMES = {"ModelImportError": "imports", "import_models": "imports", "ModelSpec": "spec", "Published": "spec"}

__all__ = [
    "DuplicateModelError",
    "ModelImportError",
    "ModelSpec",
    "OptionError",
    "Published",
    "UnknownModelError",
    "create_model",
    "import_models",
    "join_options",
    "list_models",
    "load_plugins",
    "model_spec",
    "register_model",
    "skeletons",
    "split_options",
    "written",
]


def __getattr__(name: str) -> Any:
    """Import the families, which registers them, when a model is asked for and not before: torch takes a while."""
    if name not in __all__:
        msg = f"module 'zoo' has no attribute {name!r}"
        raise AttributeError(msg)
    if name in GRAMMAR:
        return getattr(import_module("zoo.grammar"), name)
    for family in FAMILIES:
        import_module(f"zoo.{family}")
    return getattr(import_module(f"zoo.{HOMES.get(name, 'registry')}"), name)
