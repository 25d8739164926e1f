from __future__ import annotations

import hashlib
import pickle

import pytest
import torch

from archbench.errors import OutputError
from archbench.execute.checkpoints import KEPT, folder_of, read_checkpoint, remove_checkpoints, write_checkpoint


def state(epoch):
    return {"epoch": epoch, "net": {"weight": torch.full((2, 3), float(epoch))}, "optimizer": {}}


def written(folder, epochs=3):
    """Write the states of so many epochs; return the last with their hashes, as a job has them."""
    return [(number, write_checkpoint(folder, state(number))) for number in range(1, epochs + 1)][-KEPT:]


def files(folder):
    return sorted(file.name for file in folder.iterdir())


def test_what_is_written_comes_back_with_its_tensors(tmp_path):
    found, notes = read_checkpoint(tmp_path, written(tmp_path, 1), "cpu")
    assert notes == []
    assert found["epoch"] == 1
    assert torch.equal(found["net"]["weight"], torch.ones(2, 3))


def test_the_hash_is_of_the_files_bytes(tmp_path):
    sha256 = write_checkpoint(tmp_path / "new" / "deep", state(7))
    (file,) = (tmp_path / "new" / "deep").iterdir()
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256


def test_the_last_two_are_kept_and_nothing_half_written(tmp_path):
    written(tmp_path, 12)
    assert files(tmp_path) == ["epoch-000011.pt", "epoch-000012.pt"]


@pytest.mark.parametrize("number", [9, 99, 99_999])
def test_the_last_two_are_those_of_the_highest_epochs_whatever_their_digits(tmp_path, number):
    for epoch in (number - 1, number, number + 1):
        write_checkpoint(tmp_path, state(epoch))
    kept = [(epoch, _hash(tmp_path, epoch)) for epoch in (number, number + 1)]
    assert len(files(tmp_path)) == 2
    found, notes = read_checkpoint(tmp_path, kept, "cpu")
    assert (found["epoch"], notes) == (number + 1, [])


def _hash(folder, number):
    return hashlib.sha256((folder / f"epoch-{number:06}.pt").read_bytes()).hexdigest()


def spoil(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_damaged_one_falls_back_to_the_one_before_and_is_named(tmp_path):
    kept = written(tmp_path)
    spoil(tmp_path / "epoch-000003.pt")
    found, notes = read_checkpoint(tmp_path, kept, "cpu")
    assert found["epoch"] == 2
    assert notes == ["the checkpoint of epoch 3 is damaged"]


def test_two_that_are_damaged_leave_none(tmp_path):
    kept = written(tmp_path)
    for file in tmp_path.iterdir():
        spoil(file)
    assert read_checkpoint(tmp_path, kept, "cpu") == (
        None, ["the checkpoint of epoch 3 is damaged", "the checkpoint of epoch 2 is damaged"]
    )  # fmt: skip


@pytest.mark.parametrize("length", [0, 1, 100])
def test_one_that_is_cut_is_damaged(tmp_path, length):
    kept = written(tmp_path)
    file = tmp_path / "epoch-000003.pt"
    file.write_bytes(file.read_bytes()[:length])
    assert read_checkpoint(tmp_path, kept, "cpu")[1] == ["the checkpoint of epoch 3 is damaged"]


def test_one_that_is_missing_falls_back_and_says_why(tmp_path):
    kept = written(tmp_path)
    (tmp_path / "epoch-000003.pt").unlink()
    found, notes = read_checkpoint(tmp_path, kept, "cpu")
    assert found["epoch"] == 2
    assert notes == ["the checkpoint of epoch 3 cannot be read (No such file or directory)"]


def test_a_folder_that_is_gone_leaves_none(tmp_path):
    kept = written(tmp_path / "run")
    remove_checkpoints(tmp_path / "run")
    found, notes = read_checkpoint(tmp_path / "run", kept, "cpu")
    assert found is None
    assert [note[:28] for note in notes] == ["the checkpoint of epoch 3 ca", "the checkpoint of epoch 2 ca"]


def test_a_run_that_begins_again_keeps_its_new_state_and_not_the_damaged_ones(tmp_path):
    kept = written(tmp_path, 5)
    for file in tmp_path.iterdir():
        spoil(file)
    assert read_checkpoint(tmp_path, kept, "cpu")[0] is None
    for epochs in (1, 2):
        found, notes = read_checkpoint(tmp_path, written(tmp_path, epochs), "cpu")
        assert (found["epoch"], notes) == (epochs, [])
        assert files(tmp_path) == [f"epoch-{number:06}.pt" for number in range(1, epochs + 1)]


def test_a_run_that_goes_on_behind_the_last_but_one_keeps_it_and_what_is_new(tmp_path):
    written(tmp_path, 5)
    spoil(tmp_path / "epoch-000005.pt")
    write_checkpoint(tmp_path, state(5))
    assert files(tmp_path) == ["epoch-000004.pt", "epoch-000005.pt"]
    found, notes = read_checkpoint(tmp_path, [(number, _hash(tmp_path, number)) for number in (4, 5)], "cpu")
    assert (found["epoch"], notes) == (5, [])


def test_other_files_beside_the_checkpoints_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("of the user")
    written(tmp_path, 4)
    assert files(tmp_path) == ["epoch-000003.pt", "epoch-000004.pt", "notes.txt"]


def test_a_file_newer_than_what_is_stored_is_not_believed(tmp_path):
    kept = written(tmp_path)
    found, notes = read_checkpoint(tmp_path, kept[:1], "cpu")  # killed between the file and its row
    assert (found["epoch"], notes) == (2, [])


def test_where_none_was_kept_none_is_looked_for(tmp_path):
    written(tmp_path)
    assert read_checkpoint(tmp_path, [], "cpu") == (None, [])


class Evil:
    def __reduce__(self):
        return (print, ("code that a checkpoint brought",))


def test_a_pickle_of_other_things_is_never_run_even_where_its_hash_fits(tmp_path, capsys):
    file = tmp_path / "epoch-000001.pt"
    torch.save({"epoch": 1, "net": Evil()}, file)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        read_checkpoint(tmp_path, [(1, _hash(tmp_path, 1))], "cpu")
    assert capsys.readouterr().out == ""


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_checkpoint(tmp_path / "file" / "run", state(1))


def test_each_run_has_a_folder_of_its_own(tmp_path):
    assert folder_of(tmp_path, "a" * 64) == tmp_path / ("a" * 16)


def test_what_is_over_leaves_no_folder_and_what_is_not_stays(tmp_path):
    written(folder_of(tmp_path / "checkpoints", "a" * 64))
    written(folder_of(tmp_path / "checkpoints", "b" * 64))
    remove_checkpoints(folder_of(tmp_path / "checkpoints", "a" * 64))
    assert files(tmp_path / "checkpoints") == ["b" * 16]
    remove_checkpoints(folder_of(tmp_path / "checkpoints", "b" * 64))
    assert list(tmp_path.iterdir()) == []
    remove_checkpoints(folder_of(tmp_path / "checkpoints", "b" * 64))
