"""The model zoo: architectures that scale to a parameter budget, on images of any size from 8x8 up.

>>> import zoo
>>> net = zoo.create_model("mobilenet", in_chans=1, input_size=48, num_classes=7, width=8, dense=64)
>>> sum(p.numel() for p in net.parameters())
71271
"""

from zoo import (  # noqa: F401 - importing a family registers it
    baselines,
    captcha,
    cifar,
    cnn,
    convnext,
    fer,
    linear,
    mlp,
    mnist,
    mobilenet,
    mobilenetv2,
    resnet,
    squeezenet,
    transfer,
    vit,
)
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
