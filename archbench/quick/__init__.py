"""Layers that do what torch's own do, sooner on their device: found where a training step spent its time.

Only torch's own classes are touched, and the residual blocks of the zoo and of torchvision, only in training. A
flattening and a max-pooling give and pass back the same bits (but where windows overlap, whose gradients are added up
more exactly), and a ReLU before a max-pooling may be taken behind it. Batch normalisation, what is done with it, and a
convolution, are the same but for rounding. A dropout drops as often, but draws other numbers.
"""

from archbench.quick.layers import load, quicken, takes_winograd

__all__ = ["load", "quicken", "takes_winograd"]
