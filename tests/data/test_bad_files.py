"""Files that are not what they should be: converted where the meaning is clear, else one sentence with the file."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from aaff.data import open_dataset, write_dataset
from aaff.data.sample import Dataset, Sample
from aaff.errors import DataError, OptionError
from aaff.images import read_ids, read_image, read_size
from aaff.labels import CAMVID11

COLORS = np.array([[[200, 30, 60], [10, 250, 90]], [[0, 0, 0], [255, 255, 255]]], np.uint8)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(0)
    sample = Sample("a_1", rng.integers(0, 256, (40, 60, 3)).astype(np.uint8), np.ones((40, 60), np.uint8))
    write_dataset("segnet", tmp_path, "train", [sample], CAMVID11)
    return open_dataset(tmp_path, "train")


def test_a_truncated_image_is_named(dataset: Dataset) -> None:
    for path in (dataset.pairs[0].image, dataset.pairs[0].label):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=rf"{path.parent.name}/a_1\.png.*is the file complete"):
            dataset[0]
        path.write_bytes(whole)


@pytest.mark.parametrize("content", [b"", b"this is text\n", b"\x89PNG\r\n\x1a\n", b"BM" + bytes(60)])
def test_what_is_no_image_is_named(dataset: Dataset, content: bytes) -> None:
    path = dataset.pairs[0].image
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a_1\.png"):
        dataset[0]
    with pytest.raises(DataError, match=r"a_1\.png"):
        read_size(path)


def test_a_file_that_is_gone_is_named(dataset: Dataset) -> None:
    dataset.pairs[0].image.unlink()
    with pytest.raises(DataError, match=r"no image file .*train/a_1\.png"):
        dataset[0]


def test_pictures_of_every_mode_become_rgb(tmp_path: Path) -> None:
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    rgb = Image.fromarray(COLORS)
    see_through = rgb.convert("RGBA")
    see_through.putalpha(Image.fromarray(grey))
    pictures = {
        "palette.png": (rgb.quantize(4), COLORS),
        "rgba.png": (see_through, COLORS),
        "grey.png": (Image.fromarray(grey), np.repeat(grey[..., None], 3, 2)),
        "grey16.png": (Image.fromarray(grey.astype(np.uint16) * 257), np.repeat(grey[..., None], 3, 2)),
        "bits.png": (Image.fromarray(grey > 150), np.repeat(np.where(grey > 150, 255, 0)[..., None], 3, 2)),
        "cmyk.tif": (rgb.convert("CMYK"), COLORS),
    }
    for name, (picture, expected) in pictures.items():
        picture.save(tmp_path / name)
        found = read_image(tmp_path / name)
        assert (found.dtype, found.shape) == (np.uint8, (2, 2, 3)), name
        assert np.abs(found.astype(int) - expected).max() <= 1, name


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to see it upright
    Image.fromarray(np.repeat(COLORS, 8, axis=1)).save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png").shape == (16, 2, 3)


def test_pictures_of_real_numbers_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif holds floating-point values"):
        read_image(tmp_path / "a.tif")


def test_index_labels_of_every_mode_keep_their_ids(dataset: Dataset) -> None:
    ids = (np.arange(2400) % 12).astype(np.uint8).reshape(40, 60)
    expected = np.where(ids == 11, 255, ids)
    path = dataset.pairs[0].label
    palette = Image.fromarray(ids)
    palette.putpalette(CAMVID11.palette.tobytes())
    for picture in (Image.fromarray(ids), palette, Image.fromarray(ids.astype(np.uint16))):
        picture.save(path)
        assert np.array_equal(dataset[0].label, expected), picture.mode


def test_a_label_of_another_size_names_both(dataset: Dataset) -> None:
    Image.fromarray(np.ones((20, 30), np.uint8)).save(dataset.pairs[0].label)
    with pytest.raises(DataError, match=r"trainannot/a_1\.png"):
        dataset[0]


def test_ids_out_of_range_are_named(dataset: Dataset) -> None:
    path = dataset.pairs[0].label
    Image.fromarray(np.full((40, 60), 12, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"a_1\.png.* 12 "):
        dataset[0]
    Image.fromarray(np.full((40, 60), 300, np.uint16)).save(path)
    with pytest.raises(DataError, match=r"a_1\.png .*300"):
        dataset[0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
def test_colours_where_ids_should_be_are_refused(dataset: Dataset, mode: str) -> None:
    path = dataset.pairs[0].label
    Image.fromarray(np.ones((40, 60, 3), np.uint8)).convert(mode).save(path, format="TIFF")
    with pytest.raises(DataError, match=rf"a_1\.png.* {mode}"):
        dataset[0]


def test_colour_masks_may_be_palette_or_rgba(tmp_path: Path) -> None:
    label = (np.arange(24) % 11).astype(np.uint8).reshape(4, 6)
    sample = Sample("a_1", np.zeros((4, 6, 3), np.uint8), label)
    write_dataset("kaggle", tmp_path, "train", [sample], CAMVID11)
    dataset = open_dataset(tmp_path, "train")
    mask = Image.open(dataset.pairs[0].label).convert("RGB")
    for picture in (mask.quantize(16), mask.convert("RGBA")):
        picture.save(dataset.pairs[0].label)
        assert np.array_equal(dataset[0].label, label), picture.mode


def png(bits: int, row: bytes, width: int) -> bytes:
    """A greyscale PNG of one row."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, 1, bits, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" + row)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bits", "row", "ids"), [(1, b"\x50", [0, 1, 0, 1]), (2, b"\x1b", [0, 1, 2, 3]), (4, b"\x0b\xf1", [0, 11, 15, 1])]
)
def test_ids_of_few_bits_are_read_as_they_are_stored(bits: int, row: bytes, ids: list[int], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(bits, row, 4))
    assert read_ids(tmp_path / "a.png").tolist() == [ids]


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_shown_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = np.zeros((24, 40), np.uint8)
    grey[:8, :16] = 200
    Image.fromarray(grey).save(tmp_path / f"a.{suffix}", exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    turned = Image.fromarray(grey)
    turned.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(turned))
    found = read_image(tmp_path / f"a.{suffix}")[..., 0]
    assert found.shape == expected.shape
    assert ((found > 100) == (expected > 100)).mean() > 0.98
    if suffix in ("png", "tif"):
        assert np.array_equal(read_ids(tmp_path / f"a.{suffix}"), expected)


def test_an_odd_exif_tag_beside_the_orientation_does_not_matter(tmp_path: Path) -> None:
    def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return struct.pack("<HHI", tag, kind, count) + value

    tags = entry(0x0112, 3, 1, struct.pack("<HH", 6, 0)) + entry(0x011A, 2, 3, b"72\0\0")  # resolution as text
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + tags + bytes(4)
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (40, 30, 3)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_labels_in_a_lossy_format_are_refused(dataset: Dataset, name: str) -> None:
    path = dataset.pairs[0].label
    path.unlink()
    path = path.with_name(f"a_1{Path(name).suffix}")
    Image.fromarray(np.full((40, 60), 3, np.uint8)).save(path, "JPEG")
    with pytest.raises(DataError, match=r"JPEG.*PNG"):
        open_dataset(dataset.root, "train")[0]


def test_a_picture_above_the_pixel_limit_can_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(COLORS).save(path)
    monkeypatch.setenv("AAFF_MAX_PIXELS", "3")
    with pytest.raises(DataError, match=r"AAFF_MAX_PIXELS=4"):
        read_image(path)
    monkeypatch.setenv("AAFF_MAX_PIXELS", "4")
    assert read_image(path).shape == (2, 2, 3)
    monkeypatch.setenv("AAFF_MAX_PIXELS", "many")
    with pytest.raises(OptionError, match="AAFF_MAX_PIXELS"):
        read_image(path)


def test_formats_that_start_other_programs_are_refused(tmp_path: Path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "a.eps")
    Image.fromarray(COLORS).save(tmp_path / "a.pdf")
    for path in list(tmp_path.iterdir()):
        hidden = path.rename(path.with_suffix(f"{path.suffix}.png"))
        with pytest.raises(DataError, match="not an image"):
            read_image(hidden)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name in ("x" * 300, "loop"):
        with pytest.raises(DataError):
            read_image(tmp_path / name)
        with pytest.raises(DataError):
            open_dataset(tmp_path / name, "train")
