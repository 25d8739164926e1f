"""Layers that do what torch's own do, sooner on a CPU: found where a training step spent its time.

Only torch's own classes are touched, only in training. A max-pooling gives and passes back the same bits, and a ReLU
before it may be taken behind it. Batch normalisation is the same but for rounding. A dropout drops as often, but draws
other numbers.
"""

from archbench.quick.layers import quicken

__all__ = ["quicken"]
