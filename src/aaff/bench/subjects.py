"""What a user names, as something to measure: exported files, checkpoints, registered networks."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aaff.errors import UnknownNameError
from aaff.loading import EXPORTED, find_model
from aaff.preprocess import Size
from aaff.published import bundled_precisions, find_bundled, find_published, list_bundled, list_published
from aaff.runtime.model_file import LOGITS, ModelFile, ending_at, read_model_file

if TYPE_CHECKING:
    from aaff.card import ModelCard
    from aaff.data.sample import Sample
    from aaff.networks import SegmentationNetwork

_CALIBRATION = 12
"""Frames that int8 is calibrated on here: the latency does not depend on the ranges they give."""

Scenes = Callable[[Size, int], "Sequence[Sample]"]
"""Gives so many labelled frames of a size (classes of ``camvid11``)."""


@dataclass
class Subject:
    """One model to measure.

    Attributes:
        word: what the user wrote.
        card: its description.
        net: the network itself, where there is a checkpoint or a name.
        files: exported files by the precision of their graph.
        origin: where the weights and the files come from, in words.
        macs: multiply-accumulates of one frame.
        parameters: of the network; None for an exported file.
    """

    word: str
    card: ModelCard
    net: SegmentationNetwork | None
    files: dict[str, ModelFile]
    origin: str
    macs: int
    parameters: int | None = None


def find_subject(word: str, size: Size | None, wanted: Sequence[str], scenes: Scenes) -> Subject:
    """The subject that a word stands for.

    Args:
        word: an exported ``.onnx``, a checkpoint, a run folder, or the name of a registered network.
        size: of the frames; default: the model's own, 480×360 for a name.
        wanted: of ``"fp32"`` and ``"int8"``, the graphs to make where there is no file.
        scenes: frames to calibrate int8 on, and to fit a network without weights to.

    Raises:
        AaffError: there is no such model, it cannot be read or made, or an exported file has another size.
    """
    if not Path(word).exists() and Path(word).suffix == "" and Path(word).name == word:
        return _from_name(word, size, wanted, scenes)
    path = find_model(word)
    if path.suffix.lower() == EXPORTED:
        return _from_file(word, path, size)
    from aaff.networks.weights import load_checkpoint

    net, card = load_checkpoint(path)
    return _exported(word, net, replace(card, size=size or card.size), wanted, scenes, "trained weights")


def _from_file(word: str, path: Path, size: Size | None) -> Subject:
    model = read_model_file(path)
    if size is not None:
        model = model.at(size)
    files = {model.precision: model}
    return Subject(word, model.card, None, files, "exported file", graph_macs(model))


def _from_name(word: str, size: Size | None, wanted: Sequence[str], scenes: Scenes) -> Subject:
    published = find_published(word)
    if word in list_bundled() and (published is None or importlib.util.find_spec("torch") is None):
        return _bundled(word, size, wanted)
    from aaff.networks import list_models
    from aaff.networks.weights import load_checkpoint

    if published is not None:
        net, card = load_checkpoint(published)
        return _exported(word, net, replace(card, size=size or card.size), wanted, scenes, "published weights")
    from aaff.bench.untrained import make_untrained

    if word not in list_models():
        raise UnknownNameError("model", word, sorted({*list_models(), *list_published(), *list_bundled()}))
    net, card = make_untrained(word, size or Size(480, 360), scenes)
    return _exported(word, net, card, wanted, scenes, "weights without training")


def _bundled(name: str, size: Size | None, wanted: Sequence[str]) -> Subject:
    """The files that come with the package, which need no torch."""
    paths = [find_bundled(name, precision) for precision in bundled_precisions(name) if precision in wanted]
    subjects = [_from_file(name, path, size) for path in paths or [find_bundled(name)]]
    files = {precision: model for subject in subjects for precision, model in subject.files.items()}
    return replace(subjects[0], files=files, origin="bundled with aaff")


def _exported(
    word: str, net: SegmentationNetwork, card: ModelCard, wanted: Sequence[str], scenes: Scenes, weights: str
) -> Subject:
    from aaff.networks.complexity import complexity

    files = {}
    origin = weights
    if wanted:
        from aaff.export.export import build

        for precision in wanted:
            calibration = None
            if precision == "int8":
                calibration = [scene.image for scene in scenes(card.size, _CALIBRATION)]
            files[precision] = build(net, card, Path(f"{word} in {precision}"), calibration=calibration)
        origin += ", exported for this measurement without comparing"
        origin += ", int8 calibrated on synthetic scenes" if "int8" in wanted else ""
    cost = complexity(net, card.size)
    return Subject(word, card, net, files, origin, cost.macs, cost.parameters)


def graph_macs(model: ModelFile) -> int:
    """Multiply-accumulates of the convolutions of one frame, up to the native logits where the file names them."""
    from aaff.runtime.openvino_core import core

    graph = core().read_model(ending_at(model, LOGITS) if model.stride is not None else model.data)
    graph.reshape([1, model.card.size.height, model.card.size.width, 3])
    total = 0
    for node in graph.get_ops():
        sort = node.get_type_name()
        if sort in ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData"):
            # A transposed convolution multiplies once for each input.
            height, width = (node.input(0) if sort.endswith("BackpropData") else node.output(0)).get_shape()[-2:]
            weights = 1
            for side in node.input(1).get_shape():
                weights *= side
            total += height * width * weights
    return total
