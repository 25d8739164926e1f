"""The published transfer models: a backbone trained on ImageNet, and dense layers on its pooled features.

Why Keras' counts differ from torchvision's and timm's. Keras' ResNet50 without its top counts 23,587,712 where
torchvision's counts 23,508,032: each of its 53 convolutions has a bias, although a batch norm follows (26,560), and
Keras counts the running mean and variance of every batch norm (53,120). The biases are here (`conv_bias`), so that
both of Keras' figures are met. Keras' Xception without its top counts 20,861,480, timm's 20,806,952: neither has
biases, and the running statistics (54,528) make up the difference.
"""

from __future__ import annotations

from zoo.external import Builder
from zoo.registry import register_model
from zoo.spec import Published

register_model(
    "cifar_resnet50_transfer",
    family="transfer",
    summary="CIFAR-10: ResNet50, pooled, and dense 1024-512-256-128-10.",
    source="published CIFAR-10 study, transfer from ResNet50",
    preset={"head": (1024, 512, 256, 128), "conv_bias": True},
    input_shape=(3, 32, 32),
    classes=10,
    published=Published(26_376_202, "keras", "stated: 26,323,082 trainable and 53,120 not"),
)(Builder("torchvision", "resnet50"))
register_model(
    "resnet50_transfer_24",
    family="transfer",
    summary="24 classes at 224x224: ResNet50, pooled, and dense 512-24.",
    source="published comparison of scratch and transfer",
    preset={"head": (512,), "conv_bias": True, "dropout": 0.5},
    input_shape=(3, 224, 224),
    classes=24,
    published=Published(24_649_112, "keras", "stated: 24,595,992 trainable from scratch, 1,061,400 with it frozen"),
)(Builder("torchvision", "resnet50"))
register_model(
    "cifar_xception_transfer",
    family="transfer",
    summary="CIFAR-10 at 224x224: Xception, pooled, dropout and dense 10.",
    source="published CIFAR-10 study, transfer from Xception (arXiv:1610.02357)",
    preset={"head": (), "dropout": 0.5},
    input_shape=(3, 224, 224),
    classes=10,
    published=Published(20_881_970, "keras", "stated as backbone 20,861,480 and dense layer 20,490; dropout rate not"),
    requires="timm",
)(Builder("timm", "legacy_xception"))
