"""From a source to files: every frame, nothing lost when something fails, memory that does not grow."""

import gc
import json
import threading
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from aaff.errors import AaffError, UnknownNameError
from aaff.images import read_ids
from aaff.preprocess import Size
from aaff.runtime import Segmenter
from aaff.video import Conversion, Frame, Source, SourceInfo, make_output, open_source
from aaff.video.pictures import Painter, Style
from tests.video.numbered import LABELS, BrightEngine, decode, encode, number_of, numbered, within, workers

KINDS = ("overlay", "side", "map", "index", "json")


class Made(Source):
    """Frames made on the spot; ``before`` is called with the number of each."""

    def __init__(self, count, size=(96, 64), *, live=False, before=lambda number: None, **info):
        self.problems = []
        self.count, self.size, self.before = count, size, before
        self.ended = 0
        self.info = SourceInfo("made", live, Size(*size), Fraction(30), Fraction(1, 30), **info)

    def __iter__(self):
        try:
            for number in range(self.count):
                self.before(number)
                yield Frame(numbered(number % 256, self.size), number, Fraction(number, 30), "made")
        finally:
            self.ended += 1


def convert(source, folder, kinds=KINDS, engine=None, **options):
    """Run a conversion; whatever happens, the conversion as it ended and its error."""
    outputs = [make_output(kind, folder / "v", source.info, LABELS) for kind in kinds]
    conversion = Conversion(Segmenter(engine or BrightEngine()), source, outputs, **options)
    seen = []
    error = None
    try:
        within(60, conversion.run, seen.append)
    except Exception as caught:
        error = caught
    assert not workers()
    return conversion, seen, error


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


ALL = ["v.jsonl", "v_index", "v_map.mp4", "v_overlay.mp4", "v_side.mp4"]


def test_every_form_of_a_video(drive, tmp_path):
    conversion, seen, error = convert(open_source(drive), tmp_path)
    assert error is None
    assert names(tmp_path) == ALL
    assert sorted(path.name for path in conversion.written) == ALL
    assert (conversion.frames, conversion.dropped, conversion.problems) == (60, 0, [])

    times = [Fraction(number, 30) for number in range(60)]
    overlay, side, colors = (decode(tmp_path / f"v_{form}.mp4") for form in ("overlay", "side", "map"))
    for pictures in (overlay, side, colors):
        assert [time for time, _ in pictures] == times
    assert [number_of(image) for _, image in colors] == list(range(60))
    assert [number_of(image[:64, :96]) for _, image in side] == list(range(60)), "the frame is at the left"
    assert [number_of(image[:64, 96:192]) for _, image in side] == list(range(60)), "its colours at the right"
    ids = [read_ids(tmp_path / "v_index" / f"{number:06}.png") for number in range(60)]
    assert [number_of(class_map) for class_map in ids] == list(range(60))

    rows = lines(tmp_path / "v.jsonl")
    assert [row["frame"] for row in rows] == list(range(60))
    assert rows[45]["time"] == 1.5
    assert rows[3]["shares"] == {"dark": 0.75, "bright": 0.25, "never": 0.0}
    assert rows[3]["latency_ms"] >= 0

    assert [now.frames for now in seen] == list(range(1, 61))
    assert (seen[0].rate, seen[0].left) == (None, None)
    assert seen[30].total == 60
    assert seen[30].rate > 0
    assert seen[30].left > seen[-1].left >= 0


def test_variable_times_and_odd_sizes_go_through(tmp_path):
    stamps = [0, 3003, 5000, 90_000]
    images = [np.ascontiguousarray(numbered(n, (97, 65))) for n in range(4)]
    source = encode(tmp_path / "in.mkv", images, stamps=[s // 90 for s in stamps], base=Fraction(1, 1000), codec="ffv1")
    _, _, error = convert(open_source(source), tmp_path, ("map",))
    assert error is None
    shown = decode(tmp_path / "v_map.mp4")
    assert [time for time, _ in shown] == [Fraction(s // 90, 1000) for s in stamps]
    assert shown[0][1].shape == (66, 98, 3)
    assert [number_of(image) for _, image in shown] == list(range(4))


def test_frames_of_changing_size_are_fitted_into_the_first(tmp_path):
    def sized(number):
        source.size = (96, 64) if number < 5 else (192, 100)

    source = Made(9, before=sized)
    _, _, error = convert(source, tmp_path, ("map", "overlay", "index"))
    assert error is None
    shown = decode(tmp_path / "v_map.mp4")
    assert {image.shape for _, image in shown} == {(64, 96, 3)}
    assert [number_of(image[8:56]) for _, image in shown] == list(range(9))
    assert shown[8][1][:6].max() < 40, "black above and below"
    assert read_ids(tmp_path / "v_index" / "000008.png").shape == (100, 192)
    assert len({image.shape for _, image in decode(tmp_path / "v_overlay.mp4")}) == 1


def test_pictures_have_the_size_of_the_frames_and_the_style_asked_for():
    seg = Segmenter(BrightEngine())
    frame = numbered(1).repeat(4, axis=0).repeat(4, axis=1)
    plain, drawn = Painter("overlay", Style(alpha=0, legend=False))(seg(frame)), Painter("overlay")(seg(frame))
    np.testing.assert_array_equal(plain, frame)
    assert drawn.shape == frame.shape
    assert (Painter("overlay", Style(legend=False))(seg(frame)) != drawn).any()
    with pytest.raises(UnknownNameError, match="did you mean 'overlay'"):
        Painter("overlays")


def test_a_limit_ends_early_and_well(tmp_path):
    source = Made(10**9)
    conversion, _, error = convert(source, tmp_path, limit=7)
    assert (error, conversion.frames, source.ended) == (None, 7, 1)
    assert len(decode(tmp_path / "v_overlay.mp4")) == len(lines(tmp_path / "v.jsonl")) == 7


def test_a_header_that_lies_about_the_length(tmp_path):
    _, seen, error = convert(Made(20, frames=5, seconds=Fraction(1, 6)), tmp_path, ("json",))
    assert error is None
    assert [now.total for now in seen] == [5] * 5 + [None] * 15
    assert seen[-1].left is None
    assert len(lines(tmp_path / "v.jsonl")) == 20


class TestFaults:
    def test_a_video_that_is_cut_off(self, cut, tmp_path):
        conversion, _, error = convert(open_source(cut), tmp_path / "out")
        assert error is None
        assert "is cut off" in conversion.problems[0]
        assert names(tmp_path / "out") == ALL
        assert 20 < conversion.frames < 60
        assert len(decode(tmp_path / "out" / "v_overlay.mp4")) == conversion.frames

    def fail_at_12(self, number):
        if number == 12:
            raise ZeroDivisionError("the twelfth")

    def check(self, folder, conversion, error):
        """Twelve frames are there, whole."""
        assert isinstance(error, ZeroDivisionError)
        assert conversion.frames == 12
        assert names(folder) == ALL
        for form in ("overlay", "side", "map"):
            assert len(decode(folder / f"v_{form}.mp4")) == 12
        assert len(lines(folder / "v.jsonl")) == len(names(folder / "v_index")) == 12

    def test_the_decoder_fails(self, tmp_path):
        conversion, _, error = convert(Made(60, before=self.fail_at_12), tmp_path)
        self.check(tmp_path, conversion, error)

    def test_the_network_fails(self, tmp_path):
        source = Made(60)
        conversion, _, error = convert(source, tmp_path, engine=BrightEngine(self.fail_at_12))
        self.check(tmp_path, conversion, error)
        assert source.ended == 1

    def test_drawing_fails(self, tmp_path, monkeypatch):
        paint, count = Painter.__call__, iter(range(10**6))

        def painted(self_, prediction):
            if self_.form == "map":
                self.fail_at_12(next(count))
            return paint(self_, prediction)

        monkeypatch.setattr(Painter, "__call__", painted)
        conversion, _, error = convert(Made(60), tmp_path)
        self.check(tmp_path, conversion, error)

    def test_whoever_watches_fails(self, tmp_path):
        source = Made(10**9)
        conversion = Conversion(
            Segmenter(BrightEngine()), source, [make_output("overlay", tmp_path / "v", source.info, LABELS)]
        )
        with pytest.raises(ZeroDivisionError):
            within(60, conversion.run, lambda now: self.fail_at_12(now.frames))
        assert len(decode(tmp_path / "v_overlay.mp4")) == conversion.frames >= 12
        assert source.ended == 1
        assert not workers()

    @pytest.mark.parametrize("broken", KINDS)
    def test_a_full_disk_costs_one_result_and_no_other(self, tmp_path, monkeypatch, broken):
        (tmp_path / "v.jsonl").write_text("before")
        source = Made(10**9)
        outputs = {kind: make_output(kind, tmp_path / "v", source.info, LABELS) for kind in KINDS}
        write = outputs[broken].write

        def full(frame, piece):
            if frame.index == 12:
                fail(outputs[broken])
            write(frame, piece)

        monkeypatch.setattr(outputs[broken], "write", full)
        conversion = Conversion(Segmenter(BrightEngine()), source, list(outputs.values()))
        with pytest.raises(AaffError, match="No space left on device"):
            within(60, conversion.run)
        assert not workers()
        assert outputs[broken].path not in conversion.written
        assert len(conversion.written) == 4
        assert not [name for name in names(tmp_path) if name.startswith(".")], "no temporary file is left"
        for kind in ("overlay", "side", "map"):
            if kind != broken:
                assert len(decode(outputs[kind].path)) in (12, 13)
        assert (tmp_path / "v.jsonl").read_text().startswith("before" if broken == "json" else '{"frame": 0')

    def test_a_result_that_cannot_be_finished(self, tmp_path):
        source = Made(8)
        video, rows = (make_output(kind, tmp_path / "v", source.info, LABELS) for kind in ("overlay", "json"))
        video.finish_ = video.finish

        def lost():
            video._writer.frames += 1
            return video.finish_()

        video.finish = lost
        conversion = Conversion(Segmenter(BrightEngine()), source, [video, rows])
        with pytest.raises(AaffError, match="8 of 9 pictures"):
            within(60, conversion.run)
        assert names(tmp_path) == ["v.jsonl"]

    def test_an_output_slower_than_the_source(self, tmp_path):
        made = []
        source = Made(40, before=made.append)
        output = make_output("json", tmp_path / "v", source.info, LABELS)
        write, ahead = output.write, []

        def slow(frame, piece):
            threading.Event().wait(0.01)
            ahead.append(len(made) - frame.index)
            write(frame, piece)

        output.write = slow
        within(60, Conversion(Segmenter(BrightEngine()), source, [output]).run)
        assert len(lines(tmp_path / "v.jsonl")) == 40
        assert max(ahead) <= 16, "only a few frames wait"

    def test_an_older_index_folder_gives_way(self, tmp_path):
        folder = tmp_path / "v_index"
        folder.mkdir()
        for name in ("000002.png", "000077.png", "notes.txt"):
            (folder / name).write_text("old")
        convert(Made(4), tmp_path, ("index",))
        assert names(folder) == ["000000.png", "000001.png", "000002.png", "000003.png", "notes.txt"]
        assert read_ids(folder / "000002.png").shape == (64, 96)


class TestLive:
    def test_the_newest_frame_is_shown_and_the_others_counted(self, tmp_path):
        gate = threading.Event()

        def before(call):
            if call == 1:
                gate.wait(30)  # a slow network, until the camera has given its last frame

        def given(number):
            if number == 99:
                gate.set()

        source = Made(100, live=True, before=given)
        conversion, seen, error = convert(source, tmp_path, ("json",), engine=BrightEngine(before))
        assert error is None
        shown = [row["frame"] for row in lines(tmp_path / "v.jsonl")]
        assert shown == sorted(set(shown))
        assert shown[-1] == 99
        assert len(shown) < 20
        assert conversion.dropped == 100 - len(shown)
        assert seen[-1].dropped == conversion.dropped

    def test_a_camera_that_goes_away(self, tmp_path):
        source = Made(30, live=True)
        source.problems.append("camera 0 gave no more frames after 30 (1.0 s); did it go away?")
        conversion, _, error = convert(source, tmp_path, ("overlay",))
        assert error is None
        assert "did it go away" in conversion.problems[0]
        assert len(decode(tmp_path / "v_overlay.mp4")) == conversion.frames


def test_several_conversions_at_once(drive, tmp_path):
    seg = Segmenter(BrightEngine())

    def one(folder):
        source = open_source(drive)
        Conversion(seg, source, [make_output("map", folder / "v", source.info, LABELS)]).run()

    folders = [tmp_path / str(number) for number in range(4)]
    threads = [threading.Thread(target=within, args=(60, one, folder)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for folder in folders:
        assert [number_of(image) for _, image in decode(folder / "v_map.mp4")] == list(range(60))


def test_memory_does_not_grow_with_the_length(tmp_path):
    sizes = []

    def watch(now):
        if now.frames in (100, 300):
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])

    source = Made(300, (320, 240))
    outputs = [make_output(kind, tmp_path / "v", source.info, LABELS) for kind in ("overlay", "json")]
    tracemalloc.start()
    try:
        within(120, Conversion(Segmenter(BrightEngine()), source, outputs).run, watch)
    finally:
        tracemalloc.stop()
    one_frame = 320 * 240 * 3
    assert sizes[1] - sizes[0] < 5 * one_frame, "200 frames more, and not five of them kept"


def fail(output):
    """Let an output meet a full disk as the system says it, where its own write would."""
    error = OSError(28, "No space left on device")
    if hasattr(output, "_writer"):
        output._writer._fail(error)
    elif hasattr(output, "_end"):
        output._end(error)
    else:
        output._give_up(error)
