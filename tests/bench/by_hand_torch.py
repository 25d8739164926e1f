"""What a user of PyTorch writes: PIL images, a DataLoader, a loop. As a script, `by_hand_torch.py PLAN.json`, it trains
the cells of a comparison.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import zoo


class Pictures(Dataset):
    """Images (N, H, W, C) as torchvision has them: each is a PIL image that is transformed when it is asked for."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        half = (0.5,) * images.shape[-1]
        self._images = images.squeeze(-1) if images.shape[-1] == 1 else images
        self._labels = torch.from_numpy(labels)
        self._transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(half, half)])

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, place: int):
        return self._transform(Image.fromarray(self._images[place])), self._labels[place]


def make_net(spec: dict) -> torch.nn.Module:
    """Return a net of the zoo for its name, its options, (C, H, W) and its classes."""
    channels, *sides = spec["shape"]
    return zoo.create_model(
        spec["model"], num_classes=spec["classes"], in_chans=channels, input_size=sides, **spec["options"]
    )


def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of (N, classes), or of (N, positions, classes)."""
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten())


def train_epoch(net, loader, optimizer, scheduler=None, device="cpu") -> tuple[float, float]:
    """Train once through the images; return the mean loss and the accuracy on the way."""
    net.train()
    loss_sum, right, seen = 0.0, 0, 0
    for batch in loader:
        images, labels = (tensor.to(device) for tensor in batch)
        optimizer.zero_grad()
        logits = net(images)
        loss = loss_of(logits, labels)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        loss_sum += loss.item() * len(labels)
        right += (logits.argmax(-1) == labels).float().mean().item() * len(labels)
        seen += len(labels)
    return loss_sum / seen, right / seen


@torch.no_grad()
def accuracy(net, loader) -> float:
    """Return the share of images with the right label."""
    net.eval()
    right = [(net(images).argmax(-1) == labels).float() for images, labels in loader]
    return torch.cat(right).mean().item()


def main() -> None:
    """Train every cell of a plan, one after the other; print the accuracy on the test images of each."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    arrays = np.load(plan["arrays"])
    batch, found = plan["batch_size"], []
    parts = {part: Pictures(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in plan["parts"]}
    for spec in plan["cells"]:
        torch.manual_seed(spec["seed"])
        loaders = {part: DataLoader(own, batch, shuffle=part == "train") for part, own in parts.items()}
        net = make_net(spec)
        optimizer = torch.optim.Adam(net.parameters(), plan["lr"])
        steps = plan["epochs"] * len(loaders["train"])
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(plan["epochs"]):
            train_epoch(net, loaders["train"], optimizer, scheduler)
            accuracy(net, loaders["validation"])
        found.append(accuracy(net, loaders["test"]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
