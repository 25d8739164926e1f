"""Sources on small files made here; every fault of the files is said with its path and the remedy."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets as tv

from archbench import data
from archbench.data import load_dataset, register_dataset
from archbench.data.splits import split_all, split_validation, three_splits
from archbench.errors import DataError, InputError

RNG = np.random.default_rng(0)


def test_digits_are_scikit_learns():
    digits = load_dataset("digits")
    bunch = load_digits()
    images = torch.cat([digits.images[split] for split in data.SPLITS])
    labels = torch.cat([digits.labels[split] for split in data.SPLITS])
    assert digits.input_shape == (1, 8, 8)
    assert len(images) == 1797
    ours = {(image.numpy().tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}
    levels = np.rint(bunch.images * 255 / 16).astype("uint8")
    theirs = {(image.tobytes(), int(label)) for image, label in zip(levels, bunch.target, strict=True)}
    assert ours == theirs


def test_digits_are_split_60_20_20_with_equal_shares_of_each_class():
    digits = load_dataset("digits")
    sizes = {split: len(digits.labels[split]) for split in data.SPLITS}
    assert sizes == {"train": 1079, "validation": 359, "test": 359}
    for split, labels in digits.labels.items():
        shares = torch.bincount(labels) / len(labels)
        assert (shares - 0.1).abs().max() < 0.01, split


def test_no_image_is_in_two_splits_unless_the_source_has_it_twice():
    images = torch.arange(400, dtype=torch.int32).reshape(100, 1, 2, 2).to(torch.uint8)
    images[:, 0, 0, 0] = torch.arange(100)
    made = split_all("made", images, torch.arange(100) % 5, list("abcde"), "made")
    ids = [set(made.images[split][:, 0, 0, 0].tolist()) for split in data.SPLITS]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 100


def test_a_split_is_always_the_same():
    assert load_dataset("digits").sha256 == load_dataset("digits").sha256


def test_the_fingerprint_sees_a_pixel_a_label_and_the_order():
    def made(change=lambda images, labels: None):
        images, labels = torch.zeros(20, 1, 2, 2, dtype=torch.uint8), torch.arange(20) % 2
        images[:, 0, 0, 0] = torch.arange(20)
        change(images, labels)
        return three_splits("m", (images, labels), (images, labels), (images, labels), ["a", "b"], "").sha256

    def pixel(images, labels):
        images[3, 0, 1, 1] = 1

    def label(images, labels):
        labels[4] = 1

    def order(images, labels):
        images[:] = images.flip(0)

    assert len({made(), made(pixel), made(label), made(order)}) == 4
    assert made() == made()


def test_too_few_images_for_a_split_say_so():
    few = (torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 2]))
    with pytest.raises(DataError, match="too few images to be split by class"):
        split_validation("few", few, few, list("abc"), "")


def test_unknown_names_bring_the_nearest():
    with pytest.raises(InputError, match="unknown data set 'minst'") as caught:
        load_dataset("minst")
    assert "mnist" in caught.value.remedy
    with pytest.raises(InputError, match="not how the data set folder is named"):
        load_dataset("folder")
    with pytest.raises(InputError, match="not how the data set digits is named"):
        load_dataset("digits:here")


def test_a_registered_data_set_is_loaded_and_keeps_its_name(monkeypatch, stripes):
    monkeypatch.setattr(data, "_SOURCES", dict(data.sources()))
    register_dataset("stripes", summary="made here")(lambda request: stripes)
    assert load_dataset("stripes") is stripes

    def other(request):
        return stripes

    other.__module__ = "elsewhere"
    with pytest.raises(ValueError, match="two data sets are named 'digits'"):
        register_dataset("digits", summary="another")(other)


# --- the idx files of MNIST


def idx(array):
    kind = 0x08
    header = struct.pack(">HBB", 0, kind, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype("uint8").tobytes()


NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """A root with 40 + 10 images in the four files, packed; their checksums are made known to torchvision."""
    raw = tmp_path / "root" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    arrays = [
        RNG.integers(0, 256, (40, 28, 28)), np.arange(40) % 4, RNG.integers(0, 256, (10, 28, 28)), np.arange(10) % 4
    ]  # fmt: skip
    resources = []
    for name, array in zip(NAMES, arrays, strict=True):
        packed = gzip.compress(idx(array), mtime=0)
        (raw / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(tv.MNIST, "resources", resources)
    monkeypatch.setattr(tv.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    return tmp_path / "root", arrays


def test_mnist_is_read_from_packed_files_without_writing_beside_them(mnist):
    root, arrays = mnist
    before = sorted(root.rglob("*"))
    loaded = load_dataset("mnist", root)
    assert {split: len(labels) for split, labels in loaded.labels.items()} == {"train": 36, "validation": 4, "test": 10}
    assert loaded.input_shape == (1, 28, 28)
    assert torch.equal(loaded.images["test"][:, 0], torch.from_numpy(arrays[2].astype("uint8")))
    assert torch.equal(loaded.labels["test"], torch.from_numpy(arrays[3]))
    assert sorted(root.rglob("*")) == before


def test_mnist_is_read_from_unpacked_files_and_through_the_variable(mnist, monkeypatch):
    root, _ = mnist
    packed = load_dataset("mnist", root).sha256
    for file in (root / "MNIST" / "raw").glob("*.gz"):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    monkeypatch.setenv("ARCHBENCH_DATA", str(root))
    assert load_dataset("mnist").sha256 == packed


def test_mnist_faults_name_the_file_and_the_remedy(mnist, tmp_path):
    root, _ = mnist
    with pytest.raises(DataError, match="no data root is given for mnist") as caught:
        load_dataset("mnist")
    assert "--data-root" in caught.value.remedy
    assert "ARCHBENCH_DATA" in caught.value.remedy
    assert caught.value.exit_code == 5
    with pytest.raises(DataError, match="is no folder"):
        load_dataset("mnist", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="train-images-idx3-ubyte is neither in") as caught:
        load_dataset("mnist", tmp_path / "empty")
    assert "train-images-idx3-ubyte.gz" in caught.value.remedy
    labels = root / "MNIST" / "raw" / f"{NAMES[1]}.gz"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-10])
    with pytest.raises(DataError, match="is damaged or another file"):
        load_dataset("mnist", root)
    labels.unlink()
    with pytest.raises(DataError, match=f"{NAMES[1]} is missing"):
        load_dataset("mnist", root)
    labels.with_suffix("").write_bytes(gzip.decompress(whole)[:-10])
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset("mnist", root)


def test_a_download_that_fails_says_so(mnist, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(DataError, match="mnist cannot be downloaded"):
        load_dataset("mnist", tmp_path / "new", download=True)


@pytest.mark.shared
def test_the_real_mnist(tmp_path):
    from conftest import SHARED

    with tarfile.open(SHARED / "data" / "mnist-idx-gz.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    real = load_dataset("mnist", tmp_path)
    assert {split: len(labels) for split, labels in real.labels.items()} == {
        "train": 54_000, "validation": 6_000, "test": 10_000
    }  # fmt: skip
    assert torch.bincount(real.labels["test"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


# --- CIFAR-10 and FER2013


def test_cifar10_is_read_from_its_batches(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    lists = {"train_list": [], "test_list": []}
    pixels = RNG.integers(0, 256, (20, 3072)).astype("uint8")
    for part, name in (("train_list", "data_batch_1"), ("test_list", "test_batch")):
        content = pickle.dumps({"data": pixels, "labels": [i % 2 for i in range(20)]})
        (folder / name).write_bytes(content)
        lists[part].append([name, hashlib.md5(content).hexdigest()])
    meta = pickle.dumps({"label_names": ["cat", "dog"]})
    (folder / "batches.meta").write_bytes(meta)
    monkeypatch.setattr(tv.CIFAR10, "train_list", lists["train_list"])
    monkeypatch.setattr(tv.CIFAR10, "test_list", lists["test_list"])
    checksum = hashlib.md5(meta).hexdigest()
    monkeypatch.setattr(tv.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": checksum})
    loaded = load_dataset("cifar10", tmp_path)
    assert (loaded.classes, loaded.input_shape) == (("cat", "dog"), (3, 32, 32))
    assert torch.equal(loaded.images["test"], torch.from_numpy(pixels).reshape(20, 3, 32, 32))
    (folder / "test_batch").write_bytes(b"cut")
    with pytest.raises(DataError, match="cifar10 cannot be loaded") as caught:
        load_dataset("cifar10", tmp_path)
    assert "cifar-10-python.tar.gz" in caught.value.remedy


def fer_rows(usages, labels):
    rows = [
        f"{label}, {usage},{' '.join(map(str, RNG.integers(0, 256, 48 * 48)))}"
        for usage, label in zip(usages, labels, strict=True)
    ]
    return "emotion, Usage, pixels\n" + "\n".join(rows) + "\n"


def test_fer2013_is_read_from_its_table(tmp_path):
    usages = ["Training"] * 3 + ["PublicTest"] * 2 + ["PrivateTest"]
    (tmp_path / "fer2013").mkdir()
    file = tmp_path / "fer2013" / "icml_face_data.csv"
    file.write_text(fer_rows(usages, [0, 6, 3, 1, 2, 5]))
    loaded = load_dataset("fer2013", tmp_path)
    assert [loaded.labels[split].tolist() for split in data.SPLITS] == [[0, 6, 3], [1, 2], [5]]
    assert loaded.input_shape == (1, 48, 48)
    file.write_text(fer_rows(["Training", "Elsewhere"], [0, 1]))
    with pytest.raises(DataError, match="Usage or emotion is unknown"):
        load_dataset("fer2013", tmp_path)
    file.write_text(file.read_text()[:-4000])
    with pytest.raises(DataError, match="is not FER2013's table"):
        load_dataset("fer2013", tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=r"neither fer2013\.csv nor icml_face_data\.csv"):
        load_dataset("fer2013", tmp_path)


# --- image folders


def fill(root, splits, size=(9, 12), mode="L", count=12, suffix=".png"):
    for split in splits:
        for label, name in enumerate(("ant", "bee")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                shape = (*size, 3) if mode == "RGB" else size
                Image.fromarray(np.full(shape, 100 * label + index, "uint8")).save(folder / f"{index:02}{suffix}")


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_a_folder_of_images(tmp_path, mode, channels):
    fill(tmp_path / "set", ["train", "validation", "test"], mode=mode)
    loaded = load_dataset(f"folder:{tmp_path / 'set'}")
    assert loaded.classes == ("ant", "bee")
    assert loaded.input_shape == (channels, 9, 12)
    assert loaded.images["test"][0].unique().tolist() == [0]
    assert loaded.images["test"][-1].unique().tolist() == [111]
    assert loaded.labels["validation"].tolist() == [0] * 12 + [1] * 12


def test_a_folder_without_validation_holds_out_a_tenth_of_train(tmp_path):
    fill(tmp_path / "set", ["train", "test"], count=20, suffix=".jpg")
    loaded = load_dataset("folder:set", tmp_path)
    assert {split: len(labels) for split, labels in loaded.labels.items()} == {"train": 36, "validation": 4, "test": 40}
    assert loaded.labels["validation"].tolist().count(0) == 2


def test_one_colour_image_makes_all_of_them_rgb(tmp_path):
    fill(tmp_path / "set", ["train", "test"])
    Image.fromarray(np.zeros((9, 12, 3), "uint8")).save(tmp_path / "set" / "train" / "bee" / "00.png")
    assert load_dataset(f"folder:{tmp_path / 'set'}").input_shape == (3, 9, 12)


def test_hidden_entries_are_passed_over(tmp_path):
    fill(tmp_path / "set", ["train", "test"])
    before = load_dataset(f"folder:{tmp_path / 'set'}").sha256
    (tmp_path / "set" / "train" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "set" / "train" / "ant" / "._00.png").write_bytes(b"not an image")
    assert load_dataset(f"folder:{tmp_path / 'set'}").sha256 == before


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    fill(tmp_path / "set", ["train", "test"])
    for file in (tmp_path / "set").rglob("*.png"):
        Image.fromarray(np.full((9, 12), 0x1234, "uint16")).save(file)
    loaded = load_dataset(f"folder:{tmp_path / 'set'}")
    assert loaded.images["test"].unique().tolist() == [0x12]
    Image.fromarray(np.zeros((9, 12), "float32")).save(tmp_path / "a.tiff")
    (tmp_path / "a.tiff").rename(tmp_path / "set" / "train" / "ant" / "00.png")
    with pytest.raises(DataError, match=r"00\.png cannot be read as an image: its pixels are of the kind F"):
        load_dataset(f"folder:{tmp_path / 'set'}")


def test_folder_faults_name_the_path(tmp_path):
    root = tmp_path / "set"
    with pytest.raises(DataError, match=r"set.train is no folder") as caught:
        load_dataset(f"folder:{root}")
    assert "PATH/train/<class>" in caught.value.remedy
    fill(root, ["train", "test"])
    (root / "test" / "cow").mkdir()
    with pytest.raises(DataError, match="has the class 'cow', which train has not"):
        load_dataset(f"folder:{root}")
    (root / "test" / "cow").rmdir()
    (root / "train" / "cow").mkdir()
    with pytest.raises(DataError, match=r"train.cow holds no image"):
        load_dataset(f"folder:{root}")
    (root / "train" / "cow").rmdir()
    image = root / "train" / "bee" / "03.png"
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"03\.png cannot be read as an image"):
        load_dataset(f"folder:{root}")
    Image.fromarray(np.zeros((5, 5), "uint8")).save(image)
    with pytest.raises(DataError, match=r"03\.png is 5x5 \(height x width\), the first image 9x12"):
        load_dataset(f"folder:{root}")


def test_splits_of_two_shapes_are_refused():
    def part(side):
        return torch.zeros(4, 1, side, side, dtype=torch.uint8), torch.arange(4) % 2

    with pytest.raises(DataError, match=r"\(1, 8, 8\) in train and \(1, 9, 9\) in test"):
        three_splits("made", part(8), part(8), part(9), ["a", "b"], "")
    with pytest.raises(DataError, match="the validation split of made is empty"):
        three_splits("made", part(8), tuple(t[:0] for t in part(8)), part(8), ["a", "b"], "")
