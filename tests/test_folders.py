"""Which files of a folder are found: every format people have, through links, and never twice."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aaff.cli import main
from aaff.errors import DataError
from aaff.runtime.frames import find_images, find_media
from aaff.video import source_kind

PICTURE = Image.fromarray(np.zeros((24, 32, 3), np.uint8))
NOT_UTF8 = b"caf\xe9.png".decode("utf-8", "surrogateescape")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of many kinds, a linked folder, links in circles, a video and a hidden file."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("a.jfif", "b.avif", "c.gif", "sub/d.png", ".hidden.png", "../elsewhere/e.png"):
        PICTURE.save(root / name)
    (root / "link").symlink_to("../elsewhere")
    (root / "sub" / "circle").symlink_to("..")
    (root / "sub" / "other").symlink_to("../sub")
    (root / "loop.png").symlink_to("loop.png")
    (root / "v.mp4").touch()
    return root


def names(paths: list[Path]) -> list[str]:
    return sorted(path.name for path in paths)


def test_a_folder_is_searched_through_links_and_each_file_once(folder: Path) -> None:
    assert names(find_images(folder)) == ["a.jfif", "b.avif", "c.gif", "d.png", "e.png"]
    (folder / "IMG_1.HEIC").touch()
    assert names(find_media(folder).videos) == ["v.mp4"]
    assert names(find_media(folder).unread) == ["IMG_1.HEIC"]
    assert names(find_images(str(folder / "**"))) == ["a.jfif", "b.avif", "c.gif", "d.png", "e.png"]
    assert names(find_images(str(folder / "**" / "*.png"))) == ["d.png", "e.png"]
    assert names(find_images(str(folder / "l*" / "**" / "e.*"))) == ["e.png"]
    assert names(find_images(str(folder / "**" / "link" / "*"))) == ["e.png"]
    assert names(find_images(str(folder / "*.gif"))) == ["c.gif"]


def test_a_folder_of_videos_alone_names_one(folder: Path) -> None:
    for path in find_images(folder):
        path.unlink()
    with pytest.raises(DataError, match=r"v\.mp4"):
        find_images(folder)


def test_a_moving_gif_is_a_video_and_a_still_one_an_image(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "still.gif")
    PICTURE.save(tmp_path / "moving.gif", save_all=True, append_images=[PICTURE.point(lambda v: 255 - v)], duration=40)
    assert source_kind(tmp_path / "still.gif") == "images"
    assert source_kind(tmp_path / "moving.gif") == "video"


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_names_that_are_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        PICTURE.save(tmp_path / NOT_UTF8)
    except OSError:
        pytest.skip("this file system refuses such names")
    assert names(find_images(tmp_path)) == [NOT_UTF8]


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "NAME", "--out", "o"],
        ["predict", "NAME.png", "--out", "o"],
        ["predict", "NAME.mp4", "--out", "o"],
        ["predict", "http://[NAME/a.png", "--out", "o"],
        ["predict", "rtsp://[NAME", "--out", "o"],
        ["predict", "in/c.gif", "--out", "o", "--model", "NAME"],
        ["data", "check", "NAME"],
        ["data", "stats", "NAME"],
        ["evaluate", "NAME", "--data", "NAME"],
        ["export", "NAME"],
        ["export", "NAME", "--card", "NAME"],
        ["train", "--data", "in", "--out", "o", "--recipe", "NAME.yaml"],
        ["train", "--data", "NAME", "--out", "o"],
    ],
)
def test_names_that_no_file_can_have_end_in_a_sentence(
    words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("loop").symlink_to("loop")
    for name in ("x" * 300, "loop"):
        assert main([word.replace("NAME", name) for word in words]) == 2
        assert capsys.readouterr().err.startswith("aaff: ")
