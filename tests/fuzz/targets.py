"""The readers of files that users or strangers made, each with inputs to begin from.

A reader may return anything or raise an ``aaff.errors.AaffError`` with a short sentence.  Everything else
(another exception, a long or unprintable message, seconds of work, a crash) is a bug.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from aaff.card import ModelCard
from aaff.errors import AaffError, ModelError
from aaff.labels import CAMVID11, LabelMap
from aaff.preprocess import Size
from aaff.textfile import read_json, read_text

SEEDS = Path(__file__).with_name("seeds")
LONGEST_SENTENCE = 1500


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        name: of the reader, and of the folder in ``seeds/`` with inputs that once failed.
        file: what the input file is called.
        read: reads it.
        make: gives inputs that are valid, or nearly.
    """

    name: str
    file: str
    read: Callable[[Path], object]
    make: Callable[[], list[bytes]]

    @property
    def seeds(self) -> list[bytes]:
        """Valid inputs, and those that once failed."""
        return [*_made(self), *(path.read_bytes() for path in sorted((SEEDS / self.name).glob("*")))]

    def fault(self, folder: Path, data: bytes) -> str | None:
        """What is wrong with how the reader treats an input, None if nothing is."""
        path = folder / self.file
        path.write_bytes(data)
        try:
            self.read(path)
        except AaffError as error:
            sentence = str(error).replace(str(path), "FILE")
            if len(sentence) > LONGEST_SENTENCE:
                return f"a message of {len(sentence)} characters: {sentence[:100]}"
            if not all(sign.isprintable() or sign == "\n" for sign in sentence):
                return f"a message with control characters: {sentence[:100]!r}"
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:200]}"
        return None


@cache
def _made(target: Target) -> tuple[bytes, ...]:
    return tuple(target.make())


_CARD = ModelCard("depthwise_aaff", {"width": 0.25}, CAMVID11, "camvid11", Size(96, 64), score={"selected_on": "val"})
_YAML = b"""name: lot
classes:
  road: [128, 64, 128]
  car: {color: [64, 0, 128], values: [26, 27]}
ignore: [255]
void_color: [0, 0, 0]
splits:
  train: {images: images, labels: "masks/*_mask.png"}
  val: {images: [images], labels: "masks/*_mask.png", names: val.txt}
"""
_COLORS = (
    b"name: x\nencoding: colors\nclasses:\n  p: [9, 9, 9]\n  q: {color: [1, 1, 1], values: [[1, 2, 3], [4, 5, 6]]}\n"
)
_RECIPE = b"""model: depthwise_aaff
epochs: 8
options: [gate=none, width=1.5]
size: 480x360
loss: {class_weights: enet-log}
optim: {optimizer: adamw, lr: 0.002, schedule: poly}
augment: {crop: 320x240, flip: 0.5}
engine: {cache: yes, workers: null}
"""


def _description(path: Path) -> object:
    from aaff.data.layouts import find_layout

    layout = find_layout(path.parent)
    layout.meaning(path.parent, None)
    return [layout.listing(path.parent, split) for split in layout.splits(path.parent)]


def _recipe(path: Path) -> object:
    from aaff.cli import parse_words

    return parse_words(["train", "--data", "x", "--out", "y", "--recipe", str(path)])


def _class_dict(path: Path) -> object:
    from aaff.data.layouts.tables import read_class_dict, table_meaning

    return table_meaning(path.parent, path, read_class_dict(path), None)


def _label_colors(path: Path) -> object:
    from aaff.data.layouts.tables import read_label_colors, table_meaning

    return table_meaning(path.parent, path, read_label_colors(path), None)


def _frame_list(path: Path) -> object:
    from aaff.data.layouts.lists import read_frame_list

    return read_frame_list(path)


def _card(path: Path) -> object:
    return ModelCard.from_dict(read_json(path, kind=ModelError), str(path)).to_dict()


def _labels(path: Path) -> object:
    return LabelMap.from_dict(read_json(path)).color_table()


def _image(path: Path) -> object:
    from aaff.images import read_image

    return read_image(path)


def _ids(path: Path) -> object:
    from aaff.data.layouts.base import IdReader

    return IdReader({i: i for i in range(11)})(path)


def _mask(path: Path) -> object:
    from aaff.data.layouts.base import ColorReader

    return ColorReader(CAMVID11.color_table())(path)


def _checkpoint(path: Path) -> object:
    from aaff.networks.weights import read_checkpoint

    return read_checkpoint(path)


def _exported(path: Path) -> object:
    from aaff.runtime.model_file import read_model_file

    return read_model_file(path)


def _video(path: Path) -> object:
    from aaff.video import open_source

    return [frame.index for frame in islice(open_source(path), 30)]


def _pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    rgb, exif = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)), Image.Exif()
    exif[0x0112] = 6
    made = [_saved(rgb, kind) for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "TGA")]
    made += [_saved(rgb, kind, exif=exif) for kind in ("PNG", "JPEG", "TIFF", "WEBP")]
    grey = Image.fromarray(rng.integers(0, 65536, (6, 8), np.uint16))
    return [*made, _saved(grey, "PNG"), _saved(rgb.convert("CMYK"), "TIFF"), _saved(rgb.convert("1"), "TIFF")]


def _indexed() -> list[bytes]:
    ids = Image.fromarray((np.arange(48) % 11).astype(np.uint8).reshape(6, 8))
    palette = ids.copy()
    palette.putpalette(CAMVID11.palette.tobytes())
    return [_saved(picture, kind) for picture in (ids, palette) for kind in ("PNG", "TIFF", "BMP", "GIF")]


def _masks() -> list[bytes]:
    colors = Image.fromarray(CAMVID11.colorize((np.arange(48) % 11).astype(np.uint8).reshape(6, 8)))
    return [_saved(colors, "PNG"), _saved(colors.convert("RGBA"), "PNG"), _saved(colors.quantize(16), "PNG")]


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _checkpoints() -> list[bytes]:
    import torch

    from aaff.networks.weights import save_checkpoint

    with TemporaryDirectory() as folder:
        path = Path(folder, "a.safetensors")
        save_checkpoint(path, {"a.weight": torch.ones(2, 3), "a.count": torch.tensor(3)}, _CARD)
        return [path.read_bytes()]


def _models() -> list[bytes]:
    from onnx import TensorProto, helper

    from aaff.export.export import describe

    graph = helper.make_graph(
        [helper.make_node("Cast", ["frames"], ["class_map"], to=TensorProto.UINT8)],
        "tiny",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", 64, 96, 3])],
        [helper.make_tensor_value_info("class_map", TensorProto.UINT8, ["N", 64, 96, 3])],
    )
    return [describe(helper.make_model(graph).SerializeToString(), _CARD, Path("a.onnx"), precision="fp32").data]


def _videos() -> list[bytes]:
    import av

    made = []
    with TemporaryDirectory() as folder:
        for suffix, codec in ((".mp4", "libx264"), (".mkv", "libx264"), (".avi", "mpeg4"), (".ts", "libx264")):
            path = Path(folder, f"a{suffix}")
            with av.open(str(path), "w") as container:
                stream = container.add_stream(codec, rate=30)
                stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
                for number in range(4):
                    image = np.full((16, 32, 3), 60 * number, np.uint8)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                container.mux(stream.encode(None))
            made.append(path.read_bytes())
    return made


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


TARGETS = [
    Target("text", "a.txt", read_text, lambda: ["Gräser\nroad\n".encode()]),
    Target(
        "dataset.yaml",
        "dataset.yaml",
        _description,
        lambda: [_YAML, _COLORS + b"splits: {all: {images: i, labels: m}}\n"],
    ),
    Target("recipe", "a.yaml", _recipe, lambda: [_RECIPE]),
    Target("class_dict", "class_dict.csv", _class_dict, lambda: [b'name,r,g,b\nSky,128,128,128\n"Pole",192,192,128\n']),
    Target(
        "label_colors", "label_colors.txt", _label_colors, lambda: [b"64 128 64\tAnimal\n128 0 0\t\tBuilding\n# x\n"]
    ),
    Target("frame_list", "a.txt", _frame_list, lambda: [b"a.png\nb.png c.png\n/SegNet/d.png /SegNet/e.png\n"]),
    Target("card", "a.json", _card, lambda: [_json(_CARD.to_dict())]),
    Target("labels", "a.json", _labels, lambda: [_json(CAMVID11.to_dict())]),
    Target("image", "a.png", _image, _pictures),
    Target("ids", "a.png", _ids, _indexed),
    Target("mask", "a.png", _mask, _masks),
    Target("checkpoint", "a.safetensors", _checkpoint, _checkpoints),
    Target("exported", "a.onnx", _exported, _models),
    Target("video", "a.mp4", _video, _videos),
]
