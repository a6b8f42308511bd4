"""The prediction for one frame, with converters to images, JSON and other libraries."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from aaff.errors import DataError, MissingExtraError, OptionError, UnknownNameError
from aaff.files import write_text
from aaff.images import WRITTEN_SUFFIXES, write_image, write_indexed
from aaff.installation import pip_install
from aaff.labels import LabelMap, UInt8Array
from aaff.preprocess import Size
from aaff.provenance import origin
from aaff.runtime import rendering

Kind = Literal["overlay", "side", "map", "index", "json"]
"""Output forms: the frame blended with the class colours and a legend, frame and class colours side by side with a
legend, the class colours, a palette PNG of the class ids, and a summary with the class shares."""

_BLOCK = 1 << 16
"""Number of pixels counted at once, so that their indices stay in the CPU cache."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The predicted class of every pixel of one frame.

    Attributes:
        class_map: uint8 [H, W], class ids of ``labels``, at the size of the frame.
        labels: names and colours of the classes.
        image: the frame, RGB uint8 [H, W, 3]; not copied.
        confidence: uint8 [H, W], softmax probability of the predicted class scaled to 0–255; None if the model does
            not output it.
        speed: milliseconds for ``"preprocess"`` (resizing to the network's size), ``"inference"`` (network input in
            memory to class map) and ``"postprocess"`` (resizing to the frame's size); for a batch, the share per frame.
        source: where the frame comes from, such as a file name; may be empty.
        model: name of the network; ``engine`` and ``precision`` are those it ran with.
        time: seconds since the start of the video or since the first frame of the camera; None for images.
        frame: index of the frame in its video, from 0; None for images.
        network_map: the class map uint8 [h, w] at the network's size, if the frame is larger: overlays are rendered
            from it so that edges are smooth.

    Raises:
        DataError: a map does not have the size of the frame, or an id is not a class.
    """

    class_map: UInt8Array
    labels: LabelMap
    image: UInt8Array
    confidence: UInt8Array | None = None
    speed: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    model: str = ""
    engine: str = ""
    precision: str = ""
    time: float | None = None
    frame: int | None = None
    network_map: UInt8Array | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.class_map.shape != self.image.shape[:2] or self.class_map.size == 0:
            raise DataError(f"a class map of shape {self.class_map.shape} does not fit a frame {self.image.shape}")
        if self.class_map.dtype != np.uint8:
            raise DataError(f"a class map must be uint8, not {self.class_map.dtype}")
        if self.confidence is not None and self.confidence.shape != self.class_map.shape:
            raise DataError(f"a confidence {self.confidence.shape} does not fit a class map {self.class_map.shape}")
        highest = int(self.class_map.max())
        if highest >= self.labels.num_classes:
            raise DataError(
                f"the class map has id {highest}, but label map {self.labels.name!r} has "
                f"{self.labels.num_classes} classes"
            )

    def __repr__(self) -> str:
        seen = [f"{name} {share:.0%}" for name, share in self._present().items()]
        return f"Prediction({self.size}: {', '.join(seen[:3] + ['…'] * (len(seen) > 3))})"

    @property
    def size(self) -> Size:
        """Width and height of the frame."""
        return Size.of(self.class_map)

    @property
    def latency(self) -> float:
        """End-to-end latency in milliseconds: from the frame in memory to its class map, including all steps."""
        return float(sum(self.speed.values()))

    @property
    def probability(self) -> npt.NDArray[np.float32] | None:
        """The confidence as float32 [H, W] in [0, 1], or None."""
        return None if self.confidence is None else self.confidence.astype(np.float32) / np.float32(255)

    @cached_property
    def pixels(self) -> npt.NDArray[np.int64]:
        """Number of pixels per class id, int64 [C]."""
        if self.confidence is None:
            return np.bincount(self.class_map.ravel(), minlength=self.labels.num_classes).astype(np.int64)
        counts: npt.NDArray[np.int64] = self._counts.sum(axis=1)
        return counts

    @cached_property
    def _counts(self) -> npt.NDArray[np.int64]:
        """Number of pixels per class id and confidence, int64 [C, 256]; several times as fast as weighted sums."""
        assert self.confidence is not None
        counts = np.zeros(256 * self.labels.num_classes, np.int64)
        ids, certain = self.class_map.ravel(), self.confidence.ravel()
        for start in range(0, ids.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            counts += np.bincount(np.left_shift(ids[block], 8, dtype=np.intp) | certain[block], minlength=counts.size)
        return counts.reshape(-1, 256)

    def shares(self) -> dict[str, float]:
        """Share of the pixels in [0, 1] of every class, in the order of the ids; they sum to 1."""
        return dict(zip(self.labels.names, (self.pixels / self.class_map.size).tolist(), strict=True))

    def mean_confidence(self) -> dict[str, float]:
        """Mean confidence in [0, 1] of the pixels of every class that is present; empty without confidence."""
        if self.confidence is None:
            return {}
        sums = self._counts @ np.arange(256)
        return {
            name: float(total / count / 255)
            for name, total, count in zip(self.labels.names, sums, self.pixels, strict=True)
            if count
        }

    def mask(self, name: str) -> npt.NDArray[np.bool_]:
        """Binary mask of one class: bool [H, W].

        Raises:
            UnknownNameError: the model has no such class; the message suggests the nearest one.
        """
        return np.asarray(self.class_map == self._id(name), np.bool_)

    def color_map(self) -> UInt8Array:
        """The class colour of every pixel of ``class_map``, RGB uint8 [H, W, 3]."""
        return rendering.color_map(self.class_map, self.labels)

    def overlay(
        self, alpha: float = 0.5, legend: bool = True, *, classes: Sequence[str] = (), conf: float = 0.0
    ) -> UInt8Array:
        """The frame blended with its class colours, RGB uint8 [H, W, 3] at the size of the frame.

        Args:
            alpha: opacity of the class colours, from 0 (only the frame) to 1 (only the colours).
            legend: draw a legend of the classes present, largest first, in the lower left corner, if the frame is large
                enough; the method ``legend`` returns it as a separate image.
            classes: names of the classes to colour; default: all.
            conf: colour only pixels whose confidence is at least this, in [0, 1]; needs a model that outputs it.

        Raises:
            OptionError: alpha or conf is not in [0, 1], or the model does not output the confidence.
            UnknownNameError: the model has no such class.
        """
        where = self._painted(classes, conf)
        fine = self.frame is None  # a video has no time for it
        painted = rendering.overlay(self.image, self._drawn, self.labels, alpha, where, fine=fine)
        return self._with_legend(painted, classes) if legend else painted

    def side_by_side(self, legend: bool = True) -> UInt8Array:
        """The frame and, to its right, its class colours, RGB uint8 [H, 2 W, 3]; ``legend`` as in ``overlay``."""
        both = rendering.side_by_side(self.image, rendering.shown_colors(self._drawn, self.labels, self.size))
        return self._with_legend(both) if legend else both

    def legend(self) -> UInt8Array:
        """A legend of the classes present with their shares, largest first, as an image RGB uint8 [h, w, 3]."""
        return rendering.legend(rendering.legend_entries(self.labels, list(self.shares().values())))

    def show(self) -> None:
        """Show the overlay below the cell of a notebook, or in the system's image viewer.

        Raises:
            DisplayError: there is no display; save the prediction instead.
        """
        from aaff.runtime.display import show_picture

        show_picture(self.overlay(), title=self.source or "prediction")

    def _repr_png_(self) -> bytes:
        """The overlay, as notebooks show it."""
        data = io.BytesIO()
        Image.fromarray(self.overlay()).save(data, "png")
        return data.getvalue()

    @property
    def _drawn(self) -> UInt8Array:
        """The class map that images are rendered from."""
        return self.class_map if self.network_map is None else self.network_map

    def _painted(self, classes: Sequence[str], conf: float) -> npt.NDArray[np.bool_] | None:
        """Mask of the pixels that an overlay colours; None for all."""
        if not 0 <= conf <= 1:
            raise OptionError(f"conf is {conf}; it must be in [0, 1]")
        ids = [self._id(name) for name in classes]
        if not conf:
            return np.isin(self._drawn, ids) if ids else None
        if self.confidence is None:
            raise OptionError("this model has no confidence output; add it with: aaff export CHECKPOINT --confidence")
        certain: npt.NDArray[np.bool_] = self.confidence >= 255 * conf
        return certain & np.isin(self.class_map, ids) if ids else certain

    def _id(self, name: str) -> int:
        if name not in self.labels.names:
            raise UnknownNameError("class", name, self.labels.names)
        return self.labels.names.index(name)

    def _with_legend(self, picture: UInt8Array, classes: Sequence[str] = ()) -> UInt8Array:
        entries = rendering.legend_entries(self.labels, list(self.shares().values()))
        return rendering.with_legend(picture, [e for e in entries if not classes or e.name in classes])

    def save(
        self,
        path: str | Path,
        kind: Kind | None = None,
        *,
        alpha: float = 0.5,
        legend: bool = True,
        classes: Sequence[str] = (),
        conf: float = 0.0,
    ) -> None:
        """Write one form of this prediction, atomically.

        Args:
            path: the file to write; its suffix determines the format.
            kind: ``"overlay"``, ``"side"`` (frame and colours), ``"map"`` (colours), ``"index"`` (palette PNG of
                the ids) or ``"json"``; default: JSON for ``.json``, the overlay for images.
            alpha: opacity of the overlay, see ``overlay``.
            legend: draw the legend in the overlay or in ``"side"``.
            classes: classes to colour in the overlay, see ``overlay``.
            conf: smallest confidence to colour in the overlay, see ``overlay``.

        Raises:
            UnknownNameError: there is no such kind.
            OptionError: the format does not suit that kind; a map or index saved as JPEG would lose its classes.
            AaffError: the file cannot be written.
        """
        suffix = Path(path).suffix.lower()
        kind = kind or ("json" if suffix == ".json" else "overlay")
        if kind not in get_args(Kind):
            raise UnknownNameError("form of a prediction", kind, get_args(Kind))
        allowed = {"json": (".json",), "overlay": WRITTEN_SUFFIXES, "side": WRITTEN_SUFFIXES}.get(kind, (".png",))
        if suffix not in allowed:
            raise OptionError(f"cannot save the {kind} of a prediction as {path}; use {' or '.join(allowed)}")
        if kind == "json":
            write_text(path, self.to_json() + "\n")
        elif kind == "index":
            write_indexed(path, self.class_map, self.labels.palette, mark=self._mark())
        else:
            pictures: dict[str, Callable[[], UInt8Array]] = {
                "overlay": lambda: self.overlay(alpha, legend, classes=classes, conf=conf),
                "side": lambda: self.side_by_side(legend),
                "map": self.color_map,
            }
            write_image(path, pictures[kind](), mark=self._mark())

    def _mark(self) -> str:
        return origin(self.source) if self.source else ""

    def to_dict(self) -> dict[str, Any]:
        """Summary, JSON-ready: size, model, speed, and the classes present, largest first."""
        confidence = self.mean_confidence()
        ids = {name: index for index, name in enumerate(self.labels.names)}
        return {
            "source": self.source,
            "width": self.size.width,
            "height": self.size.height,
            "model": self.model,
            "engine": self.engine,
            "precision": self.precision,
            "labels": self.labels.name,
            "speed_ms": {step: round(value, 3) for step, value in self.speed.items()},
            "classes": [
                {
                    "id": ids[name],
                    "name": name,
                    "color": list(self.labels.colors[ids[name]]),
                    "pixels": int(self.pixels[ids[name]]),
                    "share": round(share, 6),
                    "confidence": round(confidence[name], 4) if name in confidence else None,
                }
                for name, share in self._present().items()
            ],
        }

    def to_json(self, indent: int | None = 2) -> str:
        """``to_dict`` as text; ``indent=None`` gives one line."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_huggingface(self) -> list[dict[str, Any]]:
        """The output format of the ``image-segmentation`` pipeline of Hugging Face transformers.

        Returns:
            One ``{"score", "label", "mask"}`` per class present, in the order of the ids.  The mask is a Pillow image
            of mode L, 255 for pixels of the class; the score is the mean confidence of those pixels, or None (as in
            transformers, for semantic segmentation) if the model does not output it.
        """
        confidence = self.mean_confidence()
        return [
            {
                "score": confidence.get(name),
                "label": name,
                "mask": Image.fromarray((self.class_map == index).astype(np.uint8) * 255),
            }
            for index, name in enumerate(self.labels.names)
            if self.pixels[index]
        ]

    def to_supervision(self) -> Any:
        """``supervision.Detections`` with a mask, box, id, name and mean confidence per class present.

        Raises:
            MissingExtraError: supervision is not installed.
        """
        try:
            import supervision
        except ModuleNotFoundError as error:
            if error.name != "supervision":
                raise
            command = pip_install("supervision")
            raise MissingExtraError(f"supervision is not installed; install it with: {command}") from error
        ids = np.flatnonzero(self.pixels)
        masks = self.class_map[None] == ids[:, None, None].astype(np.uint8)
        confidence = list(self.mean_confidence().values())
        return supervision.Detections(
            xyxy=np.array([_box(mask) for mask in masks], np.float32).reshape(-1, 4),
            mask=masks,
            class_id=ids.astype(int),
            confidence=np.array(confidence, np.float32) if confidence else None,
            data={"class_name": np.array([self.labels.names[index] for index in ids])},
        )

    def _present(self) -> dict[str, float]:
        """Shares of the classes present, largest first."""
        return {name: share for name, share in sorted(self.shares().items(), key=lambda item: -item[1]) if share > 0}


def _box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom; the right and bottom pixels belong to the box, as in supervision's masks."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
