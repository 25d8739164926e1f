"""Where results go: a disk that fills, a folder or a store that cannot be written, a disk of another machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from conftest import QUICK
from processes import BRIEFLY, Running, attempts, done_rows, linux, results
from test_cli import invoke

from archbench import pipeline
from archbench.loading import load
from archbench.manner import Manner
from archbench.store import FILE_NAME

WORDS = ("compare", "mlp", "--budgets", "60k", "--epochs", "4", "--seeds", "3", *BRIEFLY, "--workers", "2")


@contextmanager
def small_disk(folder, size):
    """Within: the folder is a disk of its own."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "archbench", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@linux
def test_disk_full(tmp_path, monkeypatch, capsys):
    """The sweep stops, names the path, and every commit is kept; with room the same command comes to its end."""
    disk = tmp_path / "disk"
    with small_disk(disk, "1500k"):
        running = Running(*WORDS, "--out", disk / "out")
        code, out, err = running.end()
        assert code == 6, out + err
        assert "Traceback" not in out + err
        assert "No space left on device" in err or "database or disk is full" in err
        assert str(disk / "out") in err
        running.all_end()
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        before = done_rows(disk / "out")
        attempts(disk / "out")  # the store is sound
        code, out, err = invoke(monkeypatch, capsys, *WORDS, "--out", disk / "out")
        assert code == 0, out + err
        assert before.items() <= done_rows(disk / "out").items()
        pipeline.run(load(disk / "out").study, tmp_path / "whole", manner=Manner(0), protocol=QUICK)
        assert results(disk / "out") == results(tmp_path / "whole")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_folder_unwritable(tmp_path, monkeypatch, capsys):
    tmp_path.chmod(0o500)
    code, out, err = invoke(monkeypatch, capsys, *WORDS, "--out", tmp_path / "out")
    tmp_path.chmod(0o700)
    assert code == 6
    assert f"{tmp_path / 'out'} cannot be written" in err
    assert out == ""


@linux
def test_read_only_file_system(tmp_path, monkeypatch, capsys):
    disk = tmp_path / "disk"
    with small_disk(disk, "10m"):
        (disk / "out").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        code, out, err = invoke(monkeypatch, capsys, *WORDS, "--out", disk / "out")
    assert code == 6
    assert f"{disk / 'out'} cannot be written: Read-only file system" in err
    assert "training" not in out + err


@linux
def test_read_only_store_is_read_and_not_written(tmp_path, filled, monkeypatch, capsys):
    disk = tmp_path / "disk"
    with small_disk(disk, "10m"):
        shutil.copytree(filled.folder, disk / "out")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert load(disk / "out").records == filled.records
        code, _, err = invoke(monkeypatch, capsys, *WORDS, "--out", disk / "out")
        assert code == 6
        assert "cannot be written" in err


def test_network_file_system(tmp_path, monkeypatch, capsys):
    import psutil

    mounts = [SimpleNamespace(mountpoint=str(tmp_path), fstype="nfs4")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounts)
    code, out, err = invoke(monkeypatch, capsys, *WORDS, "--out", tmp_path / "out")
    assert code == 6
    assert "lies on a network file system (nfs4)" in err
    assert "training" not in out + err
    assert not (tmp_path / "out" / FILE_NAME).exists()
