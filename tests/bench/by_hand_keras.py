"""What a user of Keras writes, on TensorFlow. As a script, `by_hand_keras.py PLAN.json`, it trains the cells of a
comparison.

Arrays are fed by tf.data without its autotuning, which is the quickest that was found: with it, as `fit` has it for
arrays, an epoch of TensorFlow 2.21 ends only at the next doubling of 10 ms.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
from keras_nets import make_net

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def batches(images: np.ndarray, labels: np.ndarray, size: int, *, shuffled: bool = False):
    """Return uint8 images (N, H, W, C) and labels as batches of floats from -1 to 1, all of them in memory."""
    import tensorflow as tf

    images, labels = tf.constant(images.astype(np.float32) / 127.5 - 1), tf.constant(labels)
    places = tf.data.Dataset.range(len(labels))
    if shuffled:
        places = places.shuffle(len(labels))
    fed = places.batch(size).map(lambda chosen: (tf.gather(images, chosen), tf.gather(labels, chosen)))
    options = tf.data.Options()
    options.autotune.enabled = False
    return fed.with_options(options)


def compiled(spec: dict, lr=1e-3):
    """Return a Keras model that is ready to be trained.

    Raises:
        ValueError: it has not as many parameters as the net that it stands for.
    """
    import keras

    net = make_net(spec)
    params = sum(int(np.prod(weight.shape)) for weight in net.trainable_weights)
    if params != spec["params"]:
        msg = f"{spec['model']} has {params:,} parameters in Keras, and {spec['params']:,} in PyTorch"
        raise ValueError(msg)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(lr), loss, metrics=["accuracy"])
    return net


def main() -> None:
    """Train every cell of a plan, one after the other; print the accuracy on the test images of each."""
    import keras

    plan = json.loads(Path(sys.argv[1]).read_text())
    arrays = np.load(plan["arrays"])
    found = []
    fed = {
        part: batches(arrays[f"{part}_images"], arrays[f"{part}_labels"], plan["batch_size"], shuffled=part == "train")
        for part in plan["parts"]
    }
    for spec in plan["cells"]:
        keras.utils.set_random_seed(spec["seed"])
        steps = plan["epochs"] * len(fed["train"])
        net = compiled(spec, keras.optimizers.schedules.CosineDecay(plan["lr"], steps))
        net.fit(
            fed["train"], validation_data=fed["validation"], epochs=plan["epochs"], shuffle=False, verbose=0
        )  # the data set shuffles
        found.append(net.evaluate(fed["test"], verbose=0)[1])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
