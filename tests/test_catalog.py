from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from archbench import catalog

LIST = """
import sys
from archbench import catalog
rows = catalog.models(["res*", "mlp"])
print([(row.model, row.params, row.macs) for row in rows], "torch" in sys.modules, sep="|")
"""


def listed(cache):
    """Return what a process of its own lists, and whether it needed torch."""
    done = subprocess.run(
        [sys.executable, "-c", LIST], capture_output=True, text=True, check=True, env={"ARCHBENCH_CACHE": str(cache)}
    )
    rows, _, counted = done.stdout.strip().rpartition("|")
    return rows, counted == "True"


def test_a_list_is_made_once_and_again_where_it_is_damaged(tmp_path):
    rows, counted = listed(tmp_path)
    assert counted
    assert "('mlp', 402250, " in rows
    assert listed(tmp_path) == (rows, False)
    (file,) = (tmp_path / "lists").iterdir()
    file.write_bytes(file.read_bytes().replace(b"402250", b"402251"))
    assert listed(tmp_path) == (rows, True)


@pytest.mark.parametrize("changed", ["source", "library"])
def test_a_list_is_another_where_what_it_follows_from_is(changed, tmp_path, monkeypatch):
    for name in ("archbench", "zoo"):
        (tmp_path / name).mkdir()
    source = tmp_path / "zoo" / "net.py"
    source.write_text("width = 1")
    monkeypatch.setattr(catalog, "__file__", str(tmp_path / "archbench" / "catalog.py"))
    before = catalog._fingerprint()
    assert catalog._fingerprint() == before
    source.write_text("width = 2" if changed == "source" else "width = 1")
    if changed == "library":
        monkeypatch.setattr(catalog.importlib.metadata, "version", lambda name: "0")
    assert catalog._fingerprint() != before


def test_where_there_are_plugins_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path))
    monkeypatch.delitem(sys.modules, "zoo.registry", raising=False)
    plugin = SimpleNamespace(name="mine", load=lambda: 1 / 0)
    monkeypatch.setattr(catalog.importlib.metadata, "entry_points", lambda group: [plugin])
    monkeypatch.setattr(catalog, "_models", lambda *asked: ["counted"])
    assert catalog.models() == ["counted"]
    assert not list(Path(tmp_path).iterdir())


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path / "file"))
    monkeypatch.delitem(sys.modules, "zoo.registry", raising=False)
    monkeypatch.setattr(catalog, "_models", lambda *asked: [])
    assert catalog.models() == []
