"""One contender of `training.py`, in a process of its own: `python tests/bench/epochs.py CONTENDER PRECISION SPEC`.

It trains an epoch of random images each time that it is told to, and tells the seconds.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from turns import Turns

if TYPE_CHECKING:
    from archbench.data import Dataset
    from archbench.schema import Knobs, Recipe

FOREVER = 1_000_000  # epochs: the parent ends it
LOADING = 8  # processes that make batches, where a card is fed by some


def arrays(spec: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return random images (N, H, W, C) and labels, one an image or several."""
    chance = np.random.default_rng(0)
    channels, height, width = spec["shape"]
    images = chance.integers(256, size=(spec["samples"], height, width, channels), dtype=np.uint8)
    places = (spec["positions"],) if spec["positions"] > 1 else ()
    return images, chance.integers(spec["classes"], size=(spec["samples"], *places))


def params_of(net) -> int:
    """Return the parameters of a torch network."""
    return sum(parameter.numel() for parameter in net.parameters())


def loop(spec: dict, precision: str, turns: Turns, loading: int = 0) -> None:
    """A loop over a DataLoader."""
    import torch
    from by_hand_torch import Pictures, make_net, train_epoch

    assert precision == "fp32"
    torch.set_num_threads(1)
    net = make_net(spec).to(spec["device"])
    loader = torch.utils.data.DataLoader(
        Pictures(*arrays(spec)), spec["batch_size"], shuffle=True, num_workers=loading, persistent_workers=loading > 0
    )
    optimizer = torch.optim.Adam(net.parameters())
    turns.ready(params=params_of(net))
    while True:
        turns.wait()
        train_epoch(net, loader, optimizer, device=spec["device"])  # which waits for each loss
        turns.done()


def loaders(spec: dict, precision: str, turns: Turns) -> None:
    """The same, fed by processes of its own."""
    loop(spec, precision, turns, LOADING)


def lightning(spec: dict, precision: str, turns: Turns) -> None:
    """The same net, data and optimizer in PyTorch Lightning."""
    import torch
    from by_hand_torch import Pictures, loss_of, make_net
    from lightning import pytorch as pl

    assert precision == "fp32"
    torch.set_num_threads(1)

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = make_net(spec)

        def training_step(self, batch):
            images, labels = batch
            logits = self.net(images)
            loss = loss_of(logits, labels)
            self.log("loss", loss, on_step=False, on_epoch=True)
            self.log("accuracy", (logits.argmax(-1) == labels).float().mean(), on_step=False, on_epoch=True)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())

        def on_train_epoch_end(self) -> None:
            turns.done()
            turns.wait()

    module = Module()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=FOREVER, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    turns.ready(params=params_of(module.net), lightning=version("lightning"))
    turns.wait()
    trainer.fit(module, torch.utils.data.DataLoader(Pictures(*arrays(spec)), spec["batch_size"], shuffle=True))


def keras(spec: dict, precision: str, turns: Turns) -> None:
    """Keras on TensorFlow, the arrays in memory."""
    import keras as k
    import tensorflow as tf
    from by_hand_keras import batches, compiled

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    k.config.set_dtype_policy({"fp32": "float32", "bf16": "mixed_bfloat16"}[precision])
    net = compiled(spec)

    class Turn(k.callbacks.Callback):
        def on_epoch_end(self, *_: object) -> None:
            turns.done()
            turns.wait()

    fed = batches(*arrays(spec), spec["batch_size"], shuffled=True)
    params = sum(int(np.prod(weight.shape)) for weight in net.trainable_weights)
    turns.ready(params=params, keras=k.__version__, tensorflow=tf.__version__)
    turns.wait()
    net.fit(fed, epochs=FOREVER, callbacks=[Turn()], shuffle=False, verbose=0)


def archbench(spec: dict, precision: str, turns: Turns) -> None:
    """`archbench.training.train` itself; its own seconds of an epoch are told, without those of the validation."""
    import torch
    from by_hand_torch import make_net

    from archbench.data import SPLITS, Dataset
    from archbench.schema import Epoch, Recipe
    from archbench.training import train

    torch.set_num_threads(1)
    images, labels = (torch.from_numpy(array) for array in arrays(spec))
    few = {"train": spec["samples"], "validation": 2, "test": 2}
    dataset = Dataset(
        "random",
        {split: images.permute(0, 3, 1, 2)[: few[split]] for split in SPLITS},
        {split: labels[: few[split]] for split in SPLITS},
        tuple(map(str, range(spec["classes"]))),
        "random pixels",
    )

    def on_epoch(epoch: Epoch) -> None:
        turns.done(epoch.train_seconds)
        turns.wait()

    recipe = Recipe(batch_size=spec["batch_size"], epochs=FOREVER, precision=precision)
    knobs = way_of(spec, recipe, dataset)
    turns.ready(params=params_of(make_net(spec)), knobs=asdict(knobs))
    turns.wait()
    train(lambda: make_net(spec), dataset, recipe, spec["device"], on_epoch=on_epoch, knobs=knobs)


def way_of(spec: dict, recipe: Recipe, dataset: Dataset) -> Knobs:
    """Return how a training of two epochs of MNIST takes its steps: as found by a trial, beside which nobody works."""
    import msgspec
    import torch

    from archbench.environment import capture, device_name
    from archbench.knobs import find_knobs, suited
    from archbench.schema import Cell, Cost, Knobs, SizedModel

    if spec["device"] == "cuda":
        return Knobs(cuda_graph=spec.get("cuda_graph", True))
    sized, cost = msgspec.convert(spec["sized"], SizedModel), msgspec.convert(spec["cost"], Cost)
    short = replace(recipe, epochs=2)
    cell = Cell(
        sized.model, None, dataset.name, "", short, "cpu", device_name(capture(), "cpu"), 1, str(torch.__version__),
        sized, images=(60_000, 1, 1),
    )  # fmt: skip
    return suited(find_knobs(cell, dataset), cell, cost)


CONTENDERS = {contender.__name__: contender for contender in (loop, loaders, lightning, keras, archbench)}


if __name__ == "__main__":
    name, precision, told = sys.argv[1:]
    spec = json.loads(told)
    CONTENDERS[name](spec, precision, Turns(one_core=spec["device"] == "cpu"))
