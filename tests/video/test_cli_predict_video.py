"""``aaff predict`` on videos: names of the files, exit status, Ctrl-C."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from aaff import loading
from aaff.cli import main
from aaff.images import write_image
from tests.video.numbered import decode, encode, number_of, numbered


@pytest.fixture
def quick(monkeypatch):
    """The model that reads numbers instead of a network."""
    from aaff.runtime import Segmenter
    from tests.video.numbered import BrightEngine

    monkeypatch.setattr(loading, "find_model", lambda path, **options: path)
    monkeypatch.setattr(loading, "load_segmenter", lambda *words, **options: Segmenter(BrightEngine()))


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_from_end_to_end_with_a_network(checkpoint, scenes_dir, tmp_path, capsys):
    frames = sorted((scenes_dir / "val").iterdir())[:4]
    from aaff.images import read_image

    video = encode(tmp_path / "drive.mp4", [read_image(path) for path in frames])
    assert main(["predict", str(video), "--model", str(checkpoint), "--out", str(tmp_path / "out")]) == 0
    assert names(tmp_path / "out") == ["drive.jsonl", "drive_overlay.mp4"]
    assert len(decode(tmp_path / "out" / "drive_overlay.mp4")) == 4
    said = capsys.readouterr().out
    assert "4 of 4 frames done" in said
    assert "median" in said
    assert "depthwise_aaff" in said


def test_chosen_results(quick, drive, tmp_path):
    words = ["predict", str(drive), "--out", str(tmp_path), "--frames", "5", "--write", "side", "map", "index"]
    assert main(words) == 0
    assert names(tmp_path) == [*(f"drive_index/{n:06}.png" for n in range(5)), "drive_map.mp4", "drive_side.mp4"]


def test_a_cut_video_is_status_1(quick, cut, tmp_path, capsys):
    assert main(["predict", str(cut), "--out", str(tmp_path / "out")]) == 1
    streams = capsys.readouterr()
    assert "warning: " in streams.err
    assert "is cut off" in streams.err
    assert "of 60 frames done" in streams.out
    assert len(decode(tmp_path / "out" / "cut_overlay.mp4")) > 30


def test_a_video_by_standard_input_is_called_stdin(quick, drive, tmp_path, capsys, monkeypatch):
    with open(drive, "rb") as piped:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=piped, isatty=lambda: False))
        assert main(["predict", "-", "--frames", "2", "--out", str(tmp_path)]) == 0
    assert {json.loads(line)["source"] for line in (tmp_path / "stdin.jsonl").read_text().splitlines()} == {"stdin"}
    assert b"/stdin" not in (tmp_path / "stdin_overlay.mp4").read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a text"), isatty=lambda: False))
    assert main(["predict", "-", "--out", str(tmp_path / "text")]) == 2
    assert capsys.readouterr().err.startswith("aaff: stdin ")


def test_what_is_no_video_is_status_2(quick, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("a text")
    for source in (tmp_path / "text.mp4", tmp_path / "no.mp4"):
        assert main(["predict", str(source), "--out", str(tmp_path / "out")]) == 2
    assert "is not a video" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", ["camera:77", "rtsp://127.0.0.1:9/front"])
def test_a_camera_that_is_not_there_is_one_sentence(tmp_path, source):
    command = [sys.executable, "-m", "aaff", "predict", source, "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("aaff: "), "no line of a library before the sentence"
    assert "cannot be opened" in done.stderr


def test_all_images_and_videos_of_a_folder_are_done_and_results_are_no_sources(quick, drive, tmp_path, capsys):
    folder = tmp_path / "mixed"
    write_image(folder / "a.png", numbered(1))
    (folder / "sub").mkdir()
    encode(folder / "sub" / "10:30.mp4", [numbered(number) for number in range(3)])
    (folder / "broken.mp4").write_text("a text")
    (folder / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    still, moving = Image.new("RGB", (96, 64)), Image.new("RGB", (96, 64), "white")
    still.save(folder / "still.gif")
    still.save(folder / "moving.gif", save_all=True, append_images=[moving], duration=100)
    expected = ["a.json", "a_overlay.png", "moving.jsonl", "moving_overlay.mp4", "still.json", "still_overlay.png"]
    expected += ["sub/10:30.jsonl", "sub/10:30_overlay.mp4"]
    words = ["predict", str(folder), "--write", "overlay", "json", "--out"]
    for _ in range(2):
        assert main([*words, str(tmp_path / "out")]) == 1
        assert names(tmp_path / "out") == expected
    said = capsys.readouterr().err
    assert "broken.mp4" in said
    assert "IMG_1.HEIC" in said

    (folder / "broken.mp4").unlink()
    (folder / "IMG_1.HEIC").unlink()
    for _ in range(2):  # results beside the sources
        assert main([*words, str(folder)]) == 0
        assert names(folder) == sorted([*expected, "a.png", "moving.gif", "still.gif", "sub/10:30.mp4"])
    assert "earlier results" in capsys.readouterr().err

    (tmp_path / "a.mp4").write_bytes((folder / "sub" / "10:30.mp4").read_bytes())
    same = [f"file://{tmp_path}/a.mp4", str(folder / "a.png"), str(tmp_path / "a.mp4"), str(folder / "sub")]
    assert main(["predict", *same, "--write", "json", "--out", str(tmp_path / "several")]) == 0
    assert names(tmp_path / "several") == ["10:30.jsonl", "a.json", "a.jsonl"]


def test_a_folder_as_video(quick, tmp_path, capsys):
    folder = tmp_path / "frames"
    for number in range(4):
        write_image(folder / f"{number}.png", numbered(number))
    (folder / "9.png").write_text("no picture")
    words = ["predict", str(folder), "--out", str(tmp_path), "--as-video", "--fps", "30000/1001"]
    assert main([*words, "--write", "map", "json"]) == 1
    shown = decode(tmp_path / "frames_map.mp4")
    assert [number_of(image) for _, image in shown] == list(range(4))
    assert [float(time) for time, _ in shown] == pytest.approx([n * 1001 / 30_000 for n in range(4)])
    rows = [json.loads(line) for line in (tmp_path / "frames.jsonl").read_text().splitlines()]
    assert rows[3]["source"] == str(folder / "3.png")
    assert "left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--fps", "25"], "--fps sets the frame rate"),
        (["--frames", "0"], "--frames is 0"),
        (["--write", "overlays"], "overlay"),
    ],
)
def test_options_that_make_no_sense(quick, drive, tmp_path, capsys, words, sentence):
    assert main(["predict", str(drive), "--out", str(tmp_path / "out"), *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["fast", "0", "-3", "1/0"])
def test_rates_that_are_none(quick, tmp_path, capsys, rate):
    write_image(tmp_path / "a" / "1.png", numbered(1))
    assert main(["predict", str(tmp_path / "a"), "--out", str(tmp_path / "o"), "--as-video", f"--fps={rate}"]) == 2
    assert "--fps" in capsys.readouterr().err


def test_images_can_be_shown_side_by_side(quick, tmp_path):
    write_image(tmp_path / "a.png", numbered(1))
    assert main(["predict", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--write", "side"]) == 0
    assert names(tmp_path / "out") == ["a_side.png"]


LONG = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a script inherits it ignored
from tests.video.numbered import BrightEngine
from aaff import loading
from aaff.cli import main
from aaff.runtime import Segmenter

def before(call):
    time.sleep(0.02)
    if call == 12:
        print("running", flush=True)

loading.find_model = lambda path, **options: path
loading.load_segmenter = lambda *words, **options: Segmenter(BrightEngine(before))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_complete_files(tmp_path, number, react):
    react(number, signal.SIG_DFL)
    video = encode(tmp_path / "long.mp4", [numbered(n % 256) for n in range(1500)])
    out = tmp_path / "out"
    out.mkdir()
    (out / "long.jsonl").write_text("of an earlier run")
    command = [sys.executable, "-c", LONG, "predict", str(video), "--model", "bright", "--out", str(out)]
    command.append("--overwrite")
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(number)
        said, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, complaint
    assert "interrupted" in complaint
    assert names(out) == ["long.jsonl", "long_overlay.mp4"], "no temporary file is left"
    shown = decode(out / "long_overlay.mp4")
    assert 1 <= len(shown) < 1500
    assert len((out / "long.jsonl").read_text().splitlines()) == len(shown)
    assert f"{len(shown)} of 1500 frames done" in said
