from __future__ import annotations

import importlib.util

import numpy as np
import torch
from numba import njit

from archbench.quick.compiling import OPTIONS, at, compiled, put


def copied(maps, done):
    """Put all values of maps into others."""
    for place in range(len(maps)):
        put(done, place, at(maps, place))


def test_all_numbers_of_half_precision_come_and_go():
    every = np.arange(2**16, dtype=np.uint16)
    done = np.zeros_like(every)
    njit(**OPTIONS)(copied)(every, done)
    numbers, came = (torch.from_numpy(bits).view(torch.bfloat16) for bits in (every, done))
    assert torch.equal(numbers.isnan(), came.isnan())
    assert np.array_equal(every[~numbers.isnan().numpy()], done[~numbers.isnan().numpy()])


def test_single_precision_is_rounded_as_torch_does():
    torch.manual_seed(0)
    bits = torch.randint(-(2**31), 2**31, (100_000,), dtype=torch.int64).to(torch.int32)
    ties = (bits & -(2**16)) | 2**15
    values = torch.cat([bits, ties]).view(torch.float32)
    done = torch.zeros(len(values), dtype=torch.uint16)
    njit(**OPTIONS)(copied)(values.numpy(), done.numpy())
    torch.testing.assert_close(done.view(torch.bfloat16), values.bfloat16(), rtol=0, atol=0, equal_nan=True)


def test_loops_are_compiled_where_no_cache_can_be_kept():
    """As of a function that is in no file."""
    place = {"at": at, "put": put}
    exec("def doubled(maps, done):\n    for i in range(len(maps)):\n        put(done, i, 2 * at(maps, i))", place)
    doubled = compiled(2)(place["doubled"])
    for values in (np.arange(5, dtype=np.float32), torch.arange(5).bfloat16().view(torch.uint16).numpy()):
        done = np.zeros_like(values)
        doubled(values, done)
        found = done if done.dtype == np.float32 else torch.from_numpy(done).view(torch.bfloat16).float().numpy()
        assert found.tolist() == [0, 2, 4, 6, 8]


def test_a_damaged_cache_is_not_believed_and_not_missed(tmp_path):
    file = tmp_path / "kept.py"
    file.write_text(
        "from archbench.quick.compiling import at, compiled, put\n\n\n@compiled(2)\ndef halved(maps, done):\n"
        "    for place in range(len(maps)):\n        put(done, place, at(maps, place) / 2)\n"
    )
    for damaged in (".nbi", ".nbc"):
        halved = _module(file).halved
        kept = [path for path in tmp_path.rglob("*") if path.suffix == damaged]
        assert kept
        for path in kept:
            path.write_bytes(path.read_bytes()[:20])
        halved = _module(file).halved
        done = np.zeros(3, np.float32)
        halved(np.array([2, 4, 6], np.float32), done)
        assert done.tolist() == [1, 2, 3]


def _module(file):
    """Return a module, read anew."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
