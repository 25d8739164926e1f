"""Sources on small files made here; every fault of the files is said with its path and the remedy."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_digits
from torchvision import datasets as tv

from archbench import data
from archbench.data import Parts, load_dataset, load_parts, register_dataset
from archbench.data.fer2013 import FER_CLASSES
from archbench.data.folder import SUFFIXES
from archbench.data.torchvision_sets import CIFAR10_CLASSES
from archbench.data.views import seen
from archbench.errors import DataError, InputError
from archbench.schema import View

RNG = np.random.default_rng(0)


def md5(content):
    return hashlib.md5(content).hexdigest()


def sizes(dataset):
    return tuple(len(dataset.labels[split]) for split in data.SPLITS)


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


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


def test_the_fingerprint_of_digits_is_that_of_results_already_stored():
    expected = "f5d1ceddf0bfdc5a8067e1af18edc0179d0ccd09fddae227c9c416b8a266efdb"
    assert load_dataset("digits").sha256 == expected


def test_the_fingerprint_sees_a_pixel_a_label_and_the_order():
    def made(change=lambda images, labels: None):
        images, labels = torch.zeros(20, 1, 2, 2, dtype=torch.uint8), torch.arange(20) % 2
        images[:, 0, 0, 0] = torch.arange(20)
        change(images, labels)
        parts = Parts(dict.fromkeys(data.SPLITS, images), dict.fromkeys(data.SPLITS, labels), ("a", "b"), "made here")
        return seen("made", parts, View()).sha256

    def pixel(images, labels):
        images[3, 0, 1, 1] = 1

    def label(images, labels):
        labels[4] = 1

    def order(images, labels):
        images[:] = images.flip(0)

    assert len({made(), made(pixel), made(label), made(order)}) == 4
    assert made() == made()


def test_unknown_names_bring_the_nearest():
    with pytest.raises(InputError, match="unknown data set 'minst'") as caught:
        load_dataset("minst")
    assert "mnist" in caught.value.remedy
    with pytest.raises(InputError, match="not how the data set folder is named"):
        load_dataset("folder")
    with pytest.raises(InputError, match="not how the data set digits is named"):
        load_dataset("digits:here")


def test_a_registered_data_set_is_loaded_and_keeps_its_name(monkeypatch):
    monkeypatch.setattr(data, "_SOURCES", dict(data.sources()))
    images, labels = torch.zeros(20, 1, 2, 2, dtype=torch.uint8), torch.arange(20) % 2
    made = Parts({"all": images}, {"all": labels}, ("a", "b"), "made here")
    register_dataset("made", summary="made here")(lambda request: made)
    assert load_parts("made") is made
    assert load_dataset("made").name == "made"

    def other(request):
        return made

    other.__module__ = "elsewhere"
    with pytest.raises(ValueError, match="two data sets are named 'digits'"):
        register_dataset("digits", summary="another")(other)


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("digits", (1, 8, 8), 10), ("mnist", (1, 28, 28), 10), ("fashion_mnist", (1, 28, 28), 10),
        ("cifar10", (3, 32, 32), 10), ("cifar100", (3, 32, 32), 100), ("svhn", (3, 32, 32), 10),
        ("fer2013", (1, 48, 48), 7), ("folder", None, None), ("npz", None, None),
    ],
)  # fmt: skip
def test_what_a_list_shows_of_a_source(name, shape, classes):
    source = data.sources()[name]
    assert (source.input_shape, source.classes) == (shape, classes)
    assert source.takes_argument == (shape is None)


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
        resources.append((f"{name}.gz", md5(packed)))
    monkeypatch.setattr(tv.MNIST, "resources", resources)
    monkeypatch.setattr(tv.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    return tmp_path / "root", arrays


def test_mnist_is_read_from_packed_files_without_writing_beside_them(mnist):
    root, arrays = mnist
    before = sorted(root.rglob("*"))
    loaded = load_dataset("mnist", root)
    assert sizes(loaded) == (36, 4, 10)
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
    root, arrays = mnist
    with pytest.raises(DataError, match="no data root is given for mnist") as caught:
        load_dataset("mnist")
    assert "--data-root" in caught.value.remedy
    assert "ARCHBENCH_DATA" in caught.value.remedy
    assert caught.value.exit_code == 5
    with pytest.raises(DataError, match="is no folder"):
        load_dataset("mnist", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"MNIST/raw/train-images-idx3-ubyte\.gz is missing") as caught:
        load_dataset("mnist", tmp_path / "empty")
    assert "train-images-idx3-ubyte.gz" in caught.value.remedy
    labels = root / "MNIST" / "raw" / f"{NAMES[1]}.gz"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-10])
    with pytest.raises(DataError, match="is damaged or another file"):
        load_dataset("mnist", root)
    labels.unlink()
    with pytest.raises(DataError, match=rf"{NAMES[1]}\.gz is missing"):
        load_dataset("mnist", root)
    labels.with_suffix("").write_bytes(gzip.decompress(whole)[:-10])
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset("mnist", root)
    labels.with_suffix("").write_bytes(idx(arrays[1][:30]))
    with pytest.raises(DataError, match=r"holds images \(40, 28, 28\) and 30 labels up to 3, which is not MNIST"):
        load_dataset("mnist", root)


@pytest.mark.shared
def test_the_real_mnist(tmp_path):
    from conftest import SHARED

    with tarfile.open(SHARED / "data" / "mnist-idx-gz.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    real = load_dataset("mnist", tmp_path)
    assert sizes(real) == (54_000, 6_000, 10_000)
    assert torch.bincount(real.labels["test"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


# --- CIFAR and SVHN


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """CIFAR-10 and CIFAR-100 as archives of 20 + 20 images in two classes, whose checksums torchvision knows."""
    pixels = RNG.integers(0, 256, (20, 3072)).astype("uint8")
    for cls, key, train in ((tv.CIFAR10, "labels", "data_batch_1"), (tv.CIFAR100, "fine_labels", "train")):
        batch = pickle.dumps({"data": pixels, key: [i % 2 for i in range(20)]})
        names = pickle.dumps({cls.meta["key"]: ["cat", "dog"]})
        test = cls.test_list[0][0]
        with tarfile.open(tmp_path / cls.filename, "w:gz") as archive:
            for name, content in ((train, batch), (test, batch), (cls.meta["filename"], names)):
                entry = tarfile.TarInfo(f"{cls.base_folder}/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        monkeypatch.setattr(cls, "train_list", [[train, md5(batch)]])
        monkeypatch.setattr(cls, "test_list", [[test, md5(batch)]])
        monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": md5(names)})
        monkeypatch.setattr(cls, "tgz_md5", md5((tmp_path / cls.filename).read_bytes()))
        monkeypatch.setattr(cls, "url", "http://127.0.0.1:9/")
    return tmp_path, pixels


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_unpacked_and_read_from_its_batches(cifar, name):
    root, pixels = cifar
    loaded = load_dataset(name, root, download=True)
    assert (loaded.classes, loaded.input_shape) == (("cat", "dog"), (3, 32, 32))
    assert torch.equal(loaded.images["test"], torch.from_numpy(pixels).reshape(20, 3, 32, 32))
    assert sizes(loaded) == (18, 2, 20)
    assert load_dataset(name, root).sha256 == loaded.sha256


def test_faults_of_cifars_files(cifar):
    root, _ = cifar
    with pytest.raises(DataError, match="cifar-10-batches-py is no folder") as caught:
        load_dataset("cifar10", root)
    assert "cifar-10-python.tar.gz" in caught.value.remedy
    load_dataset("cifar10", root, download=True)
    batch = root / "cifar-10-batches-py" / "test_batch"
    batch.write_bytes(b"cut")
    with pytest.raises(DataError, match="test_batch is damaged or another file"):
        load_dataset("cifar10", root)
    batch.unlink()
    with pytest.raises(DataError, match="test_batch is missing"):
        load_dataset("cifar10", root)


def test_an_archive_that_cannot_be_unpacked_leaves_nothing_behind(cifar, monkeypatch):
    root, _ = cifar
    archive = root / tv.CIFAR10.filename
    before, whole = files_in(root), archive.read_bytes()
    archive.write_bytes(whole[:-50])
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz is damaged or another file"):
        load_dataset("cifar10", root, download=True)
    monkeypatch.setattr(tv.CIFAR10, "tgz_md5", md5(whole[:-50]))
    with pytest.raises(DataError, match="cifar10 cannot be downloaded"):
        load_dataset("cifar10", root, download=True)
    assert files_in(root) == before
    assert [path.name for path in root.iterdir() if path.is_dir()] == []


def test_svhn_is_read_from_its_mat_files_and_ten_is_the_digit_zero(tmp_path, monkeypatch):
    (tmp_path / "svhn").mkdir()
    images = {part: RNG.integers(0, 256, (20, 3, 32, 32)).astype("uint8") for part in ("train", "test")}
    labels = np.arange(20) % 10 + 1
    lists = {}
    for part, pixels in images.items():
        file = tmp_path / "svhn" / f"{part}_32x32.mat"
        savemat(file, {"X": pixels.transpose(2, 3, 1, 0), "y": labels[:, None].astype("uint8")})
        lists[part] = ["http://127.0.0.1:9/", file.name, md5(file.read_bytes())]
    monkeypatch.setattr(tv.SVHN, "split_list", lists)
    parts = load_parts("svhn", tmp_path)
    assert {part: torch.equal(parts.images[part], torch.from_numpy(images[part])) for part in images} == {
        "train": True, "test": True
    }  # fmt: skip
    assert parts.labels["test"].tolist() == [*range(1, 10), 0] * 2
    assert parts.classes == tuple("0123456789")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"test_32x32\.mat is damaged or another file"):
        load_parts("svhn", tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=r"svhn/test_32x32\.mat is missing") as caught:
        load_parts("svhn", tmp_path)
    assert "train_32x32.mat" in caught.value.remedy
    with pytest.raises(DataError, match="svhn cannot be downloaded"):
        load_parts("svhn", tmp_path, download=True)
    assert files_in(tmp_path) == ["svhn/train_32x32.mat"]


# --- downloads


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder, and the address on this machine under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_download_fetches_what_is_missing_and_nothing_else(mnist, served, tmp_path, monkeypatch):
    root, _ = mnist
    folder, address = served
    monkeypatch.setattr(tv.MNIST, "mirrors", [address])
    for file in (root / "MNIST" / "raw").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    loaded = load_dataset("mnist", tmp_path / "new" / "root", download=True)
    assert loaded.sha256 == load_dataset("mnist", root).sha256
    raw = tmp_path / "new" / "root" / "MNIST" / "raw"
    assert files_in(tmp_path / "new") == sorted(f"root/MNIST/raw/{name}.gz" for name in NAMES)
    (raw / f"{NAMES[2]}.gz").unlink()
    kept = (raw / f"{NAMES[0]}.gz").stat().st_ino
    load_dataset("mnist", tmp_path / "new" / "root", download=True)
    assert (raw / f"{NAMES[0]}.gz").stat().st_ino == kept
    (folder / f"{NAMES[2]}.gz").unlink()
    assert load_dataset("mnist", tmp_path / "new" / "root", download=True).sha256 == loaded.sha256


def test_a_download_that_fails_says_so_and_leaves_nothing(mnist, served, tmp_path, monkeypatch):
    root, _ = mnist
    folder, address = served
    with pytest.raises(DataError, match="mnist cannot be downloaded") as caught:
        load_dataset("mnist", tmp_path / "new", download=True)
    assert "MNIST/raw" in caught.value.remedy
    monkeypatch.setattr(tv.MNIST, "mirrors", [address])
    for name in NAMES:
        whole = (root / "MNIST" / "raw" / f"{name}.gz").read_bytes()
        (folder / f"{name}.gz").write_bytes(whole if name == NAMES[0] else whole[:-9])
    with pytest.raises(DataError, match=r"mnist cannot be downloaded.*corrupted"):
        load_dataset("mnist", tmp_path / "new" / "root", download=True)
    assert not (tmp_path / "new").exists()


def test_cifar10_is_downloaded_and_unpacked(cifar, served, tmp_path, monkeypatch):
    source, _ = cifar
    folder, address = served
    (source / tv.CIFAR10.filename).rename(folder / tv.CIFAR10.filename)
    monkeypatch.setattr(tv.CIFAR10, "url", address + tv.CIFAR10.filename)
    load_dataset("cifar10", tmp_path / "new", download=True)
    names = ("batches.meta", "data_batch_1", "test_batch")
    assert files_in(tmp_path / "new") == [f"cifar-10-batches-py/{name}" for name in names]


# --- FER2013


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
    pixels = file.read_text().splitlines()[-1].rpartition(",")[2].split()
    assert loaded.images["test"].flatten().tolist() == [int(pixel) for pixel in pixels]


def test_faults_of_fer2013s_table(tmp_path):
    file = tmp_path / "fer2013.csv"
    for usages, labels in ((["Training", "Elsewhere"], [0, 1]), (["Training"], [7]), (["Training"], [0.5])):
        file.write_text(fer_rows(usages, labels))
        with pytest.raises(DataError, match="Usage or emotion is unknown"):
            load_dataset("fer2013", tmp_path)
    whole = fer_rows(["Training"] * 2, [0, 1])
    faults = [whole[:-4000], whole.replace(" 7 ", " 256 "), whole.replace(" 7 ", " x "), whole.replace("pixels", "p")]
    for fault in [*faults, "", "emotion,Usage,pixels\n", "emotion,Usage,pixels\n0,Training,\n"]:
        file.write_text(fault)
        with pytest.raises(DataError, match=r"fer2013\.csv is not FER2013's table"):
            load_dataset("fer2013", tmp_path)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"fer2013\.csv is not FER2013's table"):
        load_dataset("fer2013", tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=r"neither fer2013\.csv nor icml_face_data\.csv nor a folder train") as caught:
        load_dataset("fer2013", tmp_path)
    assert "PublicTest" in caught.value.remedy


# --- image folders, a user's own and copies of known sets


def fill(root, splits, size=(9, 12), mode="L", count=12, suffix=".png", classes=("ant", "bee")):
    for split in splits:
        for label, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                level = (100 if len(classes) == 2 else 20) * label + index
                pixels = np.full((*size, 3) if mode == "RGB" else size, level, "uint8")
                Image.fromarray(pixels).save(folder / f"{index:02}{suffix}")


@pytest.mark.parametrize("place", ["fer2013", "fer2013-jpeg", "."])
@pytest.mark.parametrize("names", [("train", "validation", "test"), ("Training", "PublicTest", "PrivateTest")])
def test_fer2013_is_read_from_image_files_with_its_own_order_of_classes(tmp_path, place, names):
    fill(tmp_path / place, names, size=(48, 48), count=2, suffix=".jpg", classes=FER_CLASSES)
    loaded = load_dataset("fer2013", tmp_path)
    assert loaded.classes == FER_CLASSES
    for split in data.SPLITS:
        assert loaded.labels[split].tolist() == [label for label in range(7) for _ in range(2)]
        levels = loaded.images[split].float().mean((1, 2, 3)).round().int().tolist()
        assert levels == [20 * label + index for label in range(7) for index in range(2)]
    assert "copy of FER2013 in image files (JPEG), not its table" in loaded.source


def test_cifar10_is_read_from_image_files_unless_its_official_files_are_there(cifar):
    root, _ = cifar
    fill(root / "cifar10-jpeg", ["train", "test"], (32, 32), "RGB", 10, ".jpg", CIFAR10_CLASSES)
    for archive in root.glob("*.gz"):
        archive.rename(archive.with_suffix(".later"))
    copy = load_dataset("cifar10", root, download=True)
    assert copy.classes == CIFAR10_CLASSES == tuple(sorted(CIFAR10_CLASSES))
    assert copy.labels["test"].tolist() == [label for label in range(10) for _ in range(10)]
    assert sizes(copy) == (90, 10, 100)
    assert copy.source.startswith("a copy of CIFAR-10 in image files (JPEG), not its official files")
    for archive in root.glob("*.later"):
        archive.rename(archive.with_suffix(".gz"))
    assert load_dataset("cifar10", root, download=True).source.startswith("CIFAR-10's official files")
    assert load_dataset("cifar10", root).source.startswith("CIFAR-10's official files")


def test_a_copy_that_is_not_the_whole_set_is_refused(tmp_path):
    root = tmp_path / "fer2013"
    fill(root, ["train"], size=(48, 48), count=2, classes=FER_CLASSES)
    with pytest.raises(DataError, match=r"fer2013/test is no folder"):
        load_dataset("fer2013", tmp_path)
    fill(root, ["test"], size=(48, 48), count=1, classes=FER_CLASSES)
    assert "training images, stratified, are the validation split" in load_dataset("fer2013", tmp_path).source
    fill(root, ["validation"], size=(48, 48), count=1, classes=FER_CLASSES[1:])
    assert load_dataset("fer2013", tmp_path).counts == (14, 6, 7)
    (root / "train" / "sad").rename(root / "train" / "Sad")
    load_dataset("fer2013", tmp_path)
    (root / "train" / "Sad").rename(root / "train" / "sad")
    (root / "train" / "sad").rename(root / "train" / "sadness")
    with pytest.raises(DataError, match=r"train has the class 'sadness', which is none of angry, disgust"):
        load_dataset("fer2013", tmp_path)
    (root / "train" / "sadness").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"train/sad holds no image"):
        load_dataset("fer2013", tmp_path)
    fill(tmp_path / "other" / "fer2013", data.SPLITS, (48, 48), "RGB", 1, classes=FER_CLASSES)
    with pytest.raises(DataError, match=r"fer2013 are 3x48x48 \(channels x height x width\), not 1x48x48"):
        load_dataset("fer2013", tmp_path / "other")


@pytest.mark.shared
def test_the_copy_of_fer2013(tmp_path):
    from conftest import SHARED

    with tarfile.open(SHARED / "data" / "fer2013-jpeg.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    real = load_dataset("fer2013", tmp_path)
    assert sizes(real) == (28_709, 3_589, 3_589)
    assert torch.bincount(real.labels["train"]).tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]


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
    assert sizes(loaded) == (36, 4, 40)
    assert loaded.labels["validation"].tolist().count(0) == 2


def test_a_folder_without_splits_is_split_60_20_20(tmp_path):
    fill(tmp_path, ["set"], count=20)
    (tmp_path / "set" / "README.txt").write_text("not a class")
    parts = load_parts("folder:set")
    assert list(parts.labels) == ["all"]
    assert parts.labels["all"].tolist() == [0] * 20 + [1] * 20
    assert parts.images["all"][:, 0, 0, 0].tolist() == [*range(20), *range(100, 120)]
    assert sizes(load_dataset("folder:set")) == (24, 8, 8)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_accepted_suffix_is_read_in_either_case(tmp_path, suffix):
    colours = Image.fromarray(RNG.integers(0, 256, (9, 12, 3)).astype("uint8"))
    picture = colours.convert("L") if suffix == ".pgm" else colours
    for name, ending in (("ant", suffix), ("bee", suffix.upper())):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(10):
            picture.save(tmp_path / "set" / name / f"{index}{ending}")
    images = load_parts(f"folder:{tmp_path / 'set'}").images["all"]
    expected = np.asarray(Image.open(tmp_path / "set" / "ant" / f"0{suffix}"))
    assert images.shape == (20, 1 if suffix == ".pgm" else 3, 9, 12)
    assert np.array_equal(images[-1].permute(1, 2, 0).squeeze().numpy(), expected)


def test_large_images_are_read_in_their_order(tmp_path):
    fill(tmp_path, ["set"], size=(160, 160), count=90)
    parts = load_parts("folder:set")
    assert parts.images["all"][:, 0, 80, 80].tolist() == [*range(90), *range(100, 190)]


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
    Image.fromarray(np.zeros((9, 12), "float32")).save(tmp_path / "set" / "train" / "ant" / "00.tiff")
    with pytest.raises(DataError, match=r"00\.tiff cannot be read as an image: its pixels are of the kind F"):
        load_dataset(f"folder:{tmp_path / 'set'}")


def test_folder_faults_name_the_path(tmp_path):
    root = tmp_path / "set"
    with pytest.raises(DataError, match="set is no folder") as caught:
        load_dataset(f"folder:{root}")
    assert "PATH/train/<class>" in caught.value.remedy
    root.mkdir()
    with pytest.raises(DataError, match="set holds no folders; a data set has two classes or more"):
        load_dataset(f"folder:{root}")
    fill(root, ["train"])
    with pytest.raises(DataError, match=r"set.test is no folder"):
        load_dataset(f"folder:{root}")
    fill(root, ["test"])
    (root / "test" / "cow").mkdir()
    with pytest.raises(DataError, match=r"test has the class 'cow', which is none of ant, bee"):
        load_dataset(f"folder:{root}")
    (root / "test" / "cow").rmdir()
    (root / "train" / "cow").mkdir()
    with pytest.raises(DataError, match=r"train.cow holds no image$"):
        load_dataset(f"folder:{root}")
    (root / "train" / "cow").rmdir()
    image = root / "train" / "bee" / "03.png"
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"03\.png cannot be read as an image"):
        load_dataset(f"folder:{root}")
    Image.fromarray(np.zeros((5, 5), "uint8")).save(image)
    with pytest.raises(
        DataError, match=r"2 sizes \(height x width\): 47 of 9x12 \(such as 00\.png\), 1 of 5x5 \(such as 03"
    ):
        load_dataset(f"folder:{root}")
    with pytest.raises(DataError, match="is no path"):
        load_dataset(f"folder:{'a' * 5000}")


def test_what_is_passed_over_is_said(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / "set" / name / "deeper").mkdir(parents=True)
        for file in ("a.gif", "b.GIF", "c", "deeper/d.png"):
            (tmp_path / "set" / name / file).write_bytes(b"")
    said = r"ant holds no image; passed over: 2 \.gif, 1 without a suffix, 1 folder$"
    with pytest.raises(DataError, match=said) as caught:
        load_dataset("folder:set")
    assert ".webp" in caught.value.remedy


# --- arrays in a .npz file


def arrays(count=20, shape=(6, 8)):
    return RNG.integers(0, 256, (count, *shape)).astype("uint8"), np.arange(count) % 2


def written(path, **content):
    np.savez(path, **content)
    return f"npz:{path}"


SPLIT_NAMES = {
    "keras": ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
    "keras, too": ("x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test"),
    "medmnist": ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
}


@pytest.mark.parametrize("names", SPLIT_NAMES.values(), ids=SPLIT_NAMES)
def test_arrays_of_three_splits_are_read_as_they_are(tmp_path, names):
    content = [array for count in (20, 10, 12) for array in arrays(count)]
    parts = load_parts(written(tmp_path / "a.npz", **dict(zip(names, content, strict=True))))
    for part, images, labels in zip(data.SPLITS, content[::2], content[1::2], strict=True):
        assert torch.equal(parts.images[part][:, 0], torch.from_numpy(images))
        assert torch.equal(parts.labels[part], torch.from_numpy(labels))
    assert parts.classes == ("0", "1")
    two = dict(zip(names, content, strict=True))
    del two[names[2]], two[names[3]]
    assert sizes(load_dataset(written(tmp_path / "b.npz", **two))) == (18, 2, 12)


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("X", "y"), ("data", "target")])
def test_arrays_without_splits_are_split_60_20_20(tmp_path, names):
    written(tmp_path / "a.npz", **dict(zip(names, arrays(), strict=True)))
    (tmp_path / "here").mkdir()
    assert sizes(load_dataset("npz:a.npz", tmp_path / "here")) == (12, 4, 4)
    (tmp_path / "a.npz").rename(tmp_path / "here" / "a.npz")
    assert load_dataset("npz:a.npz", tmp_path / "here").name == "npz:a.npz"


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_may_come_first_or_last(tmp_path, channels):
    images, labels = arrays(shape=(channels, 6, 8))
    first = load_parts(written(tmp_path / "a.npz", x=images, y=labels)).images["all"]
    last = load_parts(written(tmp_path / "b.npz", x=images.transpose(0, 2, 3, 1), y=labels)).images["all"]
    assert torch.equal(first, torch.from_numpy(images))
    assert torch.equal(last, first)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", ">i4", "float16", "float32", "float64"])
def test_pixels_of_other_kinds_become_the_same_levels(tmp_path, dtype):
    images, labels = arrays()
    images //= 2  # int8
    images[0, 0, :3] = 0, 127, 2
    whole = load_parts(written(tmp_path / "a.npz", x=images.astype(dtype), y=labels))
    assert torch.equal(whole.images["all"][:, 0], torch.from_numpy(images))
    if "float" in dtype:
        unit = load_parts(written(tmp_path / "b.npz", x=(images / 255 * 2).astype(dtype), y=labels))
        assert (unit.images["all"][:, 0].int() - 2 * torch.from_numpy(images).int()).abs().max() <= (dtype == "float16")
        assert "pixels from 0 to 1 rounded to 256 levels" in unit.source


def test_labels_may_be_columns_or_several_an_image_and_have_names(tmp_path):
    images, labels = arrays()
    column = load_parts(written(tmp_path / "a.npz", x=images, y=labels[:, None].astype(float), classes=["ant", "bee"]))
    assert torch.equal(column.labels["all"], torch.from_numpy(labels))
    assert column.classes == ("ant", "bee")
    several = RNG.integers(0, 5, (20, 4))
    several[0] = 0, 4, 0, 0
    parts = load_parts(written(tmp_path / "b.npz", x=images, y=several))
    assert torch.equal(parts.labels["all"], torch.from_numpy(several))
    assert parts.classes == ("0", "1", "2", "3", "4")
    assert load_dataset(f"npz:{tmp_path / 'b.npz'}").positions == 4


IMAGES, LABELS = arrays()
OBJECTS = np.array([None] * 20)
FAULTS = {
    "no known name": ({"pictures": IMAGES}, "no images under a name that is known; it holds pictures"),
    "nothing": ({}, "it holds nothing"),
    "two names": ({"x": IMAGES, "images": IMAGES, "y": LABELS}, "under several names: images, x"),
    "no test": ({"x_train": IMAGES, "y_train": LABELS}, "has x_train, but no images of test"),
    "no labels": ({"x": IMAGES}, "has x, but not y"),
    "objects": ({"x": IMAGES, "y": OBJECTS}, "y cannot be read"),
    "flat": ({"x": IMAGES.reshape(20, -1), "y": LABELS}, r"x has the shape \(20, 48\)"),
    "two channels": ({"x": IMAGES.reshape(20, 4, 6, 2), "y": LABELS}, r"x has the shape \(20, 4, 6, 2\)"),
    "two readings": ({"x": IMAGES.reshape(20, 3, 16, 1), "y": LABELS}, r"x has the shape \(20, 3, 16, 1\)"),
    "empty": ({"x": IMAGES[:0], "y": LABELS[:0]}, "x is empty"),
    "negative": ({"x": IMAGES.astype(int) - 9, "y": LABELS}, "x is int64 from -9 to "),
    "too large": ({"x": IMAGES * np.uint16(9), "y": LABELS}, "x is uint16 from 0 to "),
    "standardised": ({"x": IMAGES / 100 - 1, "y": LABELS}, "x is float64 from -1 to "),
    "neither range": ({"x": IMAGES / 170, "y": LABELS}, "x is float64 from 0 to 1.5"),
    "no numbers": ({"x": IMAGES * np.nan, "y": LABELS}, "x is float64 from nan to nan"),
    "two ranges": (
        {"x_train": IMAGES / 255, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS},
        "x_train is float64 from 0 to 1, x_test is uint8 from 0 to 255",
    ),
    "too few labels": ({"x": IMAGES, "y": LABELS[:9]}, r"y has the shape \(9,\), for 20 images"),
    "fractions": ({"x": IMAGES, "y": LABELS / 2}, "y is float64 from 0 to 0.5"),
    "below 0": ({"x": IMAGES, "y": LABELS - 1}, "y is int64 from -1 to 0"),
    "huge": ({"x": IMAGES, "y": LABELS * 10**9}, "y is int64 from 0 to 1e"),
    "texts": ({"x": IMAGES, "y": LABELS.astype(str)}, "y is <U21"),
    "from 1": ({"x": IMAGES, "y": LABELS + 1}, "the labels of y begin at 1"),
    "one-hot": ({"x": IMAGES, "y": np.eye(2)[LABELS]}, r"y, of the shape \(20, 2\), looks one-hot"),
    "too few names": ({"x": IMAGES, "y": LABELS, "classes": ["a"]}, "label 1, but classes names 1 classes"),
    "equal names": ({"x": IMAGES, "y": LABELS, "classes": ["a", "a"]}, r"classes is <U1 of the shape \(2,\)"),
    "a class of test alone": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS + 1},
        "y_test has the label 2, but y_train has 2 classes",
    ),
    "other positions": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": np.zeros((20, 2), int)},
        "y_train and y_test have different numbers of labels",
    ),
}


@pytest.mark.parametrize(("content", "said"), FAULTS.values(), ids=FAULTS)
def test_faults_of_arrays_name_the_file_and_the_array(tmp_path, content, said):
    with pytest.raises(DataError, match=rf"a\.npz.*{said}") as caught:
        load_parts(written(tmp_path / "a.npz", **content))
    assert caught.value.remedy
    assert caught.value.exit_code == 5


def test_what_is_no_npz_file_says_so(tmp_path):
    file = tmp_path / "a.npz"
    with pytest.raises(DataError, match=r"a\.npz is no file"):
        load_parts(f"npz:{file}")
    written(file, x=IMAGES, y=LABELS)
    whole = file.read_bytes()
    pickled = pickle.dumps({"x": 1})
    for content in (whole[: len(whole) // 2], b"", b"text", pickled):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.npz cannot be read as \.npz"):
            load_parts(f"npz:{file}")
    file.write_bytes(whole.replace(IMAGES.tobytes(), bytes(IMAGES.nbytes)))
    with pytest.raises(DataError, match=r"a\.npz: x cannot be read: .*CRC"):
        load_parts(f"npz:{file}")
    with file.open("wb") as target:
        np.save(target, IMAGES)
    with pytest.raises(DataError, match="holds one array without a name"):
        load_parts(f"npz:{file}")


def test_transparent_pixels_are_white(tmp_path):
    hidden = np.zeros((4, 4, 4), "uint8")  # black, seen through
    hidden[0] = (9, 9, 9, 255)
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(5):
            Image.fromarray(hidden, "RGBA").save(tmp_path / "set" / name / f"{index}.png")
    images = load_dataset(f"folder:{tmp_path / 'set'}").images["train"]
    assert images[0, :, 0].unique().tolist() == [9]
    assert images[0, :, 1:].unique().tolist() == [255]


def test_what_was_passed_over_is_told(tmp_path):
    fill(tmp_path / "set", ["train", "test"])
    (tmp_path / "set" / "train" / "ant" / "notes.gif").write_bytes(b"")
    assert "passed over: 1 .gif" in load_dataset(f"folder:{tmp_path / 'set'}").source


def test_arrays_share_one_range(tmp_path):
    dark = {"x_train": IMAGES / 1.0, "y_train": LABELS, "x_test": IMAGES * 0.0, "y_test": LABELS}
    np.savez(tmp_path / "a.npz", **dark)
    assert load_dataset(f"npz:{tmp_path / 'a.npz'}").images["train"].max() == IMAGES.max()
    np.savez(tmp_path / "b.npz", x=IMAGES > 9, y=LABELS)
    made = load_dataset(f"npz:{tmp_path / 'b.npz'}")
    assert torch.cat(list(made.images.values())).unique().tolist() == [0, 255]
    np.savez(tmp_path / "c.npz", x=(IMAGES > 9).astype("uint8"), y=LABELS)
    assert "no pixel is above 1 of 255" in load_dataset(f"npz:{tmp_path / 'c.npz'}").warnings


def test_mnists_files_under_another_name_are_refused(mnist, monkeypatch):
    root, _ = mnist
    for file in (root / "MNIST" / "raw").glob("*.gz"):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    assert "40 + 10 images are not MNIST, which has 60,000 + 10,000" in load_dataset("mnist", root).warnings
    (root / "MNIST").rename(root / "FashionMNIST")
    assert "checksums are not known" in load_dataset("fashion_mnist", root).source
    folder = root / "FashionMNIST" / "raw"
    real = {file.name: md5(file.read_bytes()) for file in folder.iterdir()}
    monkeypatch.setattr("archbench.data.torchvision_sets.UNPACKED_MD5", real)
    with pytest.raises(DataError, match="is MNIST's, not FashionMNIST's"):
        load_dataset("fashion_mnist", root)
    (root / "FashionMNIST").rename(root / "MNIST")
    monkeypatch.setattr("archbench.data.torchvision_sets.IDX_COUNTS", (40, 10))
    assert load_dataset("mnist", root).source.startswith("MNIST's official files")
    file = root / "MNIST" / "raw" / NAMES[0]
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(DataError, match=f"{NAMES[0]} is damaged or another file"):
        load_dataset("mnist", root)


def test_many_files_are_decoded_once_and_again_when_one_changes(tmp_path, monkeypatch):
    monkeypatch.setattr("archbench.data.folder.MANY", 10)
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path / "cache"))
    fill(tmp_path / "set", ["train", "test"])
    first = load_dataset(f"folder:{tmp_path / 'set'}")
    (kept,) = (tmp_path / "cache" / "folder").iterdir()
    with monkeypatch.context() as undecodable:
        undecodable.setattr("archbench.data.folder._open", None)
        assert load_dataset(f"folder:{tmp_path / 'set'}").sha256 == first.sha256
    image = tmp_path / "set" / "train" / "bee" / "03.png"
    Image.fromarray(np.full((9, 12), 77, "uint8")).save(image)
    changed = load_dataset(f"folder:{tmp_path / 'set'}")
    assert changed.sha256 != first.sha256
    image.write_bytes(image.read_bytes()[:20])
    with pytest.raises(DataError, match=r"03\.png cannot be read as an image"):
        load_dataset(f"folder:{tmp_path / 'set'}")
    assert kept.is_file()
    image.unlink()
    image.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"03\.png cannot be read: No such file"):
        load_dataset(f"folder:{tmp_path / 'set'}")


def test_what_is_too_large_to_keep_is_decoded_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr("archbench.data.folder.MANY", 10)
    monkeypatch.setattr("archbench.data.folder.MOST_KEPT", 100)
    monkeypatch.setenv("ARCHBENCH_CACHE", str(tmp_path / "cache"))
    fill(tmp_path / "set", ["train", "test"])
    assert load_dataset(f"folder:{tmp_path / 'set'}").counts[2] == 24
    assert not (tmp_path / "cache").exists()
