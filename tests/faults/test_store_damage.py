"""Stores that are damaged, cut, none, another's, newer, or caught in the middle of being brought up to date."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import TIMES
from test_cli import invoke

from archbench.errors import StoreError
from archbench.store import FILE_NAME, Store

V1 = Path(__file__).parents[1] / "stores" / "v1.sqlite"
FLIPS, CUTS = 300, 20


def content(store):
    """Return all that a store says, by name."""
    found = {f"record {key}": record for key, record in store.records().items()}
    found |= {f"attempt {attempt.id}": attempt for attempt in store.attempts()}
    found |= {f"timing {place} {t.session} {t.sized_key} {t.mode}": t for place, t in enumerate(store.timings())}
    return found | {"study": store.last_study()}


def named(found):
    """Return the names without the place among others, which changes where one is missing."""
    return {" ".join(name.split()[::2]) if name.startswith("timing") else name: value for name, value in found.items()}


def look(folder):
    """Return what a store says and what it finds damaged; None where it cannot be opened at all."""
    try:
        with Store(folder) as store:
            found = content(store)
            return found, list(store.damage), store.verify()
    except StoreError as error:
        assert error.exit_code == 4
        return None


@pytest.fixture
def whole(filled, tmp_path):
    shutil.copy(filled.folder / FILE_NAME, tmp_path / "whole.sqlite")
    (tmp_path / "folder").mkdir()
    with Store(filled.folder) as store:
        return (tmp_path / "whole.sqlite").read_bytes(), content(store)


def held_against(folder, bytes_, before):
    """Check that a damaged store says nothing that is wrong, and that it is named where anything is missing.

    Returns whether anything was lost.
    """
    file = folder / FILE_NAME
    file.write_bytes(bytes_)
    seen = look(folder)
    assert file.read_bytes() == bytes_, "the file was written to"
    if seen is None:
        return True
    found, damage, verified = seen
    wrong = {name for name in found if not name.startswith("timing") and found[name] != before.get(name)}
    lost = {name for name in before if name not in found}
    # An environment that cannot be read, and an epoch, are missing from a record that is right in all else.
    assert all(name.startswith("record") or name == "study" for name in wrong) or verified, wrong
    assert len(verified) > 0 or not (wrong or lost), f"silent: {wrong or lost}"
    assert set(damage) <= set(verified)
    return bool(wrong or lost or verified)


def test_bit_flips(whole, tmp_path):
    """Of 300 flipped bits none is silent: what is damaged is named, the rest is read, and the file stays as it is."""
    bytes_, before = whole
    chance = random.Random(3)
    lost = 0
    for _ in range(FLIPS):
        flipped = bytearray(bytes_)
        place = chance.randrange(len(flipped))
        flipped[place] ^= 1 << chance.randrange(8)
        lost += held_against(tmp_path / "folder", bytes(flipped), before)
    assert lost > FLIPS / 10  # else this test damaged nothing


def test_truncation(whole, tmp_path):
    bytes_, before = whole
    chance = random.Random(4)
    cuts = [chance.randrange(len(bytes_)) for _ in range(CUTS - 4)] + [0, 100, 4096, len(bytes_) - 4096]
    for cut in cuts:
        if cut == 0:
            (tmp_path / "folder" / FILE_NAME).write_bytes(b"")
            assert look(tmp_path / "folder") is None
        else:
            assert held_against(tmp_path / "folder", bytes_[:cut], before)


def test_damage_is_named_by_verify_and_doctor_and_the_rest_is_exported(whole, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "folder"
    (folder / FILE_NAME).write_bytes(whole[0])
    with sqlite3.connect(folder / FILE_NAME) as db:
        db.execute("DROP TRIGGER attempts_done")
        db.execute("UPDATE attempts SET training = replace(training, 'top1', 'top2') WHERE id = 3")
    db.close()
    held = (folder / FILE_NAME).read_bytes()
    for words in (("results", "verify", folder), ("doctor", folder)):
        code, out, err = invoke(monkeypatch, capsys, *words)
        assert code == 4
        assert "attempts 3: its content does not fit its hash" in out
        assert "Traceback" not in out + err
    code, out, err = invoke(monkeypatch, capsys, "results", "export", folder, "--json")
    assert code == 0
    assert len(json.loads(out)) == 7
    assert "1 damaged rows" in err
    code, out, err = invoke(monkeypatch, capsys, "results", "verify", folder, "--salvage", tmp_path / "saved")
    assert code == 4
    assert (folder / FILE_NAME).read_bytes() == held
    with Store(tmp_path / "saved") as store:
        assert store.verify() == []
        assert len(store.records()) == 7


def test_pages_that_are_damaged_are_not_written_to(whole, tmp_path):
    folder = tmp_path / "folder"
    bytes_ = bytearray(whole[0])
    bytes_[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    (folder / FILE_NAME).write_bytes(bytes_)
    with pytest.raises(StoreError, match=r"damaged|cannot be read") as caught:
        Store(folder, create=True)
    assert caught.value.exit_code == 4
    assert (folder / FILE_NAME).read_bytes() == bytes_


@pytest.mark.parametrize("text", [b"this is a text of some length, and no database at all" * 40, b"\0" * 5000])
def test_not_a_database(tmp_path, monkeypatch, capsys, text):
    (tmp_path / FILE_NAME).write_bytes(text)
    for words in (
        ("compare", "mlp", "--budgets", "3k", "--out", tmp_path), ("results", "list", tmp_path),
        ("results", "verify", tmp_path), ("export", tmp_path), ("resume", tmp_path),
    ):  # fmt: skip
        code, out, err = invoke(monkeypatch, capsys, *words)
        assert code == 4, words
        assert FILE_NAME in out + err
        assert "Traceback" not in out + err
    assert (tmp_path / FILE_NAME).read_bytes() == text


def test_newer_schema(tmp_path, monkeypatch, capsys):
    with Store(tmp_path, create=True):
        pass
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    held = (tmp_path / FILE_NAME).read_bytes()
    for words in (("compare", "mlp", "--budgets", "3k", "--out", tmp_path), ("results", "list", tmp_path)):
        code, _, err = invoke(monkeypatch, capsys, *words)
        assert code == 4
        assert "Upgrade archbench: pip install --upgrade archbench" in err
    assert (tmp_path / FILE_NAME).read_bytes() == held


MIGRATE = """
import sys
from pathlib import Path
from archbench.store import Store
print("ready", flush=True)
with Store(Path(sys.argv[1]), create=True) as store:
    print("done", flush=True)
"""


def large_v1(folder):
    """Make a store of schema 1 with so many rows that bringing it up to date takes a while."""
    folder.mkdir()
    shutil.copy(V1, folder / FILE_NAME)
    with sqlite3.connect(folder / FILE_NAME) as db:
        for _ in range(8):
            db.execute("INSERT INTO timings (session, sized_key, timing, sha256) "
                       "SELECT session, sized_key, timing, sha256 FROM timings")  # fmt: skip
    db.close()


def test_killed_migration(tmp_path):
    """At whatever moment it is killed, the store is the old one or the new one, and the old one is kept."""
    large_v1(tmp_path / "v1")
    chance = random.Random(5)
    with Store(tmp_path / "v1") as store:
        whole = content(store)
    took, seen = 1.0, set()
    for number in range(max(6, TIMES)):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "v1", folder)
        process = subprocess.Popen([sys.executable, "-c", MIGRATE, str(folder)], stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        begun = time.monotonic()
        if number:
            time.sleep(chance.uniform(0, took))
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        took = took if number else time.monotonic() - begun
        with Store(folder) as store:
            assert content(store) == whole
            assert store.verify() == []
        with sqlite3.connect(folder / FILE_NAME) as db:
            seen.add(db.execute("PRAGMA user_version").fetchone()[0])
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
        copy = folder / "results.v1.sqlite"
        if copy.exists():
            with sqlite3.connect(copy) as db:
                assert db.execute("PRAGMA user_version").fetchone() == (1,)
                assert db.execute("SELECT count(*) FROM runs").fetchone() == (7,)
            db.close()
    assert 2 in seen
