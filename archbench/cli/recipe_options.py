"""The options that say how models are trained."""

from __future__ import annotations

from typing import Annotated

import typer

from archbench.cli.options import TRAINING

Epochs = Annotated[int, typer.Option("--epochs", help="Passes over the training data.", rich_help_panel=TRAINING)]
BatchSize = Annotated[
    int, typer.Option("--batch-size", "-b", help="Samples a step, timed and trained.", rich_help_panel=TRAINING)
]
Lr = Annotated[
    float | None,
    typer.Option("--lr", help="Learning rate.", show_default="0.003, SGD 0.05", rich_help_panel=TRAINING),
]
Optimizer = Annotated[
    str, typer.Option("--optimizer", help="adam, adamw, sgd, adadelta or rmsprop.", rich_help_panel=TRAINING)
]
Momentum = Annotated[float, typer.Option("--momentum", help="Of SGD.", rich_help_panel=TRAINING)]
Schedule = Annotated[
    str, typer.Option("--schedule", help="cosine, constant, step or exponential.", rich_help_panel=TRAINING)
]
LrDecay = Annotated[
    float, typer.Option("--lr-decay", help="Factor an epoch of the exponential schedule.", rich_help_panel=TRAINING)
]
WeightDecay = Annotated[
    float, typer.Option("--weight-decay", help="The optimizer's weight decay.", rich_help_panel=TRAINING)
]
L2 = Annotated[
    float, typer.Option("--l2", help="Factor of the sum of squared weights in the loss.", rich_help_panel=TRAINING)
]
LabelSmoothing = Annotated[
    float, typer.Option("--label-smoothing", help="Of the cross-entropy.", rich_help_panel=TRAINING)
]
Augment = Annotated[
    str,
    typer.Option(
        "--augment",
        show_default="none",
        rich_help_panel=TRAINING,
        metavar="NAME[:AMOUNT]+...",
        help="flip, shift, crop:4, rotate:15, zoom:0.1, brightness:0.2, cutout:8, joined by +.",
    ),
]
Precision = Annotated[str, typer.Option("--precision", help="fp32, bf16, or on CUDA tf32.", rich_help_panel=TRAINING)]
PrecisionOrAuto = Annotated[
    str,
    typer.Option(
        "--precision", rich_help_panel=TRAINING,
        help="fp32, bf16, on CUDA tf32, or auto: bf16 where the device multiplies in it.",
    ),
]  # fmt: skip
Scaling = Annotated[
    str,
    typer.Option(
        "--scaling",
        help="Pixels become: standard (mean 0, deviation 1), unit (0 to 1), or centered (0 to 1 less the mean image).",
        rich_help_panel=TRAINING,
    ),
]
PositionLoss = Annotated[
    str,
    typer.Option(
        "--position-loss", help="With several labels an image: mean or sum of their losses.", rich_help_panel=TRAINING
    ),
]
