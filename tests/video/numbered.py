"""Videos whose every frame shows its number, a model that reads it back, and a clock against deadlocks."""

import threading
from fractions import Fraction

import av
import numpy as np

from aaff.card import ModelCard
from aaff.labels import LabelMap
from aaff.preprocess import Size

LABELS = LabelMap("light", ("dark", "bright", "never"), ((20, 20, 120), (250, 220, 40), (10, 200, 10)))
BITS = 8


class BrightEngine:
    """Class 1 where red is above 127.  ``before`` is called with the number of the call."""

    name = "torch"
    precision = "fp32"

    def __init__(self, before=lambda call: None):
        self.card = ModelCard("bright", {}, LABELS, "camvid11", Size(96, 64))
        self.before = before
        self.calls = 0

    def infer(self, frames):
        self.before(self.calls)
        self.calls += 1
        return (frames[..., 0] > 127).astype(np.uint8), None


def numbered(number, size=(96, 64)):
    """RGB [H, W, 3] whose eight bars are the bits of a number, the highest at the left."""
    width, height = size
    bits = [(number >> (BITS - 1 - place)) & 1 for place in range(BITS)]
    row = np.array(bits, np.uint8)[np.arange(width) * BITS // width]
    return np.broadcast_to((20 + 215 * row)[None, :, None], (height, width, 3)).astype(np.uint8)


def number_of(image, height=64):
    """The number that a frame [H, W, 3] or a class map [H, W] shows."""
    plane = image[:height, :, 0].astype(float) if image.ndim == 3 else 255.0 * image
    bars = np.array_split(plane, BITS, axis=1)
    return int("".join(str(int(bar.mean() > 127)) for bar in bars), 2)


def encode(path, images, *, stamps=None, base=Fraction(1, 30), codec="libx264", options=None, format=None):
    """A video by plain PyAV: frame k is shown at ``stamps[k] * base`` seconds."""
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height = images[0].shape[1], images[0].shape[0]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = base
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index if stamps is None else stamps[index], base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decode(path):
    """All frames of a video as (seconds, RGB) by plain PyAV."""
    with av.open(str(path)) as container:
        return [(f.pts * f.time_base, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def within(seconds, function, *args, **keywords):
    """Call a function in a thread; fail instead of waiting for ever when it hangs."""
    box = {}

    def work():
        try:
            box["result"] = function(*args, **keywords)
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    if "error" in box:
        raise box["error"]
    return box.get("result")


def workers():
    """Threads of flows that still run."""
    return [thread for thread in threading.enumerate() if thread.name == "aaff-video"]
