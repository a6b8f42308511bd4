"""The video benchmarks: what their figures are made of; no figure itself is asserted."""

import json

import pytest

from aaff import loading
from benchmarks import video_memory, video_speed
from tests.video.numbered import BrightEngine, encode, numbered


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """A model that costs nothing instead of a network; the file stands for it."""
    model = tmp_path / "model.onnx"
    model.write_bytes(b"a model")
    monkeypatch.setattr(loading, "find_model", lambda path: model)
    monkeypatch.setattr(loading, "load_engine", lambda *words, **options: BrightEngine())


def test_speed_keeps_the_video_and_the_figures(quick, tmp_path, capsys):
    out, figures = tmp_path / "out", tmp_path / "speed.json"
    words = ["--size", "64x48", "--seconds", "0.5", "--out", str(out), "--json", str(figures)]
    assert video_speed.main(words) == 0
    result = json.loads(figures.read_text())
    assert result["video"] == {"frames": 15, "size": "64x48", "seconds": 0.5}
    assert result["end_to_end"]["frames"] == 15, "every frame went through"
    assert result["drawn"]
    assert result["ratio"] == pytest.approx(result["end_to_end"]["fps"] / result["frame_to_map"]["fps"], abs=0.001)
    assert result["provenance"]["versions"]["av"]
    assert {path.name for path in out.iterdir()} == {"scenes.mp4", "scenes_overlay.mp4", "scenes.jsonl"}
    assert str(result["ratio"]) in capsys.readouterr().out


def test_speed_of_a_video_of_ones_own(quick, tmp_path):
    drive = encode(tmp_path / "drive.mp4", [numbered(number) for number in range(60)])
    figures = tmp_path / "speed.json"
    assert video_speed.main(["--video", str(drive), "--json", str(figures)]) == 0
    result = json.loads(figures.read_text())
    assert result["end_to_end"]["frames"] == 60
    assert not result["drawn"]


def test_memory_is_sampled_along_the_whole_video(quick, tmp_path):
    figures = tmp_path / "memory.json"
    assert video_memory.main(["--frames", "12", "--size", "64x48", "--json", str(figures)]) == 0
    result = json.loads(figures.read_text())
    assert result["frames"] == 12
    assert [frame for frame, _ in result["samples_mib"]] == list(range(1, 13))
    assert result["peak_mib"] >= result["last_mib"] > 0


@pytest.mark.parametrize(
    ("main", "words", "sentence"),
    [
        (video_speed.main, ["--seconds", "0"], "--seconds"),
        (video_speed.main, ["--video", "absent.mp4"], "absent.mp4"),
        (video_memory.main, ["--frames", "0"], "0 frames"),
        (video_memory.main, ["--frames", "2", "--size", "64x48"], "2 frames"),
    ],
)
def test_what_cannot_be_measured(quick, main, words, sentence, capsys):
    assert main(words) == 2
    assert sentence in capsys.readouterr().err
