"""Weights that were trained before: found on this machine, fetched only where that is allowed, read without code."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zoo.grammar import OptionError

if TYPE_CHECKING:
    from torch import Tensor

IMAGENET = "imagenet"  # the library's own default weights
TIMM_FILES = ("model.safetensors", "pytorch_model.bin")


def locate(library: str, name: str, weights: str, *, download: bool = False) -> Path:
    """Return the file that holds weights.

    Args:
        library: `torchvision` or `timm`.
        name: of the model there.
        weights: `imagenet`, the name of a weight enumeration's member (`IMAGENET1K_V1`), or a file.
        download: whether what is not on this machine may be fetched from where the library says.

    Raises:
        OptionError: there is no such file, or nothing of that name; it says what to put where.
    """
    path = Path(weights).expanduser()
    if weights != IMAGENET and (path.suffix or path.exists()):
        if path.is_file():
            return path
        msg = f"there is no file {weights}; weights are `imagenet` or a file that torch.save or safetensors wrote"
        raise OptionError(msg)
    find = _of_torchvision if library == "torchvision" else _of_timm
    return find(name, weights, download=download)


def _of_torchvision(name: str, weights: str, *, download: bool) -> Path:
    from torchvision.models import get_model_weights

    members = get_model_weights(name)
    member: Any = members.__members__.get("DEFAULT" if weights == IMAGENET else weights)
    if member is None:
        have = ", ".join([IMAGENET, *(one.name for one in members)])
        msg = f"torchvision:{name} has no weights {weights!r}; there are {have}, or a file"
        raise OptionError(msg)
    return _of_url(f"torchvision:{name}", member.url, download=download)


def _of_url(model: str, url: str, *, download: bool) -> Path:
    """Return the file that torch.hub keeps of an address."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        if not download:
            _missing(model, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = path.stem.rpartition("-")[2]  # the beginning of its SHA-256, by torch.hub's convention
        _fetching(model, lambda: torch.hub.download_url_to_file(url, str(path), prefix))
    return path


def _of_timm(name: str, weights: str, *, download: bool) -> Path:
    import timm
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    if (
        weights == IMAGENET and config is not None and isinstance(config.url, str) and not config.hf_hub_id
    ):  # older ones
        return _of_url(f"timm:{name}", config.url, download=download)
    if weights != IMAGENET or config is None or not config.hf_hub_id:
        msg = f"timm:{name} has no weights {weights!r} to be found by name; give imagenet where it has some, or a file"
        raise OptionError(msg)
    for file in TIMM_FILES:
        cached = try_to_load_from_cache(config.hf_hub_id, file)
        if isinstance(cached, str):
            return Path(cached)
    if not download:
        _missing(f"timm:{name}", Path(config.hf_hub_id) / TIMM_FILES[0])
    return Path(_fetching(f"timm:{name}", lambda: hf_hub_download(config.hf_hub_id, TIMM_FILES[0])))


def _missing(model: str, path: Path) -> None:
    msg = f"the ImageNet weights of {model} are not on this machine ({path}); add --download, or name a file"
    raise OptionError(msg)


def _fetching(model: str, fetch: Any) -> Any:
    try:
        return fetch()
    except Exception as error:
        why = str(error).partition("\n")[0]
        msg = f"the weights of {model} could not be fetched ({why}); name a file with --weights FILE"
        raise OptionError(msg) from error


def read_state(path: Path) -> OrderedDict[str, Tensor]:
    """Return the tensors of a file by name; nothing but tensors and plain containers is ever unpickled.

    Raises:
        OptionError: it cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return OrderedDict(load_file(path))
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        msg = f"{path} cannot be read as weights: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise OptionError(msg) from error
    for wrapper in ("state_dict", "model"):  # how training scripts commonly wrap it
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        msg = f"{path} holds a {type(state).__name__}, not the state of a network; save net.state_dict()"
        raise OptionError(msg)
    named = OrderedDict((name.removeprefix("module."), value) for name, value in state.items())  # of DataParallel
    vars(named).update(vars(state) if isinstance(state, OrderedDict) else {})  # torch's notes on versions of modules
    return named


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    status = path.stat()
    return _sha256(path, status.st_mtime_ns, status.st_size)


@lru_cache
def _sha256(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
