"""``aaff predict``: what it writes, what it skips, and that no picture is ever lost."""

import base64
import contextlib
import functools
import json
import shutil
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from types import SimpleNamespace

import numpy as np
import pytest

from aaff.cli import main
from aaff.images import MAX_PIXELS, pixel_limit, read_ids, read_image, write_image
from aaff.labels import CAMVID11
from aaff.loading import load


@pytest.fixture
def pictures(scenes_dir, tmp_path):
    """Two frames, one of them in a sub-folder."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    first, second = sorted((scenes_dir / "val").iterdir())[:2]
    shutil.copy(first, folder / "a.png")
    shutil.copy(second, folder / "sub" / "a.png")
    return folder


def predict(checkpoint, source, out, *words):
    return main(["predict", str(source), "--model", str(checkpoint), "--out", str(out), *words])


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


FORMS = ["a.json", "a_index.png", "a_map.png", "a_overlay.png"]


def test_a_folder_with_its_sub_folders(checkpoint, pictures, tmp_path, capsys):
    assert predict(checkpoint, pictures, tmp_path / "out") == 0
    assert files(tmp_path / "out") == [*FORMS, *(f"sub/{name}" for name in FORMS)]
    assert "2 of 2 images done" in capsys.readouterr().out

    expected = load(checkpoint)(pictures / "a.png")
    ids = read_ids(tmp_path / "out" / "a_index.png")
    np.testing.assert_array_equal(ids, expected.class_map)
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a_map.png"), CAMVID11.colorize(ids))
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a_overlay.png"), expected.overlay())
    summary = json.loads((tmp_path / "out" / "a.json").read_text())
    assert (summary["width"], summary["height"], summary["model"]) == (160, 120, "depthwise_aaff")
    assert sum(row["share"] for row in summary["classes"]) == pytest.approx(1, abs=1e-4)


def test_one_image(checkpoint, pictures, tmp_path):
    assert predict(checkpoint, pictures / "a.png", tmp_path / "out") == 0
    assert files(tmp_path / "out") == FORMS


def test_a_pattern_and_other_picture_sizes(checkpoint, pictures, tmp_path):
    write_image(pictures / "b.jpg", read_image(pictures / "a.png").repeat(2, axis=0))
    assert predict(checkpoint, f"{pictures}/*.jpg", tmp_path / "out") == 0
    assert read_ids(tmp_path / "out" / "b_index.png").shape == (240, 160)


def test_images_of_one_name_get_results_of_their_own(checkpoint, pictures, tmp_path):
    write_image(pictures / "a.jpg", np.zeros((60, 80, 3), np.uint8))
    assert predict(checkpoint, pictures, tmp_path / "out") == 0
    assert len(files(tmp_path / "out")) == 12
    assert read_ids(tmp_path / "out" / "a_jpg_index.png").shape == (60, 80)


def test_unreadable_files_are_skipped_and_said(checkpoint, pictures, tmp_path, capsys):
    whole = (pictures / "a.png").read_bytes()
    (pictures / "cut.png").write_bytes(whole[: len(whole) // 2])
    (pictures / "text.png").write_text("no picture")
    assert predict(checkpoint, pictures, tmp_path / "out") == 1
    streams = capsys.readouterr()
    assert "2 of 4 images done, 2 skipped" in streams.out
    assert all(f"skipped: {words}" in streams.err for words in ("cannot read the image", f"{pictures / 'text.png'}"))
    assert files(tmp_path / "out") == [*FORMS, *(f"sub/{name}" for name in FORMS)]


def test_a_single_unreadable_image_is_an_error(checkpoint, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no picture")
    assert predict(checkpoint, tmp_path / "text.png", tmp_path / "out") == 2
    assert "is not an image" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_limit_of_pixels_ends_with_the_command(checkpoint, pictures, tmp_path, capsys):
    assert predict(checkpoint, pictures / "a.png", tmp_path / "out", "--max-pixels", "10") == 2
    assert "pixels" in capsys.readouterr().err
    assert pixel_limit() == MAX_PIXELS


def test_nothing_readable_is_an_error(checkpoint, tmp_path, capsys):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture")
    assert predict(checkpoint, tmp_path, tmp_path / "out") == 2
    assert "nothing was written" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_results_inside_the_source_folder_are_no_sources_of_the_next_run(checkpoint, pictures):
    for _ in range(2):
        assert predict(checkpoint, pictures, pictures / "out") == 0
    assert len(files(pictures / "out")) == 8


def test_results_never_overwrite_a_source(checkpoint, pictures, capsys):
    write_image(pictures / "a_map.png", np.zeros((60, 80, 3), np.uint8))
    before = {name: (pictures / name).read_bytes() for name in files(pictures)}
    assert predict(checkpoint, pictures, pictures) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert {name: (pictures / name).read_bytes() for name in files(pictures)} == before


@pytest.mark.parametrize(
    ("source", "out", "words"),
    [
        ("nowhere", "out", "there is no file or folder"),
        ("empty", "out", "no image"),
        ("in", "in/a.png", "is a file"),
        ("in/*.gif", "out", "no image"),
    ],
)
def test_sources_and_targets_that_cannot_be(checkpoint, pictures, tmp_path, capsys, source, out, words):
    (tmp_path / "empty").mkdir()
    before = files(tmp_path)
    assert predict(checkpoint, tmp_path / source, tmp_path / out) == 2
    streams = capsys.readouterr()
    assert words in streams.err
    assert "Traceback" not in streams.err
    assert files(tmp_path) == before


def test_a_model_that_is_none_writes_nothing(pictures, tmp_path, capsys):
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04 and so on")
    assert predict(tmp_path / "weights.pt", pictures, tmp_path / "out") == 2
    assert "is a pickle" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_several_sources_and_a_default_folder(checkpoint, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [str(pictures / "a.png"), str(pictures / "sub" / "a.png"), "--model", str(checkpoint), "--write", "json"]
    assert main(["predict", *words]) == 0
    assert main(["predict", *words]) == 0
    assert files(tmp_path / "runs" / "predict") == ["a-2/a.json", "a-2/sub/a.json", "a/a.json", "a/sub/a.json"]


def test_standard_input(checkpoint, pictures, tmp_path, capsys, monkeypatch):
    with open(pictures / "a.png", "rb") as picture:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=picture, isatty=lambda: False))
        assert predict(checkpoint, "-", tmp_path / "out", "--write", "json") == 0
        assert json.loads((tmp_path / "out" / "stdin.json").read_text())["source"] == "stdin"
        assert predict(checkpoint, "-", tmp_path / "out") == 2
    assert "standard input is empty" in capsys.readouterr().err


@contextlib.contextmanager
def served(folder):
    """A web server's host and port, and the Authorization headers that it receives."""
    seen = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            super().do_GET()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", seen
        server.shutdown()


def test_an_image_at_an_address(checkpoint, pictures, tmp_path):
    with served(pictures) as (host, _):
        address = f"http://{host}/a.png?size=1"
        assert predict(checkpoint, address, tmp_path / "out", "--write", "index") == 0
        assert predict(checkpoint, address.replace("a.png", "b.png"), tmp_path / "out") == 2
    np.testing.assert_array_equal(
        read_ids(tmp_path / "out" / "a_index.png"), load(checkpoint)(pictures / "a.png").class_map
    )


def test_a_password_in_an_address_is_sent_and_never_shown(checkpoint, pictures, tmp_path, capsys):
    with served(pictures) as (host, seen):
        address = f"http://me:se%40s@me@{host}/a.png"
        assert predict(checkpoint, address, tmp_path / "out", "--write", "json") == 0
        assert predict(checkpoint, address.replace("a.png", "b.png"), tmp_path / "out") == 2
    assert base64.b64decode(seen[0].removeprefix("Basic ")) == b"me:se@s@me"
    streams = capsys.readouterr()
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "@" not in streams.out + streams.err + written


def test_the_style_of_an_overlay(checkpoint, pictures, tmp_path, capsys):
    words = ["--write", "overlay", "--alpha", "0", "--no-legend", "--classes", "road", "sky"]
    assert predict(checkpoint, pictures / "a.png", tmp_path / "out", *words) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a_overlay.png"), read_image(pictures / "a.png"))
    assert predict(checkpoint, pictures / "a.png", tmp_path / "out", "--classes", "raod") == 2
    assert "'road'" in capsys.readouterr().err
    assert predict(checkpoint, pictures / "a.png", tmp_path / "none", "--write", "json", "--classes", "raod") == 2
    assert not (tmp_path / "none").exists()
    assert predict(checkpoint, pictures / "a.png", tmp_path / "out", "--size", "96x64", "--write", "json") == 0


def test_without_a_display_show_warns_once_and_goes_on(checkpoint, pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("aaff.runtime.display.has_display", lambda: False)
    assert predict(checkpoint, pictures, tmp_path / "out", "--show", "--write", "json") == 0
    assert capsys.readouterr().err.count("no display") == 1
    assert len(files(tmp_path / "out")) == 2


def test_without_a_terminal_long_work_prints_lines(checkpoint, pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("aaff.cli.console.SECONDS_BETWEEN_LINES", 0.0)
    assert predict(checkpoint, pictures, tmp_path / "out", "--write", "json") == 0
    assert "predicting: 1 of 2" in capsys.readouterr().err
