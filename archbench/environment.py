"""The machine, the libraries, the commit: what a result was made with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from archbench.errors import InputError
from archbench.schema import Environment, Precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archbench.schema import Allocator, Device


ALLOCATOR_VARIABLE = "ARCHBENCH_ALLOCATOR"
# Torch asks the driver, not CUDA, whether there is a card: what is forked behind CUDA's answer could not use it.
FORKING = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
KEEPING = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**32)}  # glibc's: no mmap, nothing trimmed
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # glibc's, from 2.35: asked for, where the kernel has them
AMPERE = (8, 0)  # the first CUDA devices that multiply in bfloat16
PRECISIONS = get_args(Precision)
MULTIPLYING = ("amx_bf16", "avx512_bf16")  # what processors call it


@lru_cache(maxsize=1)
def capture() -> Environment:
    """Return the environment of this process."""
    import torch

    commit, dirty = _commit()
    return Environment(
        machine=platform.node(),
        os=platform.platform(),
        cpu=_cpu(),
        cores=usable_cores(),
        memory_bytes=memory_bytes(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        python=platform.python_version(),
        torch=str(torch.__version__),
        archbench=metadata.version("archbench"),
        commit=commit,
        dirty=dirty,
    )


def device_name(environment: Environment, device: Device) -> str:
    """Return the model of the processor that a kind of device stands for."""
    return environment.cpu if device == "cpu" else environment.gpu or "no CUDA device"


def worker_variables() -> dict[str, str]:
    """Return the environment variables of a process that times or trains; what the user has set himself stands.

    glibc hands large blocks back to the system after every use and gets them anew, page by page, with each step: on a
    training step of a small MobileNet that was a third of the time, and most of its spread. Told so, it keeps them.
    In huge pages a processor finds them sooner, as their addresses are fewer.
    The variable ARCHBENCH_ALLOCATOR says `system` to leave it as it is.
    """
    kept = {} if os.environ.get(ALLOCATOR_VARIABLE) == "system" else KEEPING | HUGE_PAGES
    return {**kept, **FORKING, **os.environ}


def module_path() -> list[str]:
    """Return this process's module path, from wherever it is followed."""
    return [str(Path(entry).absolute()) for entry in sys.path]


def allocator() -> Allocator:
    """Return whether this process keeps the memory that it has, or hands it back as the system's allocator does."""
    return _allocator(os.environ)


def worker_allocator() -> Allocator:
    """Return likewise of a process that times or trains."""
    return _allocator(worker_variables())


def _allocator(variables: Mapping[str, str]) -> Allocator:
    return "kept" if KEEPING.items() <= variables.items() else "system"


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_devices(text: str) -> tuple[Device, ...]:
    """Return the devices that `auto`, `cpu`, `cuda` or `cpu,cuda` stand for; the last is the one to train on.

    `auto` is the CPU and, where there is one, the CUDA device.

    Raises:
        InputError: something else, or CUDA where there is none: nothing falls back to another device.
    """
    import torch

    available: tuple[Device, ...] = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    if text == "auto":
        return available
    wanted = [name.strip() for name in text.lower().split(",")]
    if not set(wanted) <= {"cpu", "cuda"} or len(set(wanted)) < len(wanted):
        msg = f"{text!r} is not a device"
        raise InputError(msg, "Give auto, cpu, cuda, or cpu,cuda to time on both.")
    if "cuda" in wanted and "cuda" not in available:
        msg = "there is no CUDA device that torch can use"
        raise InputError(msg, "Use --device cpu, or install a torch that matches the driver.")
    return tuple(device for device in available if device in wanted)


def check_precision(precision: str, devices: Sequence[Device]) -> None:
    """Check that devices compute in a precision.

    Raises:
        InputError: it is TF32, which only CUDA devices multiply in.
    """
    if precision == "tf32" and "cpu" in devices:
        msg = f"tf32 is how CUDA devices multiply, and {' and '.join(devices)} is what is asked for"
        raise InputError(msg, "Use --device cuda, or fp32, bf16 or auto.")


def resolve_precision(text: str, devices: Sequence[Device]) -> str:
    """Return what `auto` stands for: `bf16` where the last device multiplies in that by itself; others as they are.

    It may be taken for as good because the study `bf16-equivalence` resolves no loss of accuracy; see docs/speed.md.

    Raises:
        InputError: it is no precision, or not one of these devices.
    """
    import torch

    if text in PRECISIONS:
        check_precision(text, devices)
        return text
    if text != "auto":
        msg = f"{text!r} is no precision"
        raise InputError(msg, f"Give one of {', '.join(PRECISIONS)}, or auto.")
    if devices[-1] == "cuda":
        return "bf16" if torch.cuda.get_device_capability() >= AMPERE else "fp32"
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if any(able.get(kind) for kind in MULTIPLYING) else "fp32"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def memory_bytes() -> int | None:
    """Return the machine's memory, or None where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _commit() -> tuple[str | None, bool | None]:
    """Return the commit that archbench's own source is at and whether it was changed; None for an installed package."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", *words],  # noqa: S607 - whichever git the user has
            cwd=here, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != here.parent:
            return None, None
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None
