"""Data missing, cut, mixed up or unreadable: path and remedy in one line, exit 5, before anything is trained."""

from __future__ import annotations

import gzip
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from test_cli import invoke
from test_data import NAMES, cifar, fer_rows, fill, idx, md5, mnist  # noqa: F401 - fixtures that `root` stands on
from torchvision import datasets as tv

from archbench.data import load_dataset, load_parts
from archbench.data.fer2013 import FER_CLASSES
from archbench.data.folder import SUFFIXES
from archbench.data.torchvision_sets import CIFAR10_CLASSES
from archbench.errors import DataError

RNG = np.random.default_rng(0)
FORBIDDEN = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")

# A data set, and one file that it is read from.
OFFICIAL = {  # whose checksum is known
    "mnist": "MNIST/raw/train-images-idx3-ubyte.gz",
    "cifar10": "cifar-10-batches-py/data_batch_1",
    "cifar100": "cifar-100-python/test",
    "svhn": "svhn/test_32x32.mat",
}
OTHERS = {"fashion_mnist": "FashionMNIST/raw/t10k-labels-idx1-ubyte", "fer2013": "fer2013/fer2013.csv"}
OWN = {"npz:own/arrays.npz": "own/arrays.npz"}
PICTURES = {
    "folder:set": "set/train/bee/01.png",
    "folder:photos": "photos/test/ant/00.jpg",
    "cifar10": "copies/cifar10/test/dog/00.jpg",
    "fer2013": "copies/fer2013-jpeg/train/sad/01.jpg",
}
SINGLE = [*OFFICIAL.items(), *OTHERS.items(), *OWN.items()]


@pytest.fixture
def root(cifar, mnist, monkeypatch):  # noqa: F811
    """A data root that holds a small one of everything; the checksums of the official files are those of these."""
    folder = cifar[0]
    for name in ("cifar10", "cifar100"):
        load_dataset(name, folder, download=True)
    (mnist[0] / "MNIST").rename(folder / "MNIST")
    fashion = folder / "FashionMNIST" / "raw"
    fashion.mkdir(parents=True)
    for name in NAMES:
        (fashion / name).write_bytes(gzip.decompress((folder / "MNIST" / "raw" / f"{name}.gz").read_bytes()))
    (folder / "svhn").mkdir()
    lists = {}
    for part in ("train", "test"):
        file = folder / "svhn" / f"{part}_32x32.mat"
        pixels = RNG.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
        savemat(file, {"X": pixels, "y": np.arange(20, dtype=np.uint8)[:, None] % 10 + 1})
        lists[part] = ["http://127.0.0.1:9/", file.name, md5(file.read_bytes())]
    monkeypatch.setattr(tv.SVHN, "split_list", lists)
    (folder / "fer2013").mkdir()
    usages = ["Training"] * 4 + ["PublicTest"] * 2 + ["PrivateTest"] * 2
    (folder / "fer2013" / "fer2013.csv").write_text(fer_rows(usages, [0, 6, 3, 1, 2, 5, 4, 0]))
    fill(folder / "set", ["train", "validation", "test"], count=3)
    fill(folder / "photos", ["train", "test"], (32, 32), "RGB", 3, ".jpg")
    fill(folder / "copies" / "cifar10", ["train", "test"], (32, 32), "RGB", 2, ".jpg", CIFAR10_CLASSES)
    fill(folder / "copies" / "fer2013-jpeg", ["train", "validation", "test"], (48, 48), "L", 2, ".jpg", FER_CLASSES)
    images = RNG.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    (folder / "own").mkdir()
    np.savez(folder / "own" / "arrays.npz", x=images, y=np.arange(60) % 2)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    return folder


@pytest.fixture
def refused(root, monkeypatch, capsys):
    """Return what a comparison on damaged data says: one line with exit code 5, before there is a run."""

    def compare(name, *said, home=root):
        code, out, err = invoke(
            monkeypatch, capsys, "compare", "mlp", "--budgets", "3k", "--dataset", name, "--data-root", home,
            "--epochs", 1, "--seeds", 1, "--workers", 0, "--out", "out",
        )  # fmt: skip
        assert (code, out) == (5, ""), err
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1
        assert not list(Path("out").glob("*"))
        for words in said:
            assert str(words) in err
        with pytest.raises(DataError) as caught:
            load_dataset(name, home)
        assert caught.value.remedy
        return err

    return compare


def home_of(path, root):
    return root / "copies" if path.startswith("copies/") else root


def gone(file):
    file.unlink()


def folder_instead(file):
    file.unlink()
    file.mkdir()


def loop(file):
    file.unlink()
    file.symlink_to(file)


def lost_link(file):
    file.unlink()
    file.symlink_to("nowhere")


def emptied(file):
    file.write_bytes(b"")


def halved(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def text(file):
    file.write_text("<html>404 Not Found</html>\n")


def zeros(file):
    file.write_bytes(bytes(file.stat().st_size))


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_undamaged_files_are_read(root):
    for name, path in [*SINGLE, *PICTURES.items()]:
        assert (root / path).is_file()
        load_dataset(name, home_of(path, root))


@pytest.mark.parametrize("damage", [gone, folder_instead, loop, lost_link])
@pytest.mark.parametrize(("name", "path"), SINGLE)
def test_data_missing(root, refused, name, path, damage):
    damage(root / path)
    refused(name, (root / path).parent)


@pytest.mark.parametrize("name", [*OFFICIAL, *OTHERS, *OWN, "folder:set"])
def test_folder_missing(tmp_path, refused, name):
    (tmp_path / "empty").mkdir()
    refused(name, tmp_path / "empty", home=tmp_path / "empty")
    refused(name, tmp_path / "nowhere", home=tmp_path / "nowhere")
    refused(
        name, tmp_path / "own" / "arrays.npz", home=tmp_path / "own" / "arrays.npz"
    )  # a file where a folder should be


@FORBIDDEN
@pytest.mark.parametrize(("name", "path"), [*SINGLE, *PICTURES.items()])
def test_data_that_may_not_be_read(root, refused, name, path):
    file = root / path
    file.chmod(0)
    refused(name, file, "Permission denied", home=home_of(path, root))
    file.parent.chmod(0)
    try:
        refused(name, file.parent, home=home_of(path, root))
    finally:
        file.parent.chmod(0o700)


@pytest.mark.parametrize("damage", [flipped, halved, emptied, text, zeros])
@pytest.mark.parametrize(("name", "path"), OFFICIAL.items())
def test_wrong_checksum(root, refused, name, path, damage):
    damage(root / path)
    assert "is damaged or another file: its MD5 is not" in refused(name, root / path, "Fetch it again")


@pytest.mark.parametrize("damage", [emptied, halved, text, zeros])
@pytest.mark.parametrize(("name", "path"), [*OTHERS.items(), *OWN.items()])
def test_truncated_file(root, refused, name, path, damage):
    damage(root / path)
    refused(name, root / path)


IDX_FAULTS = {
    "cut": (idx(np.arange(40) % 4)[:-1], "it holds 39 values, and its header says 40"),
    "too long": (idx(np.arange(40) % 4) + b"x", "it holds 41 values, and its header says 40"),
    "images": (b"\0\0\x08\x03" + idx(np.arange(40) % 4)[4:], "it begins with 00 00 08 03, not with 00 00 08 01"),
    "floats": (b"\0\0\x0d\x01" + idx(np.arange(40) % 4)[4:], "it begins with 00 00 0d 01, not with 00 00 08 01"),
    "no sides": (b"\0\0\x08\x01", "it begins with 00 00 08 01, not with 00 00 08 01 and 1 sides"),
    "nothing": (b"", "it begins with nothing"),
    "no values": (idx(np.arange(0)), "it holds no values"),
    "packed": (gzip.compress(idx(np.arange(40) % 4), mtime=0), "it begins with 1f 8b 08 00"),
}


@pytest.mark.parametrize(("content", "said"), IDX_FAULTS.values(), ids=IDX_FAULTS)
def test_wrong_magic_number_or_length(root, refused, content, said):
    file = root / "FashionMNIST" / "raw" / NAMES[1]
    file.write_bytes(content)
    refused("fashion_mnist", file, said, "Fetch it again")


def test_cut_gzip_with_a_known_checksum(root, refused, monkeypatch):
    file = root / "MNIST" / "raw" / f"{NAMES[0]}.gz"
    for length in (3, 30, file.stat().st_size - 4):
        content = file.read_bytes()[:length]
        file.with_name("cut").write_bytes(content)
        resources = [(name, md5(content) if name == file.name else known) for name, known in tv.MNIST.resources]
        whole = file.read_bytes()
        file.write_bytes(content)
        with monkeypatch.context() as patch:
            patch.setattr(tv.MNIST, "resources", resources)
            refused("mnist", f"{file} cannot be read", "Fetch it again")
        file.write_bytes(whole)


def test_label_out_of_range(root, refused):
    file = root / "FashionMNIST" / "raw" / NAMES[1]
    file.write_bytes(idx(np.arange(40) % 11))
    refused("fashion_mnist", file.parent, "40 labels up to 10, which is not FashionMNIST")


# --- images


@pytest.mark.parametrize("damage", [emptied, halved, text, zeros, folder_instead, loop, lost_link])
@pytest.mark.parametrize(("name", "path"), PICTURES.items())
def test_truncated_image(root, refused, name, path, damage):
    damage(root / path)
    refused(name, root / path, "cannot be read as an image", "Replace or remove", home=home_of(path, root))


def pixels_of(folder):
    return load_parts(f"folder:{folder / 'set'}").images["all"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_image_of_any_kind_is_never_half_read(tmp_path, capfd, suffix):
    pixels = RNG.integers(0, 256, (24, 24), dtype=np.uint8)
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(pixels).convert("L" if suffix == ".pgm" else "RGB").save(tmp_path / "set" / name / f"0{suffix}")
    last = tmp_path / "set" / "bee" / f"0{suffix}"
    expected, content, refusals = pixels_of(tmp_path), last.read_bytes(), 0
    for length in [*range(0, len(content), 13), *range(len(content) - 24, len(content))]:
        last.write_bytes(content[:length])
        try:
            assert (pixels_of(tmp_path) == expected).all()  # what is cut off says nothing of the pixels
        except DataError as error:
            assert str(last) in str(error)
            refusals += 1
    assert refusals >= len(content) // 13
    assert capfd.readouterr().err == ""


def test_images_of_another_size_or_mode(root, refused):
    for name, path in PICTURES.items():
        file = root / path
        Image.fromarray(np.zeros((5, 7, 3), "uint8")).save(file)
        said = refused(name, file.name, "1 of 5x7", home=home_of(path, root))
        assert str(file.parents[2]) in said
        assert "--preprocess letterbox:S or resize:S" in said


# --- classes


def test_empty_class(root, refused):
    for part in ("train", "validation", "test"):
        folder = root / "set" / part / "bee"
        shutil.move(folder, root / "kept")
        folder.mkdir()
        refused("folder:set", f"{folder} holds no image", "PATH/train/<class>")
        (folder / "Thumbs.db").write_bytes(b"x")
        refused("folder:set", f"{folder} holds no image; passed over: 1 .db")
        shutil.rmtree(folder)
        shutil.move(root / "kept", folder)
    shutil.rmtree(root / "set" / "validation" / "bee")  # it may do without, and says so
    load_dataset("folder:set", root)
    sad = root / "copies" / "fer2013-jpeg" / "test" / "sad"
    shutil.rmtree(sad)
    sad.mkdir()
    refused("fer2013", f"{sad} holds no image", home=root / "copies")
    for file in (root / "copies" / "cifar10" / "train" / "cat").iterdir():
        file.unlink()
    refused("cifar10", root / "copies" / "cifar10" / "train" / "cat", home=root / "copies")


def test_a_class_with_images_in_train_only(root, refused):
    for folder, name, home in (
        (root / "set" / "test" / "bee", "folder:set", root),
        (root / "copies" / "cifar10" / "test" / "cat", "cifar10", root / "copies"),
    ):
        shutil.rmtree(folder)
        refused(name, f"{folder} holds no image", home=home)


@pytest.mark.parametrize("place", ["set/train/cow", "set/test/cow", "set/validation/cow"])
def test_a_class_or_a_part_behind_a_lost_link_is_not_passed_over(root, refused, place):
    for target in ("nowhere", root / place):
        (root / place).symlink_to(target)
        refused("folder:set", f"{root / place} is a link that leads nowhere")
        (root / place).unlink()
    part = (root / place).parent
    shutil.rmtree(part)
    part.symlink_to("nowhere")
    refused("folder:set", f"{part} is no folder")


def test_two_folders_of_one_class(root, refused):
    train = root / "copies" / "cifar10" / "train"
    shutil.copytree(train / "cat", train / "Cat")
    refused("cifar10", train / "cat", train / "Cat", home=root / "copies")


# --- the table of FER2013

ROW = "3,Training," + " ".join(["7"] * 48 * 48)
BAD_ROWS = {
    "too few pixels": (ROW[:-2], "line 4 has 2,303 pixels, not 2,304"),
    "too many pixels": (f"{ROW} 7", "line 4 has 2,305 pixels"),
    "no pixels": ("3,Training,", "line 4 has 0 pixels"),
    "a word": (f"{ROW[:-1]}x", "line 4 has the pixel 'x', not 0 to 255"),
    "a fraction": (f"{ROW[:-1]}7.5", "line 4 has the pixel '7.5'"),
    "too bright": (f"{ROW[:-1]}256", "line 4 has the pixel '256'"),
    "negative": (f"{ROW[:-1]}-1", "line 4 has the pixel '-1'"),
    "label out of range": (ROW.replace("3", "7", 1), "line 4: its Usage or emotion is unknown"),
    "no label": (ROW.replace("3", "", 1), "line 4: its Usage or emotion is unknown"),
    "label with a NUL": (ROW.replace("3", "3\0", 1), "line 4: its Usage or emotion is unknown"),
    "cut usage": (ROW.replace("Training", "Train"), "line 4: its Usage or emotion is unknown"),
    "empty row": (",,", "line 4 has 0 pixels"),
    "blank line": ("", "line 4 has 0 pixels"),
    "NUL": (f"{ROW[:-1]}7\0", "line 4 has the pixel '7\\x00'"),
    "NULs": ("\0" * len(ROW), "line 4 has 0 pixels"),
    "invalid UTF-8": (f"{ROW[:-1]}\udcff", "line 4 has the pixel '\\\\xff'"),
    "one column more": (f"{ROW},1", "Expected 3 fields in line 4, saw 4"),
    "one column less": ("3,Training", "line 4 has 0 pixels"),
    "an open quote": (ROW.replace("3", '"3', 1), "EOF inside string starting at row 3"),
}


@pytest.mark.parametrize(("row", "said"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_unreadable_csv_row(root, refused, row, said):
    file = root / "fer2013" / "fer2013.csv"
    lines = file.read_text().splitlines()
    file.write_bytes("\n".join([*lines[:3], row, *lines[4:], ""]).encode(errors="surrogateescape"))
    refused("fer2013", file, said)


def test_unreadable_csv_table(root, refused):
    file = root / "fer2013" / "fer2013.csv"
    header, *rows = file.read_text().splitlines()
    for lines, said in (
        ([header], "it has no rows"),
        (["emotion,Usage", *rows], "more columns than its first line names"),
        (["feeling,Usage,pixels", *rows], "'emotion'"),
        (rows, "is not FER2013's table"),
        ([header, *rows[:4]], "no row of the Usage PublicTest and PrivateTest"),
    ):
        file.write_text("\n".join(lines))
        refused("fer2013", file, said, "fer2013.csv")
    file.write_text("\ufeff" + "\r\n".join([header, *rows, "", ""]), newline="")  # none of this is damage
    assert load_dataset("fer2013", root).counts == (4, 2, 2)


# --- arrays


def test_arrays_with_a_smaller_shape_in_their_header_are_refused(root, refused):
    file = root / "own" / "arrays.npz"
    images = RNG.integers(0, 256, (60, 64, 64), dtype=np.uint8)
    np.savez(file, x=images, y=np.arange(60) % 2)
    file.write_bytes(file.read_bytes().replace(b"(60, 64, 64)", b"(60, 44, 64)"))
    refused("npz:own/arrays.npz", f"{file}: x cannot be read: its CRC is wrong", "numpy.savez")


def test_arrays_that_are_none_or_hold_objects(root, refused):
    file, images, labels = (
        root / "own" / "arrays.npz",
        RNG.integers(0, 256, (60, 8, 8), dtype=np.uint8),
        np.arange(60) % 2,
    )

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(root / "sprung"),)

    for content, said in (
        ({}, "it holds nothing"),
        ({"pictures": images}, "it holds pictures"),
        ({"x": np.array([Trap()] * 60), "y": labels}, "x cannot be read"),
        ({"x": images.astype(str), "y": labels}, "x is of the kind <U"),
        ({"x": images.astype("datetime64[s]"), "y": labels}, "x is of the kind datetime64"),
        ({"x": images.astype(complex), "y": labels}, "x is of the kind complex"),
        ({"x": images.astype([("r", "u1")]), "y": labels}, "x is of the kind [('r'"),
        ({"x": images[0, 0, 0], "y": labels}, "x has the shape ()"),
        ({"x": images, "y": labels[0]}, "y has the shape ()"),
        ({"x": images, "y": labels.astype(complex)}, "y is complex128"),
        ({"x": images, "y": labels * np.nan}, "y is float64 from nan"),
        ({"x": images, "y": labels, "classes": np.array([None, None])}, "classes cannot be read"),
    ):
        np.savez(file, **content)
        refused("npz:own/arrays.npz", file, said)
    assert not (root / "sprung").exists()


def test_arrays_larger_than_memory_are_refused(root, refused):
    file = root / "own" / "arrays.npz"
    with zipfile.ZipFile(file, "w") as packed:
        for name, shape in (("x", (10**9, 10**3, 10**3)), ("y", (1,))):
            with packed.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(
                    member, {"descr": "|u1", "fortran_order": False, "shape": shape}
                )  # fmt: skip
    refused("npz:own/arrays.npz", f"{file}: x cannot be read")
