"""Layers that do what torch's own do, sooner on their device: found where a training step spent its time.

Only torch's own classes are touched, only in training. A flattening gives and passes back the same bits, and a ReLU
before a max-pooling may be taken behind it. Batch normalisation, and a convolution on a card, are the same but for
rounding. A dropout drops as often, but draws other numbers.
"""

from archbench.quick.layers import quicken

__all__ = ["quicken"]
