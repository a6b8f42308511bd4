"""Where frames come from: every frame, upright, at its time; and what is said of files that are none."""

import http.server
import struct
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from aaff.errors import DataError, OptionError
from aaff.images import write_image
from aaff.preprocess import Size
from aaff.video import open_source, short_name, source_kind
from tests.video.numbered import decode, encode, number_of, numbered, within


def read(source):
    """All frames, and the source."""
    opened = open_source(source)
    return within(60, list, opened), opened


class TestFiles:
    def test_every_frame_in_order_at_its_time(self, drive):
        frames, source = read(drive)
        assert [number_of(frame.image) for frame in frames] == [frame.index for frame in frames] == list(range(60))
        assert [frame.time for frame in frames] == [Fraction(number, 30) for number in range(60)]
        assert (source.info.size, source.info.rate, source.info.frames) == (Size(96, 64), 30, 60)
        assert source.info.seconds == 2
        assert not source.info.live
        assert not source.problems
        np.testing.assert_array_equal(frames[7].image, decode(drive)[7][1])

    def test_a_variable_rate_keeps_exact_times(self, tmp_path):
        stamps = [0, 3003, 5000, 5001, 90_000, 91_001]
        path = encode(tmp_path / "v.mp4", [numbered(n) for n in range(6)], stamps=stamps, base=Fraction(1, 90_000))
        frames, source = read(path)
        assert [frame.time for frame in frames] == [Fraction(stamp, 90_000) for stamp in stamps]
        assert source.info.tick == Fraction(1, 90_000)

    def test_a_rate_that_is_no_whole_number_stays_exact(self, tmp_path):
        images = [numbered(n) for n in range(6)]
        frames, source = read(encode(tmp_path / "n.mkv", images, base=Fraction(1001, 30_000)))
        assert len(frames) == 6
        path = encode(tmp_path / "n.mp4", images, stamps=[n * 1001 for n in range(6)], base=Fraction(1, 30_000))
        frames, source = read(path)
        assert source.info.rate == Fraction(30_000, 1001)
        assert frames[-1].time == 5 * Fraction(1001, 30_000)

    @pytest.mark.parametrize(
        ("matrix", "turned"),
        [
            ((1, 0, 0, 1), lambda image: image),
            ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
            ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
            ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
            ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
            ((1, 0, 0, -1), lambda image: image[::-1]),
            ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
            ((0, -1, -1, 0), lambda image: np.rot90(image, 2).transpose(1, 0, 2)),
        ],
    )
    def test_the_rotation_flag_is_applied(self, tmp_path, matrix, turned):
        image = numbered(0b00101101)
        image = image.copy()
        image[:20, :, 1] = 255
        path = encode(tmp_path / "plain.mp4", [image])
        plain = decode(path)[0][1]
        data = bytearray(path.read_bytes())
        a, b, c, d = (value * 65536 for value in matrix)
        place = data.find(b"tkhd") + 44  # the matrix of the track's header, by the standard (ISO 14496-12)
        data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
        frames, source = read(path)
        np.testing.assert_array_equal(frames[0].image, turned(plain))
        assert source.info.size == Size.of(turned(plain))

    def test_odd_sizes(self, tmp_path):
        # MPEG-4 part 2 codes odd sizes in yuv420p; H.264 in yuv444p would too.
        image = np.ascontiguousarray(numbered(5, (97, 65)))
        path = encode(tmp_path / "odd.mkv", [image] * 3, codec="ffv1")
        frames, source = read(path)
        assert source.info.size == Size(97, 65)
        assert number_of(frames[2].image) == 5

    def test_frames_of_changing_size(self, tmp_path):
        small = encode(tmp_path / "a.h264", [numbered(n) for n in range(5)])
        large = encode(tmp_path / "b.h264", [numbered(n, (160, 120)) for n in range(5, 9)])
        both = tmp_path / "both.h264"
        both.write_bytes(small.read_bytes() + large.read_bytes())
        frames, _ = read(both)
        assert [Size.of(frame.image) for frame in frames] == [Size(96, 64)] * 5 + [Size(160, 120)] * 4
        assert [number_of(frame.image) for frame in frames] == list(range(9))

    def test_frames_without_times_follow_at_the_nominal_rate(self, tmp_path):
        frames, source = read(encode(tmp_path / "raw.h264", [numbered(n) for n in range(4)]))
        assert [frame.time for frame in frames] == [n / source.info.rate for n in range(4)]

    def test_times_that_go_back_go_on(self, tmp_path):
        one = encode(tmp_path / "one.ts", [numbered(n) for n in range(12)]).read_bytes()
        joined = tmp_path / "joined.ts"
        joined.write_bytes(one + one)
        frames, _ = read(joined)
        assert [number_of(frame.image) for frame in frames] == [*range(12), *range(12)]
        assert [frame.time for frame in frames] == [Fraction(n, 30) for n in range(24)]

    def test_a_start_later_than_0_is_the_files_own_0(self, tmp_path):
        path = encode(tmp_path / "late.ts", [numbered(n) for n in range(4)], stamps=[300, 301, 302, 303])
        assert [frame.time for frame in read(path)[0]] == [Fraction(n, 30) for n in range(4)]

    def test_pixels_that_are_no_squares(self, tmp_path):
        path = tmp_path / "wide.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(1), format="rgb24")))
            container.mux(stream.encode(None))
        assert open_source(path).info.pixel_aspect == Fraction(4, 3)

    def test_a_lying_frame_count_changes_nothing(self, tmp_path):
        path = encode(tmp_path / "liar.avi", [numbered(n) for n in range(10)], codec="mpeg4")
        data = bytearray(path.read_bytes())
        for place in (data.find(b"avih") + 8 + 16, data.find(b"strh") + 8 + 32):  # dwTotalFrames, dwLength
            data[place : place + 4] = struct.pack("<I", 3)
        path.write_bytes(data)
        frames, source = read(path)
        assert [number_of(frame.image) for frame in frames] == list(range(10))
        assert source.info.frames == 3, "the header's own word"


class TestBrokenFiles:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", r"is empty \(0 bytes\)"),
            (b"hello, I am a text\n" * 500, "is not a video"),
            (bytes(range(256)) * 40, "is not a video"),
            (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        ],
    )
    def test_a_file_that_is_no_video(self, tmp_path, content, words):
        path = tmp_path / "text.mp4"
        path.write_bytes(content)
        with pytest.raises(DataError, match=words):
            open_source(path)

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_a_video_of_no_frame(self, tmp_path, suffix):
        path = tmp_path / f"nothing{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            container.start_encoding()
        with pytest.raises(DataError, match="is a video without a frame"):
            open_source(path)

    def test_sound_alone(self, tmp_path):
        path = tmp_path / "sound.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=44_100)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
            frame.rate = 44_100
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with pytest.raises(DataError, match="has no pictures, only audio"):
            open_source(path)

    def test_an_index_that_was_never_written(self, drive, tmp_path):
        data = encode(tmp_path / "slow.mp4", [numbered(n) for n in range(20)]).read_bytes()
        path = tmp_path / "cut.mp4"
        path.write_bytes(data[: data.find(b"moov") - 4])
        with pytest.raises(DataError, match="without its index, which is written last"):
            open_source(path)

    def test_a_codec_that_is_not_known(self, drive, tmp_path):
        data = bytearray(drive.read_bytes())
        place = data.find(b"avc1", data.find(b"stsd"))
        data[place : place + 4] = b"zzzz"
        path = tmp_path / "odd.mp4"
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"codec that cannot be decoded here; this PyAV decodes .*h264"):
            open_source(path)

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
    def test_a_video_cut_in_the_middle_gives_what_it_has(self, tmp_path, suffix):
        options = {"movflags": "+faststart"} if suffix == ".mp4" else None
        images = [numbered(n, (192, 128)) for n in range(100)]
        noise = np.random.default_rng(0).integers(0, 60, (100, 128, 192, 3))
        images = [np.clip(image + grain, 0, 255).astype(np.uint8) for image, grain in zip(images, noise, strict=True)]
        whole = encode(tmp_path / f"whole{suffix}", images, options=options).read_bytes()
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(whole[: len(whole) // 2])
        frames, source = read(path)
        assert 20 < len(frames) < 80
        numbers = [number_of(frame.image, 128) for frame in frames]
        assert numbers[:-3] == list(range(len(frames) - 3)), "the last may be smeared"
        if suffix != ".ts":  # which says nowhere how long it is
            assert len(source.problems) == 1
            assert "is cut off" in source.problems[0]
            assert f"it gives {len(frames)} frames" in source.problems[0]
            assert "of the 3.3 s" in source.problems[0]

    def test_holes_in_the_middle_are_counted(self, drive, tmp_path):
        with av.open(str(drive)) as container:
            entry = container.streams.video[0].index_entries[20]
            place, size = entry.pos, entry.size
        data = bytearray(drive.read_bytes())
        data[place : place + size] = bytes(size)
        path = tmp_path / "hole.mp4"
        path.write_bytes(data)
        frames, source = read(path)
        assert len(frames) > 20
        assert "is damaged or cut off: " in source.problems[0]

    def test_no_such_file(self, tmp_path):
        with pytest.raises(DataError, match="there is no video file"):
            open_source(tmp_path / "no.mp4")
        with pytest.raises(DataError, match="there is no file or folder"):
            open_source(tmp_path / "no")


class TestImages:
    @pytest.fixture
    def folder(self, tmp_path):
        for number in (1, 2, 10):
            write_image(tmp_path / f"f{number}.png", numbered(number))
        return tmp_path

    def test_a_folder_is_a_video(self, folder):
        source = open_source(folder, rate=Fraction(25, 2))
        frames = list(source)
        assert [number_of(frame.image) for frame in frames] == [1, 2, 10]
        assert [frame.time for frame in frames] == [0, Fraction(2, 25), Fraction(4, 25)]
        assert [frame.name for frame in frames] == [str(folder / f"f{n}.png") for n in (1, 2, 10)]
        assert (source.info.frames, source.info.seconds) == (3, Fraction(6, 25))

    def test_an_unreadable_image_is_left_out_and_said(self, folder):
        (folder / "f2.png").write_text("no picture")
        frames, source = read(folder)
        assert [frame.index for frame in frames] == [0, 2]
        assert source.problems[0].startswith("left out: ")
        assert "f2.png" in source.problems[0]

    def test_nothing_readable(self, tmp_path):
        for name in ("a.png", "b.png"):
            (tmp_path / name).write_text("no picture")
        with pytest.raises(DataError, match=r"no image of .* can be read"):
            open_source(tmp_path)
        with pytest.raises(DataError, match=r"a\.png is not an image"):
            open_source(tmp_path / "a.png")

    @pytest.mark.parametrize("rate", [0, -1])
    def test_a_rate_that_is_none(self, folder, rate):
        with pytest.raises(OptionError, match="give more than 0"):
            open_source(folder, rate=Fraction(rate))


class FakeCapture:
    """What OpenCV gives for a camera: frames 0, 1, … in BGR, then nothing."""

    frames = 5
    rate = 30.0
    released = 0

    def __init__(self, *words):
        self.words = words
        self.count = 0

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return self.words[0] != 9

    def get(self, what):
        return type(self).rate

    def read(self):
        if self.count >= self.frames:
            return False, None
        image = numbered(self.count).copy()
        image[..., 2] //= 2  # red, in OpenCV's order
        self.count += 1
        return True, image

    def release(self):
        type(self).released += 1


@pytest.fixture
def camera(monkeypatch):
    class Capture(FakeCapture):
        pass

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    return Capture


class TestCameras:
    @pytest.mark.parametrize("words", [0, "0", "camera:0"])
    def test_frames_are_rgb_at_growing_times_until_it_goes_away(self, camera, words):
        frames, source = read(words)
        assert source.info.live
        assert source.info.name == "camera 0"
        assert [number_of(frame.image[..., 1:]) for frame in frames] == list(range(5))
        assert frames[3].image[0, -1].tolist() == [117, 235, 235]
        times = [frame.time for frame in frames]
        assert times[0] == 0
        assert times == sorted(set(times))
        assert "camera 0 gave no more frames after 5" in source.problems[0]
        assert camera.released == 1

    def test_leaving_early_lets_the_camera_go_without_complaint(self, camera):
        source = open_source(0)
        frames = iter(source)
        next(frames)
        next(frames)
        frames.close()
        assert camera.released == 1
        assert not source.problems

    @pytest.mark.parametrize("rate", [0.0, float("nan"), 180_000.0, -1.0])
    def test_a_rate_that_cannot_be(self, camera, rate):
        camera.rate = rate
        assert open_source(0).info.rate == 30

    def test_a_rate_between_whole_numbers(self, camera):
        camera.rate = 30_000 / 1001
        assert open_source(0).info.rate == Fraction(30_000, 1001)

    def test_no_camera_and_one_that_gives_nothing(self, camera):
        with pytest.raises(DataError, match="camera 9 cannot be opened; is it plugged in"):
            open_source(9)
        camera.frames = 0
        with pytest.raises(DataError, match="camera 0 gives no frame"):
            open_source(0)
        assert camera.released == 2

    def test_a_number_is_wanted(self):
        with pytest.raises(OptionError, match="cameras are numbered"):
            open_source("camera:front")

    def test_a_password_is_never_shown(self, camera):
        source = open_source("rtsp://me:secret@10.0.0.2/front")
        list(source)
        assert source.info.name == "rtsp://10.0.0.2/front"
        assert "secret" not in source.problems[0]


@pytest.fixture
def web(drive):
    """A web server with ``/drive.mp4`` and a camera ``/live`` that goes away after 20 frames."""
    pictures = [cv2.imencode(".jpg", numbered(n))[1].tobytes() for n in range(20)]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            if self.path == "/drive.mp4":
                self.send_header("Content-Length", str(drive.stat().st_size))
                self.end_headers()
                self.wfile.write(drive.read_bytes())
                return
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for data in pictures:
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class TestTheWeb:
    def test_a_file_gives_every_frame(self, web):
        frames, source = read(f"{web}/drive.mp4")
        assert [number_of(frame.image) for frame in frames] == list(range(60))
        assert not source.problems

    def test_a_camera_is_live_and_its_end_is_said(self, web):
        frames, source = read(f"{web}/live")
        assert source.info.live
        assert [number_of(frame.image) for frame in frames] == list(range(len(frames)))
        assert len(frames) >= 19
        assert "gave no more frames" in source.problems[0]

    def test_nobody_answers(self):
        for address in ("rtsp://127.0.0.1:9/front", "http://127.0.0.1:9/drive.mp4"):
            with pytest.raises(DataError, match=r"cannot be opened|cannot open"):
                within(60, open_source, address)


def test_what_words_stand_for(tmp_path, drive):
    Image.new("RGB", (4, 4)).save(tmp_path / "picture", format="PNG")
    film, moving = tmp_path / "film", tmp_path / "moving"
    film.write_bytes(drive.read_bytes())
    pictures = [Image.new("RGB", (4, 4), color) for color in ("black", "white")]
    pictures[0].save(moving, format="GIF", save_all=True, append_images=pictures[1:])
    kinds = {
        drive: "video",
        film: "video",
        moving: "video",
        tmp_path / "picture": "images",
        tmp_path: "images",
        f"{tmp_path}/*.png": "images",
        3: "camera",
        "3": "camera",
        "camera:3": "camera",
        "rtsp://10.0.0.2/front": "camera",
        "http://10.0.0.2/video": "camera",
        "https://example.org/drive.mp4?key=1": "video",
    }
    assert {words: source_kind(words) for words in kinds} == kinds


def test_short_names(tmp_path):
    (tmp_path / "frames").mkdir()
    assert short_name(tmp_path / "frames") == "frames"
    assert short_name("rtsp://me:secret@10.0.0.2") == "10.0.0.2"
    assert short_name("http://10.0.0.2/a/drive.mp4?x=/y") == "drive"
    assert short_name("a b:c.mp4") == "a_b_c"
    assert short_name("0") == "camera0"


class TestNamesAndTexts:
    """What a file is called, or says about itself, does not decide whether its frames can be read."""

    @pytest.mark.parametrize("name", ["2024-01-01T12:30:00.mp4", "http:x.mp4", "a%03d.mp4", "caf\udce9.mp4"])
    def test_any_name(self, drive, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        try:
            Path(name).write_bytes(drive.read_bytes())
        except OSError:
            pytest.skip("this file system refuses such names")
        assert len(read(name)[0]) == 60

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_a_title_that_is_not_utf8(self, tmp_path, suffix):
        path = tmp_path / f"a{suffix}"
        with av.open(str(path), "w") as container:
            container.metadata["title"] = "Strasse"
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(1), format="rgb24")))
            container.mux(stream.encode(None))
        path.write_bytes(path.read_bytes().replace(b"Strasse", b"Stra\xdfe "))
        assert len(read(path)[0]) == 1

    @pytest.mark.parametrize("tag", [b"1e999999999", b"00:00:01/0", b"00:00:1_0", b"99:99:99:99"])
    def test_an_absurd_duration(self, tmp_path, tag):
        path = encode(tmp_path / "a.mkv", [numbered(n) for n in range(3)])
        data = path.read_bytes()
        place = data.rfind(b"00:00:00.")
        path.write_bytes(data[:place] + tag.ljust(18, b"\0") + data[place + 18 :])
        assert len(read(path)[0]) == 3

    @pytest.mark.parametrize(
        "content", ["#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile {}\n", "#EXTM3U\n{}\n"]
    )
    def test_playlists_are_refused(self, drive, tmp_path, content):
        for name in ("list.mp4", "list.m3u8", "list"):
            path = tmp_path / name
            path.write_text(content.format(drive))
            with pytest.raises(DataError, match="playlist"):
                open_source(path)

    def test_lost_frames_of_an_mp4_are_counted(self, drive, tmp_path):
        with av.open(str(drive)) as container:
            entries = [container.streams.video[0].index_entries[n] for n in (20, 21)]
            places = [(entry.pos, entry.size) for entry in entries]
        data = bytearray(drive.read_bytes())
        for place, size in places:
            data[place : place + size] = b"\xff" * size
        path = tmp_path / "hole.mp4"
        path.write_bytes(data)
        frames, source = read(path)
        assert len(source.problems) == 1
        if len(frames) < 60:
            assert f"{len(frames)} of 60" in source.problems[0]
