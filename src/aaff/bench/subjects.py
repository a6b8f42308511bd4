"""Find the models to measure: exported files, checkpoints and registered networks."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from aaff.errors import MissingExtraError, UnknownNameError, brief
from aaff.loading import EXPORTED, find_model
from aaff.preprocess import Size
from aaff.published import exported_files, find_published, list_exported, list_published
from aaff.runtime.model_file import LOGITS, ModelFile, ending_at, read_model_file

if TYPE_CHECKING:
    import onnx

    from aaff.card import ModelCard
    from aaff.data.sample import Sample
    from aaff.networks import SegmentationNetwork

_CALIBRATION = 12
"""Frames for the int8 calibration, at half of the size; the latency does not depend on the calibrated ranges."""

Scenes = Callable[[Size, int], "Sequence[Sample]"]
"""Function of a size and a number that returns labelled frames (classes of ``camvid11``)."""


@dataclass
class Subject:
    """One model to measure.

    Attributes:
        word: the model as the user named it.
        card: its model card.
        net: the network itself, for a checkpoint or a network name.
        files: exported files by the precision of their graph.
        origin: where the weights and the files come from, in words.
        macs: multiply-accumulates per frame.
        parameters: number of parameters; None for an exported file.
        failures: reasons why a graph could not be exported, by precision.
    """

    word: str
    card: ModelCard
    net: SegmentationNetwork | None
    files: dict[str, ModelFile]
    origin: str
    macs: int
    parameters: int | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def at(self, size: Size) -> Subject:
        """The same model for frames of another size.

        Raises:
            OptionError: a file takes only one size.
        """
        if size == self.card.size:
            return self
        files = {precision: model.at(size) for precision, model in self.files.items()}
        if self.net is None:
            macs = graph_macs(next(iter(files.values())))
        else:
            from aaff.networks.complexity import complexity

            macs = complexity(self.net, size).macs
        return replace(self, card=replace(self.card, size=size), files=files, macs=macs)


@dataclass(frozen=True)
class Exporter:
    """Exports networks that have no exported files.

    Attributes:
        scenes: frames for the int8 calibration, and for fitting the logits layer of an untrained network.
        wanted: the graphs to export, of ``"fp32"`` and ``"int8"``.
        folder: where the files are kept and found next time; None: nowhere.  An existing file is reused if it belongs
            to the same card and weights; empty the folder after changing the code of a network.
    """

    scenes: Scenes
    wanted: Sequence[str] = ()
    folder: Path | None = None

    def untrained(self, name: str, size: Size) -> tuple[SegmentationNetwork, ModelCard]:
        """A registered network with random weights, see ``aaff.bench.untrained``."""
        from aaff.bench.untrained import make_untrained
        from aaff.networks.weights import load_checkpoint, save_checkpoint

        if self.folder is None:
            return make_untrained(name, size, self.scenes)
        path = self.folder / f"{name}-untrained.safetensors"
        if not path.exists():
            net, card = make_untrained(name, size, self.scenes)
            save_checkpoint(path, net.state_dict(), card)
        net, card = load_checkpoint(path)
        return net, replace(card, size=size)

    def subject(self, word: str, net: SegmentationNetwork, card: ModelCard, weights: str) -> Subject:
        """The network with its exported files; a graph that cannot be exported is listed in the subject's failures.

        Args:
            word: the model as the user named it.
            net: the network in evaluation mode.
            card: its model card.
            weights: where the weights come from, in words.

        Raises:
            MissingExtraError: a package needed for the export is not installed.
        """
        from aaff.networks.complexity import complexity

        @cache
        def graph() -> onnx.ModelProto:
            from aaff.export.graph import build_graph

            return build_graph(net, card)

        files: dict[str, ModelFile] = {}
        failures = {}
        for precision in self.wanted:
            try:
                files[precision] = self._file(net, card, precision, graph)
            except MissingExtraError:
                raise
            except Exception as error:  # exporter and quantiser raise any error, and other models are still measured
                failures[precision] = f"cannot be exported: {brief(error) or type(error).__name__}"
        origin = weights
        if self.wanted:
            origin += ", exported for this measurement without comparing"
            origin += ", int8 calibrated on synthetic scenes" if "int8" in self.wanted else ""
        cost = complexity(net, card.size)
        return Subject(word, card, net, files, origin, cost.macs, cost.parameters, failures)

    def _file(
        self, net: SegmentationNetwork, card: ModelCard, precision: str, graph: Callable[[], onnx.ModelProto]
    ) -> ModelFile:
        path = None
        if self.folder is not None:
            path = self.folder / f"{card.network}-{_fingerprint(net, card)}-{precision}.onnx"
            if path.exists():
                return read_model_file(path).at(card.size)
        from aaff.export.export import build, write

        calibration = None
        if precision == "int8":
            from aaff.export.graph import takes_any_size

            half = Size(*(max(32, side // 2) for side in card.size))
            size = half if takes_any_size(graph()) else card.size
            calibration = [scene.image for scene in self.scenes(size, _CALIBRATION)]
        place = path or Path(f"{card.network} in {precision}")
        model = build(net, card, place, calibration=calibration, graph=graph())
        return model if path is None else write(model, {})


def _fingerprint(net: SegmentationNetwork, card: ModelCard) -> str:
    """A hash of the weights and of the card without the size, which stays dynamic in a file."""
    digest = hashlib.sha256(repr(replace(card, size=Size(1, 1))).encode())
    for name, tensor in net.state_dict().items():
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def find_subject(word: str, size: Size | None, exporter: Exporter) -> Subject:
    """Find the model that a user named.

    Args:
        word: an exported ``.onnx`` file, a checkpoint, a run folder, or the name of a model or registered network.
        size: size of the frames; default: the model's own, 480×360 for a network name.
        exporter: exports models that have no exported files.

    Raises:
        AaffError: there is no such model, it cannot be read, or an exported file has another size.
    """
    if not Path(word).exists() and Path(word).suffix == "" and Path(word).name == word:
        return _from_name(word, size, exporter)
    path = find_model(word)
    if path.suffix.lower() == EXPORTED:
        return _from_file(word, path, size)
    from aaff.networks.weights import load_checkpoint

    net, card = load_checkpoint(path)
    return exporter.subject(word, net, replace(card, size=size or card.size), "trained weights")


def _from_file(word: str, path: Path, size: Size | None) -> Subject:
    model = read_model_file(path)
    if size is not None:
        model = model.at(size)
    files = {model.precision: model}
    return Subject(word, model.card, None, files, "exported file", graph_macs(model))


def _from_name(word: str, size: Size | None, exporter: Exporter) -> Subject:
    published = find_published(word)
    if word in list_exported() and (published is None or importlib.util.find_spec("torch") is None):
        return _exported(word, size, exporter.wanted)
    from aaff.networks import list_models
    from aaff.networks.weights import load_checkpoint

    if published is not None:
        net, card = load_checkpoint(published)
        return exporter.subject(word, net, replace(card, size=size or card.size), "published weights")
    if word not in list_models():
        raise UnknownNameError("model", word, sorted({*list_models(), *list_published(), *list_exported()}))
    net, card = exporter.untrained(word, size or Size(480, 360))
    return exporter.subject(word, net, card, "weights without training")


def _exported(name: str, size: Size | None, wanted: Sequence[str]) -> Subject:
    """The exported files of a model name, which run without torch."""
    there = exported_files(name)
    paths = [path for precision, path in there.items() if precision in wanted] or list(there.values())[:1]
    subjects = [_from_file(name, path, size) for path in paths]
    files = {precision: model for subject in subjects for precision, model in subject.files.items()}
    return replace(subjects[0], files=files, origin="published file")


def graph_macs(model: ModelFile) -> int:
    """Multiply-accumulates of the convolutions for one frame, up to the native logits if the file names them."""
    from aaff.runtime.openvino_core import core

    graph = core().read_model(ending_at(model, LOGITS) if model.stride is not None else model.data)
    graph.reshape([1, model.card.size.height, model.card.size.width, 3])
    total = 0
    for node in graph.get_ops():
        sort = node.get_type_name()
        if sort in ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData"):
            # A transposed convolution applies its kernel once per input.
            height, width = (node.input(0) if sort.endswith("BackpropData") else node.output(0)).get_shape()[-2:]
            weights = 1
            for side in node.input(1).get_shape():
                weights *= side
            total += height * width * weights
    return total
