"""Data that many tests share: a small synthetic data set and one frame."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from aaff.card import ModelCard
from aaff.labels import CAMVID11
from aaff.networks import create_model, registry
from aaff.networks.weights import read_checkpoint, save_checkpoint
from aaff.preprocess import Size
from aaff.synthetic import Scene, render
from aaff.synthetic.write import write_scenes
from tests.tiny import tiny, without_confidence

# No test asserts a time, Hypothesis' own included: the cores may be busy with something else.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Fills a folder by its name, once also when several workers (pytest-xdist) run the tests: the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, fill: Callable[[Path], object]) -> Path:
        root, claim, done = shared / name, shared / f"{name}.claim", shared / f"{name}.done"
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            for _ in range(3000):
                if done.exists():
                    return root
                time.sleep(0.1)
            pytest.fail(f"the worker that makes the {name} has not finished")
        try:
            root.mkdir()
            fill(root)
        finally:
            done.touch()  # after a failure too: the others then fail at once instead of waiting
        return root

    return folder


@pytest.fixture(scope="session")
def scenes_dir(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A synthetic data set in the SegNet layout, 160×120: 24 train, 8 val, 8 test frames.  Read only."""

    def fill(root: Path) -> None:
        write_scenes(root, layout="segnet", size=Size(160, 120), train=24, val=8, test=8, seed=0)

    return once("scenes", fill)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled models of tests lie apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AAFF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small untrained depthwise_aaff for camvid11 at 96×64.  Read only."""
    torch.manual_seed(0)
    options = {"width": 0.25, "sides": 1, "spatial": False}
    net = create_model("depthwise_aaff", CAMVID11.num_classes, **options)
    card = ModelCard("depthwise_aaff", options, CAMVID11, "camvid11", Size(96, 64), licence="for tests only")
    path = tmp_path_factory.mktemp("small") / "best.safetensors"
    save_checkpoint(path, net.state_dict(), card)
    return path


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the untrained ``tests.tiny.TinyNetwork`` for camvid11 at 96×64.  Read only.

    Loading it by the registry needs the fixture ``tiny_network``.
    """
    torch.manual_seed(0)
    card = ModelCard("tiny", {}, CAMVID11, "camvid11", Size(96, 64), licence="for tests only")
    path = tmp_path_factory.mktemp("tiny") / "best.safetensors"
    save_checkpoint(path, tiny(CAMVID11.num_classes).state_dict(), card)
    return path


@pytest.fixture
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny network stands in the registry while the test runs."""
    monkeypatch.setitem(registry._MODELS, "tiny", registry.ModelInfo("tiny", "none", "for tests", {}, tiny))


@pytest.fixture(scope="session")
def exported(tiny_checkpoint: Path, once: Callable[[str, Callable[[Path], object]], Path]) -> dict[str, Path]:
    """The tiny checkpoint exported as ``"fp32"``, ``"int8"`` and ``"confidence"`` (fp32).  Read only."""

    def fill(folder: Path) -> None:
        from aaff.export.export import describe, write
        from aaff.export.graph import build_graph
        from aaff.export.quantization import quantize

        state, card = read_checkpoint(tiny_checkpoint)
        net = tiny(CAMVID11.num_classes).eval()
        net.load_state_dict(state)
        frames = [render(drive=1, frame=30 * i, size=card.size).image for i in range(4)]
        confident = build_graph(net, card, confidence=True)  # once, since it takes seconds
        graph = without_confidence(confident)
        for kind, proto in (("fp32", graph), ("int8", quantize(graph, frames)), ("confidence", confident)):
            certain = kind == "confidence"
            model = describe(
                proto.SerializeToString(deterministic=True),
                card,
                folder / f"{kind}.onnx",
                precision="int8" if kind == "int8" else "fp32",
                stride=net.stride,
                confidence=certain,
                native_confidence=certain,
                any_size=True,
            )
            write(model, {"source": "not compared"})

    folder = once("exported", fill)
    return {kind: folder / f"{kind}.onnx" for kind in ("fp32", "int8", "confidence")}


@pytest.fixture(scope="session")
def scene() -> Scene:
    """One synthetic frame, 160×120.  Read only."""
    return render(drive=1, frame=90, size=Size(160, 120))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of an untrained depthwise_aaff for camvid11 at 160×120.  Read only."""
    torch.manual_seed(0)
    net = create_model("depthwise_aaff", CAMVID11.num_classes)
    card = ModelCard("depthwise_aaff", {}, CAMVID11, "camvid11", Size(160, 120), score={"selected_on": "val"})
    path = tmp_path_factory.mktemp("run") / "best.safetensors"
    save_checkpoint(path, net.state_dict(), card)
    return path


@pytest.fixture
def react() -> Iterator[Callable[[signal.Signals, signal.Handlers], None]]:
    """Sets what a signal does, here and in processes started from here; undone at the end.

    Else it is what the tests were started under: ``nohup`` ignores SIGHUP, a script's background job SIGINT.
    """
    before: dict[signal.Signals, Any] = {}

    def set_reaction(number: signal.Signals, reaction: signal.Handlers) -> None:
        before[number] = signal.signal(number, reaction)

    yield set_reaction
    for number, reaction in before.items():
        signal.signal(number, reaction)
