"""What is prepared once and kept: damaged, made by two at once, or not to be kept; never used where it is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from test_cli import invoke
from test_data_faults import FORBIDDEN, emptied, flipped, folder_instead, halved, loop, text, zeros

from archbench.data import load_dataset

CAPTCHA = "captcha[train=6,validation=3,test=3]"


def forbidden(file):
    file.chmod(0)


def lost_array(file):
    with zipfile.ZipFile(file) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(file, "w") as packed:
        for name in [name for name in members if name != "labels.npy"]:
            packed.writestr(name, members[name])


def smaller_shape(file):
    file.write_bytes(file.read_bytes().replace(b"50, 130)", b"50, 100)"))


def other_arrays(file):
    with file.open("wb") as target:
        np.savez(target, pictures=np.zeros(3))


CACHE_DAMAGES = [emptied, halved, text, zeros, flipped, loop, folder_instead, lost_array, smaller_shape, other_arrays]


@pytest.mark.parametrize(
    "damage", [*CACHE_DAMAGES, pytest.param(forbidden, marks=FORBIDDEN)], ids=lambda damage: damage.__name__
)
def test_broken_cache_entry_is_made_anew(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path / "cache"))
    expected = load_dataset(CAPTCHA).sha256
    whole = {file: file.read_bytes() for file in (tmp_path / "cache" / "captcha").iterdir()}
    assert len(whole) == 3
    for file in whole:
        damage(file)
    assert load_dataset(CAPTCHA).sha256 == expected
    if damage is not folder_instead:  # in whose place no file can be put
        assert {file: file.read_bytes() for file in (tmp_path / "cache" / "captcha").iterdir()}.keys() == whole.keys()
        monkeypatch.setattr("archbench.data.captcha.draw", None)
        assert load_dataset(CAPTCHA).sha256 == expected


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch, capsys):
    expected = load_dataset(CAPTCHA).sha256
    (tmp_path / "file").write_text("no folder")
    for place in ("/dev/null/cache", tmp_path / "file"):
        monkeypatch.setenv("ARCHBENCH_CACHE", str(place))
        assert load_dataset(CAPTCHA).sha256 == expected
        code, _, err = invoke(monkeypatch, capsys, "datasets", "prepare", CAPTCHA)
        assert (code, len(err.splitlines())) == (6, 1)
        assert str(place) in err


def test_two_runs_that_prepare_the_cache_at_once(tmp_path):
    code = f"from archbench.data import load_dataset; print(load_dataset({CAPTCHA.replace('=6', '=300')!r}).sha256)"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "ARCHBENCH_CACHE": str(tmp_path / "cache")},
        )
        for _ in range(2)
    ]  # fmt: skip
    told = [process.communicate(timeout=120)[0] for process in started]
    assert told[0] == told[1] != ""
    files = sorted(file.suffix for file in (tmp_path / "cache" / "captcha").iterdir())
    assert files == [".npz"] * 3
