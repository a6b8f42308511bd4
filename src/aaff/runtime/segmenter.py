"""The segmenter, which users call: frames in, predictions out, with any engine."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from aaff.card import ModelCard
from aaff.errors import DataError
from aaff.labels import LabelMap, UInt8Array
from aaff.preprocess import Size, network_size, resize_image, resize_label
from aaff.preprocess import bgr as bgr_to_rgb
from aaff.runtime.engine import Engine
from aaff.runtime.frames import Picture, find_images, to_frame
from aaff.runtime.prediction import Prediction

OpenStream = Callable[["Segmenter", str | Path | int], Iterator[Prediction]]
"""Segmenter and source → iterator of predictions."""

_BATCH = 8
"""Maximum number of frames passed to the engine at once; more would only take memory."""


class Segmenter:
    """A loaded model.  Thread-safe; several streams may run at once.

    Frames are RGB: uint8 arrays [H, W, 3] of any size, Pillow images, paths, or URLs of images.  OpenCV uses BGR; pass
    ``bgr=True`` for its arrays.  The wrong channel order gives wrong predictions without a warning, since it cannot be
    detected reliably: comparing the confidence of both orders often fails on real streets.

    If a frame does not have the model's size, it is resized bilinearly for the network, and its class map is resized
    back by nearest neighbour.  If the model takes any size, wide frames keep their aspect ratio at about the same
    number of pixels (``aaff.preprocess.network_size``).

    For example:

        seg = aaff.load("runs/first")
        prediction = seg("street.png")
        prediction.shares()["road"]
        prediction.save("street_overlay.png")
        prediction = seg(cv2.imread("street.png"), bgr=True)

    Args:
        engine: the engine that runs the model.
        open_stream: yields the predictions for a path, a URL or a camera number; without it, paths must be those of
            images.  ``aaff.load`` passes ``aaff.video.stream``.
        engine_at: makes an engine of the same model for another size; without it, every frame is stretched to the
            model's size.
    """

    def __init__(
        self,
        engine: Engine,
        open_stream: OpenStream | None = None,
        engine_at: Callable[[Size], Engine] | None = None,
    ) -> None:
        self.engine = engine
        self._open_stream = open_stream
        self._engine_at = engine_at
        self._engines = {engine.card.size: engine}
        self._making = threading.Lock()

    def __repr__(self) -> str:
        card = self.card
        return f"Segmenter({card.network}, {card.labels.name}, {card.size}, {self.engine.name} {self.engine.precision})"

    @property
    def card(self) -> ModelCard:
        """The model card."""
        return self.engine.card

    @property
    def labels(self) -> LabelMap:
        """Names and colours of the classes."""
        return self.engine.card.labels

    def __call__(self, image: Picture, *, bgr: bool = False) -> Prediction:
        """Predict the class of every pixel of one frame.

        Args:
            image: an array, a Pillow image, a path or the URL of an image.
            bgr: the array has OpenCV's channel order, BGR; ignored for images and paths.

        Raises:
            DataError: the argument is not a valid frame; the message says what is.
        """
        _refuse_other(image)
        return self._predict([image], bgr)[0]

    def batch(self, images: Sequence[Picture], *, bgr: bool = False) -> list[Prediction]:
        """Predict several frames, which may differ in size; the list may be empty.

        Args:
            images: frames as in ``__call__``.
            bgr: arrays have OpenCV's channel order, BGR.

        Returns:
            One prediction per frame, in the same order.

        Raises:
            DataError: one of them is not a valid frame, or ``images`` is a single frame.
        """
        if isinstance(images, str | Path):
            raise DataError("seg.batch takes a list of frames; call seg(image) for one, seg.stream(folder) for many")
        _refuse_single(images, "seg.batch takes a list of frames")
        return [
            prediction
            for start in range(0, len(images), _BATCH)
            for prediction in self._predict(images[start : start + _BATCH], bgr)
        ]

    def stream(self, source: str | Path | int | Iterable[Picture], *, bgr: bool = False) -> Iterator[Prediction]:
        """Predict the frames of a source one by one.

        Videos, cameras and folders are decoded ahead in background threads and return an ``aaff.video.Stream``; close
        it (or use ``with``) to stop early.

        Args:
            source: a video file; ``camera:0`` or a camera number; an ``rtsp://`` or ``http://`` URL; an image, a
                folder of images, or a pattern such as ``"drive/*.png"``; or any iterable of frames, even an endless
                one, from which a frame is taken whenever a prediction is requested.
            bgr: arrays of an iterable have OpenCV's channel order, BGR.

        Raises:
            DataError: immediately, if there is no such source; while iterating, at an invalid frame, or after the last
                frame if some could not be read.
        """
        _refuse_single(source, "seg.stream takes many frames")
        if not isinstance(source, str | Path | int):
            return (self(image, bgr=bgr) for image in source)
        if self._open_stream is not None:
            return self._open_stream(self, source)
        return map(self, find_images(str(source)))

    def engine_for(self, frame: UInt8Array) -> Engine:
        """The engine for the size of a frame (see ``network_size``), made for the first frame of that size."""
        if self._engine_at is None:
            return self.engine
        size = network_size(Size.of(frame), self.card.size)
        with self._making:
            if size not in self._engines:
                self._engines[size] = self._engine_at(size)
            return self._engines[size]

    def _predict(self, pictures: Sequence[Picture], bgr: bool = False) -> list[Prediction]:
        frames = [to_frame(_as_rgb(picture) if bgr else picture) for picture in pictures]
        engines = [self.engine_for(frame) for frame in frames]
        found: list[Prediction] = []
        for engine, group in itertools.groupby(range(len(frames)), lambda i: engines[i]):
            chosen = list(group)
            found += self._run(engine, [pictures[i] for i in chosen], [frames[i] for i in chosen])
        return found

    def _run(self, engine: Engine, pictures: Sequence[Picture], frames: Sequence[UInt8Array]) -> list[Prediction]:
        started = time.perf_counter()
        fitting = [resize_image(frame, engine.card.size) for frame in frames]
        stacked = fitting[0][None] if len(fitting) == 1 else np.stack(fitting)
        resized = time.perf_counter()
        maps, confidences = engine.infer(stacked)
        inferred = time.perf_counter()
        sizes = [Size.of(frame) for frame in frames]
        outputs = [resize_label(class_map, size) for class_map, size in zip(maps, sizes, strict=True)]
        certain: Sequence[UInt8Array | None] = [None] * len(frames)
        if confidences is not None:
            certain = [resize_label(values, size) for values, size in zip(confidences, sizes, strict=True)]
        steps = {
            "preprocess": resized - started,
            "inference": inferred - resized,
            "postprocess": time.perf_counter() - inferred,
        }
        return [
            Prediction(
                class_map=class_map,
                labels=self.labels,
                image=frame,
                confidence=confidence,
                speed={step: 1000 * seconds / len(frames) for step, seconds in steps.items()},
                source=str(picture) if isinstance(picture, str | Path) else "",
                model=self.card.network,
                engine=self.engine.name,
                precision=self.engine.precision,
                network_map=network_map if class_map.size > network_map.size else None,
            )
            for picture, frame, class_map, confidence, network_map in zip(
                pictures, frames, outputs, certain, maps, strict=True
            )
        ]


def _as_rgb(picture: Picture) -> Picture:
    return bgr_to_rgb(picture) if isinstance(picture, np.ndarray) and picture.ndim == 3 else picture


def _refuse_other(image: object) -> None:
    """Raise an error that names the right call for a list or a number."""
    if isinstance(image, list | tuple):
        raise DataError("seg(image) takes one frame; for several call seg.batch([a, b])")
    if isinstance(image, int):
        raise DataError(f"seg(image) takes one frame, not a number; for a camera call seg.stream({image})")


def _refuse_single(images: object, wanted: str) -> None:
    """Reject a single frame: an array is a sequence of rows, so taking it as a list of frames would fail later."""
    if isinstance(images, np.ndarray) and images.ndim < 4:
        raise DataError(f"{wanted}, not one array of shape {list(images.shape)}; call seg(image) for one frame")
    if isinstance(images, Image.Image):
        raise DataError(f"{wanted}, not one image; call seg(image) for one frame")
