"""DGS-30: rows, copies and known unknowns of a generated copy, folder and archive alike; counts and hands of the real one."""

from __future__ import annotations

import tarfile
import unicodedata

import numpy as np
import pytest

from signlang_hf.data import load_dataset
from signlang_hf.data.dgs30 import COPIES, UNKNOWN, WORDS, parse_clip
from signlang_hf.data.rows import to_sequence
from signlang_hf.landmarks.tracking import assign_sides

COPY, ORIGINAL = next(iter(COPIES.items()))
FRAMES = 5


def table(seed: int, dims: int, second: tuple[int, ...] = (1, 2)) -> str:
    """A file of DGS-30: a header, and rows of a face point and one hand, or two in the frames ``second``."""
    rng = np.random.default_rng(seed)
    axes = "xyz"[:dims]
    lines = [";".join(["face_x", "face_y", *(f"landmark_{axis}_{i}" for i in range(1, 43) for axis in axes)])]
    for frame in range(FRAMES):
        count = 2 + 21 * dims * (2 if frame in second else 1)
        lines.append(";".join(f"{value:.6g}" for value in rng.uniform(0.1, 0.9, count)))
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "dgs30"
    known = ("Bier/a", "Fußball/b", "welt/c", COPY, ORIGINAL)
    files = {f"3D_full/{name}.csv": table(seed, 3) for seed, name in enumerate(known)}
    files |= {f"2D_unknown/unknown/{name}.csv": table(9, 2) for name in ("Abend", "Fussball", "Du", "übermorgen")}
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


def test_rows_are_faces_and_hands_in_detection_order(folder, cache_folder):
    rows = load_dataset("dgs30", folder, cache_dir=cache_folder)
    assert set(rows) == {"train"}, "unknown clips have no depth, so they do not stand beside clips that do"
    rows = rows["train"].with_format("numpy")
    assert set(rows["id"]) == {"Bier/a", "Fußball/b", "welt/c", ORIGINAL}
    assert rows.features["label"].names == list(WORDS) and rows["signer"][0] is None
    row = next(row for row in rows if row["id"] == "Bier/a")
    assert rows.features["label"].int2str(int(row["label"])) == "Bier"
    sequence = to_sequence(row)
    assert (sequence.layout, sequence.units, sequence.size, sequence.fps) == ("dgs-43", "image", (640, 480), 30.0)
    values = [np.array(line.split(";"), np.float32) for line in table(0, 3).splitlines()[1:]]
    for frame, numbers in zip(sequence.data, values, strict=True):
        np.testing.assert_array_equal(frame[0], [*numbers[:2], 0])
        np.testing.assert_array_equal(frame[1:22].ravel(), numbers[2:65])
        np.testing.assert_array_equal(frame[22:].ravel(), numbers[65:] if len(numbers) > 65 else np.full(63, np.nan))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_hand_at_the_origin_is_missing(dims):
    header, *rows = table(0, dims, second=()).splitlines()
    point = ["1e-39", "0", "0.3"][:dims]  # whatever its depth says
    rows[1] = ";".join([*rows[1].split(";")[:2], *point * 21])
    clip = parse_clip("\n".join([header, *rows]), "Bier/a")
    assert clip.part_seen("hand1").tolist() == [True, False, True, True, True]
    assert clip.part_seen("hand2").sum() == 0 and np.isfinite(clip.data[1, 0]).all()


def test_two_dimensions_come_with_unknown_words(folder, cache_folder):
    rows = load_dataset("dgs30", folder, config_name="2d", cache_dir=cache_folder)
    assert {name: len(split) for name, split in rows.items()} == {"train": 4, "unknown": 2}
    assert set(rows["unknown"]["id"]) == {"unknown/Abend", "unknown/übermorgen"}, "Du and Fussball are known words"
    assert set(rows["unknown"]["label"]) == {UNKNOWN} and min(rows["train"]["label"]) >= 0
    assert rows["unknown"].features == rows["train"].features
    for split in rows.values():
        for row in split.with_format("numpy"):
            sequence = to_sequence(row)
            assert (sequence.data[sequence.seen][:, 2] == 0).all() and sequence.part_seen("hand2").sum() == 2


def test_folder_parent_and_archive_give_the_same_rows(folder, tmp_path, cache_folder):
    archive = tmp_path / "copy" / "dgs30.tar.xz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:xz") as stream:
        stream.add(folder, "dgs30", filter=lambda member: _decomposed(member))
    copies = [
        load_dataset("dgs30", place, config_name="2d", cache_dir=cache_folder)
        for place in (folder, folder.parent, archive)
    ]
    for copy in copies[1:]:
        for name, split in copy.items():
            assert split["id"] == copies[0][name]["id"] and split["label"] == copies[0][name]["label"]
            for one, other in zip(split.with_format("numpy"), copies[0][name].with_format("numpy"), strict=True):
                np.testing.assert_array_equal(one["landmarks"], other["landmarks"])


def _decomposed(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """As an archive made on a Mac names it: ß stays, ü becomes u and two dots."""
    member.name = unicodedata.normalize("NFD", member.name)
    return member


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "does not begin with the header of DGS-30"),
        (lambda text: text.partition("\n")[2], "does not begin with the header of DGS-30"),
        (lambda text: text.partition("\n")[0] + "\n", "holds no frame"),
        (lambda text: text + "0.1;0.2;0.3\n", "row 6 is not a face point and one or two hands, 65 or 128 numbers"),
        (lambda text: text + text.splitlines()[2] + ";1" * 63, "row 6 is not"),
        (lambda text: text.replace("0.", "zero", 1), "row 1 is not"),
        (lambda text: text + ";".join(["inf"] * 65), "row 6 is not"),
    ],
)
def test_a_broken_file_is_named(change, message):
    with pytest.raises(ValueError, match=f"Bier/a: .*{message}"):
        parse_clip(change(table(0, 3)), "Bier/a")


def test_another_word_and_a_missing_folder_are_named(folder, tmp_path, cache_folder):
    (folder / "3D_full" / "Brot").mkdir()
    (folder / "3D_full" / "Brot" / "d.csv").write_text(table(0, 3))
    with pytest.raises(ValueError, match="Brot/d: 'Brot' is none of the 30 words of DGS-30: Bier, Foto"):
        load_dataset("dgs30", folder, cache_dir=cache_folder)
    with pytest.raises(ValueError, match="dgs30 needs data_dir="):
        load_dataset("dgs30")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no clip of dgs30 \(3D_full/\*/\*\.csv"):
        load_dataset("dgs30", tmp_path / "empty")


def test_the_real_archive(signlang_data, cache_folder):
    archive = signlang_data / "dgs30.tar.xz"
    if not archive.is_file():
        pytest.skip(f"real data not found: {archive}")
    splits = load_dataset("dgs30", archive, config_name="2d", cache_dir=cache_folder)
    unknown = {name.removeprefix("unknown/").casefold() for name in splits["unknown"]["id"]}
    assert len(splits["unknown"]) == 3012 - 14 and not unknown & {word.casefold() for word in WORDS}
    rows = splits["train"].with_format("numpy")
    assert len(rows) == 1755 - len(COPIES) and len(set(rows["label"])) == 30
    assert not set(rows["id"]) & set(COPIES) and set(COPIES.values()) <= set(rows["id"])
    swapped = {"as they come": 0.0, "tracked": 0.0}
    for row in rows.select(range(0, len(rows), 10)):
        sequence = to_sequence(row)
        x = sequence.data[:, 1:, 0].reshape(len(sequence), 2, 21).mean(axis=2)
        for name, first in (("as they come", True), ("tracked", assign_sides(sequence))):
            side = np.where(first, x[:, 0] < x[:, 1], x[:, 1] < x[:, 0])[np.abs(x[:, 0] - x[:, 1]) > 0.15]
            swapped[name] += min(side.sum(), (~side).sum())
    assert swapped["tracked"] < 0.3 * swapped["as they come"]  # 0.11 with depth
