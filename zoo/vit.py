"""A small vision transformer (Dosovitskiy et al. 2020, arXiv:2010.11929)."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

from zoo.blocks import deepened, make_activation, rate, scaled
from zoo.registry import register_model

if TYPE_CHECKING:
    from torch import Tensor

HEADS = 4
LAYERS = 6
PATCHES = {128: 16, 64: 8, 28: 4, 0: 2}  # side of the patches by the least side of the image
EPSILON = 1e-6


class Mix(nn.Module):
    """Scaled dot-product attention: queries, keys and values in, their mixture out; no parameters."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Map three (N, heads, tokens, dim) to one of the same shape."""
        weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        mixed: Tensor = weights @ v
        return mixed

    @staticmethod
    def macs(q: Tensor, k: Tensor, _v: Tensor) -> int:
        """Return the multiply-accumulates of the two products, for keys and values of as many units as queries."""
        return 2 * q.numel() * k.shape[-2]


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.mix = Mix()
        self.project = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, tokens, dim) to the same shape."""
        samples, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(samples, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        mixed = self.mix(qkv[0], qkv[1], qkv[2])
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(samples, tokens, dim))
        return out


class Layer(nn.Module):
    """Attention, then two dense layers at each token; a norm before each and a shortcut around it."""

    def __init__(self, dim: int, heads: int, mlp: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPSILON)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPSILON)
        dense1, dense2 = nn.Linear(dim, mlp), nn.Linear(mlp, dim)
        for dense in (dense1, dense2):
            nn.init.xavier_uniform_(dense.weight)
            nn.init.zeros_(dense.bias)
        self.mlp = nn.Sequential(OrderedDict(dense1=dense1, act=make_activation(activation), dense2=dense2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, tokens, dim) to the same shape."""
        x = x + self.dropout(self.attention(self.norm1(x)))
        out: Tensor = x + self.dropout(self.mlp(self.norm2(x)))
        return out


class Positions(nn.Module):
    """A class token before the others, and a learned position for each."""

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.empty(1, tokens + 1, dim))
        nn.init.normal_(self.position, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, dim, rows, columns) to (N, 1 + rows * columns, dim)."""
        tokens = x.flatten(2).transpose(1, 2)
        return torch.cat([self.class_token.expand(len(x), -1, -1), tokens], 1) + self.position


class First(nn.Module):
    """The first token."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, tokens, dim) to (N, dim)."""
        return x[:, 0]


def shape(width: float) -> dict[str, int | tuple[int, ...]]:
    """As many units a head as make up the width with 4 heads, and 4 times the width in the dense layers."""
    head_dim = scaled(width, 1 / HEADS)[0]
    return {"head_dim": head_dim, "mlp": scaled(width, 4)[0]}


def depth(multiple: float) -> dict[str, int]:
    """Layers."""
    return {"layers": deepened(multiple, LAYERS)[0]}


@register_model(
    shape=shape,
    width=64,
    depth=depth,
    source="arXiv:2010.11929; the base net, 12 layers of 12 heads of 64 on 16x16 patches, has 86,567,656",
)
def vit(
    *,
    num_classes: int,
    in_chans: int,
    input_size: tuple[int, int],
    head_dim: int,
    mlp: int,
    heads: int = HEADS,
    layers: int = LAYERS,
    patch: int | None = None,
    activation: str = "gelu",
    dropout: float | tuple[float, float] = 0.0,
) -> nn.Module:
    """Small vision transformer: patches as tokens, 6 layers of 4-head attention, a class token.

    Args:
        num_classes: outputs.
        in_chans: input channels.
        input_size: (H, W), each at least 8.
        head_dim: units of each head; the tokens have `heads` times as many.
        mlp: units of the dense layers.
        heads: of the attention.
        layers: of attention and dense layers.
        patch: side of the patches; by default 16 from images of 128 pixels on, 8 from 64, 4 from 28, else 2.
        activation: of the dense layers.
        dropout: rate behind attention and dense layers.
    """
    side = min(input_size)
    patch = patch or next(size for least, size in PATCHES.items() if side >= least)
    dim = heads * head_dim
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    rest_y, rest_x = (-size % patch for size in input_size)
    if rest_y or rest_x:
        parts["pad"] = nn.ZeroPad2d((0, rest_x, 0, rest_y))  # patches at the right and the bottom are filled up
    parts["patches"] = nn.Conv2d(in_chans, dim, patch, patch)
    parts["positions"] = Positions(math.prod(-(-size // patch) for size in input_size), dim)
    nn.init.trunc_normal_(parts["patches"].weight, std=math.sqrt(1 / (in_chans * patch * patch)))  # type: ignore[arg-type]
    for index in range(1, layers + 1):
        parts[f"layer{index}"] = Layer(dim, heads, mlp, activation, rate(dropout)[1])
    parts |= {"norm": nn.LayerNorm(dim, eps=EPSILON), "first": First(), "classifier": nn.Linear(dim, num_classes)}
    nn.init.trunc_normal_(parts["classifier"].weight, std=0.02)  # type: ignore[arg-type]
    return nn.Sequential(parts)
