"""Results replace their own earlier versions and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aaff.cli import main
from aaff.cli.outputs import check_json, keep_others
from aaff.errors import OptionError
from aaff.images import png_mark, write_image
from aaff.provenance import origin


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, value in {"a.png": 0, "a.jpg": 255}.items():
        Image.fromarray(np.full((48, 64, 3), value, np.uint8)).save(name)
    return tmp_path


def test_images_that_share_a_name_do_not_replace_each_other(images: Path, exported: dict[str, Path]) -> None:
    words = ["--out", "o", "--model", str(exported["fp32"])]
    assert main(["predict", "a.png", *words]) == 0
    before = {path.name: path.read_bytes() for path in Path("o").iterdir()}
    assert main(["predict", "a.jpg", *words]) == 2
    assert {path.name: path.read_bytes() for path in Path("o").iterdir()} == before
    assert main(["predict", str(images / "a.png"), *words]) == 0
    assert main(["predict", "a.jpg", *words, "--overwrite"]) == 0
    assert json.loads(Path("o/a.json").read_text())["source"] == "a.jpg"


@pytest.mark.parametrize("name", ["a_map.png", "a.json", "a_overlay.mp4", "a.jsonl", "a_index"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]\n", b"my own \xff"])
def test_a_file_of_the_user_is_kept(images: Path, name: str, content: bytes) -> None:
    own = Path(name) / "000001.png" if name.endswith("index") else Path(name)
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(content)
    with pytest.raises(OptionError, match=own.name):
        keep_others([Path(name)], ["a.png"], overwrite=False)
    keep_others([Path(name)], ["a.png"], overwrite=True)


def test_earlier_frames_are_known_by_their_mark(images: Path) -> None:
    Path("a_index").mkdir()
    Image.new("L", (2, 2)).save("a_index/000000.png", pnginfo=png_mark(origin("a.png")))
    Path("a_index/notes.txt").write_text("stays")
    keep_others([Path("a_index")], ["a.png"], overwrite=False)
    with pytest.raises(OptionError):
        keep_others([Path("a_index")], ["a.jpg"], overwrite=False)


def test_a_source_is_not_overwritten_even_when_asked(images: Path) -> None:
    Path("link.png").symlink_to("a.png")
    with pytest.raises(OptionError, match="link"):
        keep_others([Path("link.png")], ["a.png"], overwrite=True)


def test_json_replaces_json_and_no_input(images: Path) -> None:
    Path("card.json").write_text("{}")
    check_json(Path("card.json"))
    check_json(Path("new.json"), "card.json")
    check_json(Path("/dev/null"), "card.json")
    Path("folder").mkdir()
    for path, source in [("card.json", images / "card.json"), ("a.png", None), ("folder", None)]:
        with pytest.raises(OptionError, match=path):
            check_json(Path(path), source)


@pytest.mark.parametrize(("name", "width"), [("long.webp", 16_400), ("long.jpg", 65_600)])
def test_a_picture_too_large_for_a_format_names_one_that_holds_it(tmp_path: Path, name: str, width: int) -> None:
    picture = np.zeros((2, width, 3), np.uint8)
    with pytest.raises(OptionError, match=r"\.png"):
        write_image(tmp_path / name, picture)
    assert not list(tmp_path.iterdir())
    write_image(tmp_path / "long.png", picture)
