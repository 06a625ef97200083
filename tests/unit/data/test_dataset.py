from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from generated_images import encoded, noise

from edgewise.data import check, tar
from edgewise.data.archive import plain_tar
from edgewise.data.cache import cache_folder
from edgewise.data.dataset import Dataset, open_dataset
from edgewise.data.digits import open_digits
from edgewise.data.sources import TarImage
from edgewise.errors import ConfigError, DataError

MakeSet = Callable[..., Path]


def names(samples: object) -> list[str]:
    return [sample.name for sample in samples]  # type: ignore[attr-defined]


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(path)
    text = str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in text
    for part in parts:
        assert part in text


def test_folders_of_both_splits(make_set: MakeSet) -> None:
    data = open_dataset(make_set())
    assert data.labels == data.summary.labels == ("cat", "dog")
    assert data.summary.train_counts == data.summary.val_counts == (3, 3)
    assert data.summary.split == "folders"
    assert data.summary.skipped == data.summary.notes == ()
    assert names(data.train) == [f"train/{c}/{i}.jpg" for c in ("cat", "dog") for i in range(3)]
    assert [sample.label for sample in data.val] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("val", ["valid", "validation", "test"])
def test_other_names_of_the_validation_folder(make_set: MakeSet, val: str) -> None:
    data = open_dataset(make_set(splits=("train", val)))
    assert data.summary.notes == (f"the validation images are those of '{val}'",)
    assert names(data.val)[0] == f"{val}/cat/0.jpg"


def test_val_is_preferred_to_test_and_extras_are_noted(make_set: MakeSet) -> None:
    data = open_dataset(make_set(splits=("train", "val", "test", "extra")))
    assert names(data.val)[0].startswith("val/")
    assert data.summary.notes == ("not used beside 'train' and 'val': 'extra', 'test'",)


def test_classes_are_sorted_by_name(make_set: MakeSet) -> None:
    assert open_dataset(make_set(classes=("class2", "class10", "B"))).labels == ("B", "class10", "class2")


def one_folder(make_set: MakeSet, name: str = "set", count: int = 10) -> Path:
    return make_set(f"{name}/.", splits=("",), count=count)


def test_one_folder_is_split_by_name_alone(make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = one_folder(make_set)
    first = open_dataset(root)
    assert first.summary.train_counts == (8, 8)
    assert first.summary.val_counts == (2, 2)
    assert first.summary.split == "20% of each class by the hash of its names, seed 0"
    assert not set(names(first.train)) & set(names(first.val))
    moved = root.rename(tmp_path / "renamed")
    real = os.scandir

    class Backwards(list):  # type: ignore[type-arg]
        def __enter__(self) -> list[os.DirEntry[str]]:
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(
        os, "scandir", lambda folder: Backwards(sorted(real(folder), key=lambda e: e.name, reverse=True))
    )
    again = open_dataset(moved)
    assert names(again.val) == names(first.val)
    assert again.summary.fingerprint == first.summary.fingerprint
    assert names(open_dataset(moved, split_seed=1).val) != names(first.val)


def test_small_classes_keep_one_image_on_either_side(make_set: MakeSet) -> None:
    root = one_folder(make_set, count=2)
    for share in (0.01, 0.99):
        assert open_dataset(root, val_share=share).summary.val_counts == (1, 1)
    (root / "dog" / "1.jpg").unlink()
    data = open_dataset(root)
    assert data.summary.train_counts == (1, 1)
    assert data.summary.val_counts == (1, 0)
    assert data.summary.notes == ("1 classes have a single image, for training: 'dog'",)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_val_share_out_of_range(make_set: MakeSet, share: float) -> None:
    with pytest.raises(ConfigError, match="val_share is"):
        open_dataset(make_set(), val_share=share)


def pack(root: Path, target: Path, mode: str = "w", arcname: str = "wrapped") -> Path:
    with tarfile.open(target, mode) as archive:
        archive.add(root, arcname=arcname)
    return target


def same(first: Dataset, second: Dataset) -> None:
    assert first.summary.fingerprint == second.summary.fingerprint
    for one, other in ((first.train, second.train), (first.val, second.val)):
        assert [(s.name, s.label, s.image.read()) for s in one] == [(s.name, s.label, s.image.read()) for s in other]


@pytest.mark.parametrize(("suffix", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.xz", "w:xz"),
                                              ("odd name", "w:bz2")])  # fmt: skip
@pytest.mark.parametrize("arcname", ["wrapped", "."])
def test_archives_equal_their_folder(make_set: MakeSet, tmp_path: Path, suffix: str, mode: str, arcname: str) -> None:
    root = make_set()
    before = sorted(tmp_path.rglob("*"))
    data = open_dataset(pack(root, tmp_path / f"a.{suffix}", mode, arcname))
    same(open_dataset(root), data)
    assert isinstance(data.train[0].image, TarImage)
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - set(before)
    assert all(path.is_relative_to(cache_folder()) or path.parent == tmp_path for path in new)


def test_compressed_archives_are_unpacked_once(make_set: MakeSet, tmp_path: Path) -> None:
    packed = pack(make_set(), tmp_path / "a.tar.gz", "w:gz")
    plain = plain_tar(packed)
    stamp = plain.stat().st_mtime_ns, plain.stat().st_ino
    assert plain_tar(packed) == plain
    assert (plain.stat().st_mtime_ns, plain.stat().st_ino) == stamp
    assert [path.name for path in plain.parent.iterdir()] == [plain.name]


def member(name: str, content: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, b"", type=kind, linkname=target)


HOSTILE = {
    "parent": [member("../x.jpg")],
    "inner parent": [member("a/../../x.jpg")],
    "absolute": [member("/etc/x.jpg")],
    "drive": [member("C:/x.jpg")],
    "backslash": [member("a\\..\\..\\x.jpg")],
    "symlink out": [link("a/out", "../../../etc")],
    "symlink absolute": [link("a/out", "/etc")],
    "file through a link": [link("train/cat", "dog"), member("train/cat/x.jpg")],
    "hard link out": [link("a/x.jpg", "../secret.jpg", tarfile.LNKTYPE)],
    "hard link named out": [link("../x.jpg", "a.jpg", tarfile.LNKTYPE)],
    "link then parent": [link("a/l", "b"), member("a/l/../x.jpg")],
    "long link": [link("a/l", "b/" * 4000)],
    "device": [member("a/dev", b"", type=tarfile.CHRTYPE)],
    "block device": [member("a/dev", b"", type=tarfile.BLKTYPE)],
    "fifo": [member("a/fifo", b"", type=tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_tars_are_refused(tmp_path: Path, case: str) -> None:
    target = tmp_path / "bad.tar"
    with tarfile.open(target, "w") as archive:
        for info, content in HOSTILE[case]:
            archive.addfile(info, io.BytesIO(content))
    refused(target, "bad.tar' is refused")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar"]


def test_members_beyond_the_limits(tmp_path: Path, make_set: MakeSet, monkeypatch: pytest.MonkeyPatch) -> None:
    target = pack(make_set(), tmp_path / "a.tar")
    monkeypatch.setattr(tar, "MAX_FILE_BYTES", 100)
    refused(target, "claims", "limit 256 MiB")
    monkeypatch.setattr(tar, "MAX_FILE_BYTES", 2**20)
    monkeypatch.setattr(tar, "MAX_MEMBERS", 5)
    refused(target, "more than 5 members")


def test_a_forged_extended_header_reads_nothing_big(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 5 * 2**30
    target = tmp_path / "a.tar"
    target.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 2048)
    refused(target, "a header claims")


def test_damaged_and_cut_archives(tmp_path: Path, make_set: MakeSet) -> None:
    whole = pack(make_set(), tmp_path / "a.tar").read_bytes()
    plain = tmp_path / "cut.tar"
    end = len(whole.rstrip(b"\0"))
    for length in (1500, end // 2, end // 2 // 512 * 512, -(-end // 512) * 512):
        plain.write_bytes(whole[:length])
        refused(plain, "cut.tar'")
    packed = tmp_path / "cut.tar.gz"
    packed.write_bytes(gzip.compress(whole)[:-40])
    refused(packed, "damaged or cut short")
    assert not list((cache_folder() / "archives").iterdir())


def test_decompression_bomb(tmp_path: Path) -> None:
    target = tmp_path / "bomb.tar.gz"
    header = tarfile.TarInfo("x.jpg")
    header.size = 100 * 2**20
    with gzip.open(target, "wb", compresslevel=9) as packed:
        packed.write(header.tobuf() + b"\0" * 2**20)
        for _ in range(99):
            packed.write(b"\0" * 2**20)
    refused(target, "bomb.tar.gz' is refused", "unpack to more than")
    assert not list((cache_folder() / "archives").iterdir())


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "an empty file"), (b"text", "no archive of images"), (b"PK\x03\x04zip", "a zip"),
     (gzip.compress(b"text"), "holds no tar"),
     (gzip.compress(b""), "empty archive"), (b"\0" * 10240, "holds no images")],
)  # fmt: skip
def test_files_that_are_no_archive(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    refused(tmp_path / "x.tar", "x.tar'", reason)


def test_missing_and_odd_paths(tmp_path: Path) -> None:
    refused(tmp_path / "no\nsuch", "no\\nsuch' does not exist")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "neither a folder nor a file")
    (tmp_path / "dangling").symlink_to("nowhere")
    refused(tmp_path / "dangling", "neither a folder nor a file")


def test_empty_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    refused(tmp_path / "root", "holds no images", "expected root/train")


def test_one_class(make_set: MakeSet) -> None:
    refused(make_set("a", classes=("cat",)), "holds 1 class ('cat')", "at least 2")
    refused(make_set("b/.", splits=("",), classes=("cat",)), "holds 1 class ('cat')")


@pytest.mark.parametrize("split", ["train", "val"])
def test_empty_class(make_set: MakeSet, split: str) -> None:
    root = make_set()
    shutil.rmtree(root / split / "dog")
    (root / split / "dog").mkdir()
    (root / split / "dog" / "readme.txt").write_text("none yet")
    refused(root, f"without a usable image: 'dog' ({split})")


def test_class_lists_differ(make_set: MakeSet) -> None:
    root = make_set()
    (root / "val" / "dog").rename(root / "val" / "dgo")
    refused(root, "different classes", "only in train: 'dog'", "only in val: 'dgo'")


def test_loose_images(make_set: MakeSet) -> None:
    root = make_set()
    (root / "x.jpg").write_bytes(encoded(noise(99)))
    refused(root, "1 images lie loose in the root", "'x.jpg'")
    (root / "x.jpg").rename(root / "train" / "x.jpg")
    refused(root, "loose in 'train'")


@pytest.mark.parametrize("twins", [("Cat", "cat"), ("cat", "cat "), ("caf\u00e9", "cafe\u0301")])
def test_twins_among_classes(make_set: MakeSet, twins: tuple[str, str]) -> None:
    refused(make_set(classes=twins), "differing only in case", twins[0].strip())


def test_path_labels(make_set: MakeSet, tmp_path: Path) -> None:
    make_set("root/a/.", splits=("",))
    make_set("root/b/.", splits=("",))
    refused(tmp_path / "root", "'cat' lies in more than one class folder")


def test_images_in_subfolders_of_a_class_count(make_set: MakeSet) -> None:
    root = make_set()
    (root / "train" / "cat" / "more").mkdir()
    (root / "train" / "cat" / "more" / "x.jpg").write_bytes(encoded(noise(99)))
    assert open_dataset(root).summary.train_counts == (4, 3)


def test_litter_and_strays_are_counted(make_set: MakeSet) -> None:
    root = make_set()
    (root / "train" / ".ipynb_checkpoints").mkdir()
    (root / "__MACOSX" / "cat").mkdir(parents=True)
    for name in (".DS_Store", "Thumbs.db", "._0.jpg"):
        (root / "train" / "cat" / name).write_bytes(b"junk")
    (root / "train" / "cat" / "notes.txt").write_text("text")
    (root / "LICENSE").write_text("text")
    data = open_dataset(root)
    assert data.summary.train_counts == (3, 3)
    assert data.summary.notes == ("ignored: 5 x hidden or system file", "ignored: 1 x file that is no image")
    archived = open_dataset(pack(root, root.parent / "a.tar"))
    assert archived.labels == ("cat", "dog")
    assert "ignored: 1 x file that is no image" in archived.summary.notes


@pytest.mark.parametrize("checks", [True, False])
def test_content_decides_not_the_suffix(make_set: MakeSet, checks: bool) -> None:
    root = make_set()
    cats = root / "train" / "cat"
    (cats / "0.jpg").rename(cats / "0.JPG")
    (cats / "1.jpg").rename(cats / "1")
    (cats / "2.jpg").write_bytes(encoded(noise(99), "PNG"))
    (cats / "words").write_text("text")
    assert open_dataset(root, checks=checks).summary.train_counts == (3, 3)


def test_up_to_one_percent_bad_is_skipped_then_refused(make_set: MakeSet) -> None:
    root = make_set(count=50)
    (root / "train" / "cat" / "0.jpg").write_bytes(b"")
    (root / "val" / "dog" / "7.jpg").write_bytes(encoded(noise(1))[:-20])
    data = open_dataset(root)
    assert {(file.path, file.reason) for file in data.summary.skipped} == {
        ("train/cat/0.jpg", "an empty file"),
        ("val/dog/7.jpg", "damaged JPEG: Premature end of JPEG file"),
    }
    assert data.summary.train_counts == (49, 50)
    assert data.summary.val_counts == (50, 49)
    (root / "train" / "cat" / "1.jpg").write_text("words")
    refused(root, "3 of 200 files cannot be used", "at most 1%", "'train/cat/0.jpg': an empty file; 'train/cat/1.jpg'")


def test_duplicates_under_two_classes_and_leaks(make_set: MakeSet) -> None:
    root = make_set()
    shutil.copy(root / "train" / "cat" / "0.jpg", root / "train" / "dog" / "copy.jpg")
    shutil.copy(root / "train" / "cat" / "1.jpg", root / "val" / "cat" / "leak.jpg")
    data = open_dataset(root)
    reason = "the same bytes stand under the classes 'cat', 'dog'"
    assert [(file.path, file.reason) for file in data.summary.skipped] == [
        ("train/cat/0.jpg", reason), ("train/dog/copy.jpg", reason)
    ]  # fmt: skip
    assert data.summary.train_counts == (2, 3)
    assert data.summary.notes == ("1 validation images are also training images, as 'val/cat/leak.jpg'",)


def test_imbalance_is_noted(make_set: MakeSet) -> None:
    root = make_set(count=1)
    content = encoded(noise(500, 2, 2), "PNG")
    for index in range(100):
        (root / "train" / "dog" / f"{index}.png").write_bytes(content)
    assert open_dataset(root, checks=False).summary.notes == (
        "imbalanced: 'dog' has 101 training images, 'cat' has 1",
    )  # fmt: skip


def test_links_in_folders(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(count=150)
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(encoded(noise(999)))
    cats = root / "train" / "cat"
    (cats / "loop").symlink_to(root)
    (cats / "self").symlink_to("self")
    (cats / "out.jpg").symlink_to(outside)
    (cats / "in.jpg").symlink_to(cats / "0.jpg")
    data = open_dataset(root)
    assert data.summary.train_counts == (151, 150)
    assert "ignored: 1 x link to a folder already read" in data.summary.notes
    assert [(file.path, file.reason.split(":")[0]) for file in data.summary.skipped] == [
        ("train/cat/out.jpg", "a link that leaves the data set's folder"),
        ("train/cat/self", "cannot be read"),
    ]


ODD_NAMES = [b"-rf.jpg", b"--help", b"a b.jpg", b"a\nb.jpg", b"%s.jpg", b"'\".jpg", b"$(x).jpg", b"\xff\xfe.jpg",
             "\u05d0\u202e.jpg".encode(), "\U0001f431.jpg".encode(), b"x" * 251 + b".jpg"]  # fmt: skip


def test_odd_names_work_and_are_escaped(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(classes=("cat", "do\ng", os.fsdecode(b"bad\xff")), count=60)
    folder = os.fsencode(root / "train" / "cat")
    for index, name in enumerate(ODD_NAMES):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(encoded(noise(1000 + index)))
    Path(os.fsdecode(folder + b"/\xff\n.jpg")).write_bytes(b"")
    data = open_dataset(root)
    assert data.labels == ("bad\\xff", "cat", "do\\ng")
    assert data.summary.train_counts == (60, 71, 60)
    assert [file.path for file in data.summary.skipped] == ["train/cat/\\udcff\\n.jpg"]
    json.loads(data.summary.model_dump_json())
    again = open_dataset(root)
    assert again.summary == data.summary
    same(data, open_dataset(pack(root, tmp_path / "odd.tar")))


def test_fingerprint_follows_content_not_place(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set()
    first = open_dataset(root).summary.fingerprint
    os.utime(root / "train" / "cat" / "0.jpg", (1, 1))
    moved = root.rename(tmp_path / "elsewhere")
    assert open_dataset(moved).summary.fingerprint == first
    with (moved / "train" / "cat" / "0.jpg").open("ab") as file:
        file.write(b"\0")
    second = open_dataset(moved).summary.fingerprint
    (moved / "train" / "cat" / "0.jpg").rename(moved / "train" / "cat" / "00.jpg")
    third = open_dataset(moved).summary.fingerprint
    (moved / "train" / "cat" / "00.jpg").rename(moved / "val" / "cat" / "00.jpg")
    assert len({first, second, third, open_dataset(moved).summary.fingerprint}) == 4


def test_checks_are_remembered_until_a_file_changes(make_set: MakeSet, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_set(count=60)
    calls: list[tuple[int, int]] = []
    first = open_dataset(root, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (240, 240)
    looked: list[str] = []
    real = check._examine
    monkeypatch.setattr(check, "_examine", lambda entry: looked.append(entry.name) or real(entry))
    assert open_dataset(root).summary == first.summary
    assert not looked
    (root / "train" / "cat" / "0.jpg").write_bytes(b"")
    assert len(open_dataset(root).summary.skipped) == 1
    assert len(looked) == 240
    for stored in (cache_folder() / "checks").iterdir():
        stored.write_text("{ damaged")
    assert len(open_dataset(root).summary.skipped) == 1


def test_an_unwritable_cache_only_costs_time(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEWISE_CACHE", str(tmp_path / "file" / "below"))
    root = make_set()
    assert open_dataset(root).summary.train_counts == (3, 3)
    refused(pack(root, tmp_path / "a.tar.gz", "w:gz"), "must be unpacked into", "set EDGEWISE_CACHE")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(cache_folder()) == os.environ["EDGEWISE_CACHE"]
    monkeypatch.delenv("EDGEWISE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_folder() == Path("/shared/edgewise")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "edgewise"


def test_digits() -> None:
    data = open_digits()
    assert len(data.train) + len(data.val) == 1797
    assert data.labels == tuple("0123456789")
    for total, count in zip((178, 182, 177, 183, 181, 182, 181, 179, 174, 180), data.summary.val_counts, strict=True):
        assert count == round(total * 0.2)
    assert names(open_digits().val) == names(data.val)
    assert open_digits(1).summary.fingerprint != data.summary.fingerprint == open_digits().summary.fingerprint
