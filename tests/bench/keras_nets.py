"""The zoo's nets that are timed, once more in Keras: the same layers in the same order, with as many parameters.

Strided convolutions and pools pad as TensorFlow does, which gives maps of the same size. Keras is imported where it is
used, as only the benchmarks' own environment has it.
"""

from __future__ import annotations

import itertools

LEAK = 0.3


def make_net(spec):
    """Return a Keras model for a net's name, its options, (C, H, W) and what it gives out."""
    import keras

    channels, height, width = spec["shape"]
    x = inputs = keras.Input((height, width, channels))
    return keras.Model(inputs, NETS[spec["model"]](x, spec["classes"], **spec["options"]))


def _conv(x, channels, kernel, stride=1, *, padding="same", bias=True, depthwise=False):
    from keras import layers

    if depthwise:
        return layers.DepthwiseConv2D(kernel, stride, padding, use_bias=bias)(x)
    return layers.Conv2D(channels, kernel, stride, padding, use_bias=bias)(x)


def _unit(x, *args, leak=LEAK, **options):
    """Convolution, batch norm, activation: leaky, or rectified where the leak is 0."""
    return _normed(_conv(x, *args, **options), leak)


def _normed(x, leak=LEAK):
    from keras import layers

    x = layers.BatchNormalization()(x)
    return layers.LeakyReLU(leak)(x) if leak else layers.ReLU()(x)


def _classifier(x, classes):
    """The last layer; its logits stay in single precision, as Keras advises for mixed precision."""
    from keras import layers

    return layers.Dense(classes, dtype="float32")(x)


def mnist_dense2(x, classes, *, channels, dense, head):
    """Two convolutions, a pool, two dense layers."""
    from keras import layers

    assert head == "dense2"
    for count in channels:
        x = layers.ReLU()(_conv(x, count, 3, padding="valid"))
    x = layers.Flatten()(layers.Dropout(0.25)(layers.MaxPool2D(2)(x)))
    x = layers.ReLU()(layers.Dense(dense)(x))
    return _classifier(layers.Dropout(0.5)(x), classes)


def cnn(x, classes, *, channels, dense):
    """Three groups of three convolutions, each with a pool; the last one's kernels are 2x2 and not padded."""
    from keras import layers

    for number, count in enumerate(channels, start=1):
        last = number == len(channels)
        for _ in range(3):
            x = _unit(x, count, 2 if last else 3, padding="valid" if last else "same")
        x = layers.Dropout(0.3)(layers.MaxPool2D(2, padding="valid" if last else "same")(x))
    x = _normed(layers.Dense(dense)(layers.Flatten()(x)))
    return _classifier(layers.Dropout(0.3)(x), classes)


def mobilenet(x, classes, *, channels, dense):
    """One convolution, two depthwise-separable blocks of each width, a pool."""
    from keras import layers

    stem, *widths = channels
    x = _unit(x, stem, 3)
    blocks = list(itertools.product(range(len(widths)), range(2)))
    for run, index in blocks:
        stride = 2 if run and not index and min(x.shape[1:3]) >= 5 else 1
        kernel = min(2, *x.shape[1:3]) if (run, index) == blocks[-1] else 3
        x = _unit(x, None, kernel, stride, padding="same" if stride == 1 and kernel == 3 else "valid", depthwise=True)
        x = _unit(x, widths[run], 1)
    x = layers.MaxPool2D(min(2, *x.shape[1:3]))(x)
    x = _normed(layers.Dense(dense)(layers.Flatten()(layers.Dropout(0.2)(x))))
    return _classifier(layers.Dropout(0.2)(x), classes)


def captcha_resnet18_mod(x, classes, *, positions=4):
    """ResNet18 of channels 16, 16, 32, 32; logits (N, positions, classes)."""
    from keras import layers

    x = layers.MaxPool2D(3, 2, "same")(_unit(x, 16, 7, 2, bias=False, leak=0))
    for stage, channels in enumerate((16, 16, 32, 32)):
        for index in range(2):
            stride = 2 if stage and not index else 1
            y = _unit(x, channels, 3, stride, bias=False, leak=0)
            y = layers.BatchNormalization()(_conv(y, channels, 3, bias=False))
            if stride > 1 or x.shape[-1] != channels:
                x = layers.BatchNormalization()(_conv(x, channels, 1, stride, bias=False))
            x = layers.ReLU()(layers.Add()([x, y]))
    x = _classifier(layers.GlobalAveragePooling2D()(x), positions * classes)
    return layers.Reshape((positions, classes), dtype="float32")(x)


NETS = {net.__name__: net for net in (mnist_dense2, cnn, mobilenet, captcha_resnet18_mod)}
