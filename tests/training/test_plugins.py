"""A package from outside brings a network, a loss, an augmentation and a layout: trained, exported and run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aaff.cli import main

SOURCE = '''
import torch
from torch import Tensor, nn

from aaff.data.augmentations import register_augmentation
from aaff.data.layouts import register_layout
from aaff.data.layouts.segnet import SegNet
from aaff.networks.registry import register_model
from aaff.networks.base import SegmentationNetwork
from aaff.training.losses import register_loss


class Tiny(SegmentationNetwork):
    def __init__(self, num_classes):
        super().__init__(num_classes, stride=8)
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.last = nn.Conv2d(8, num_classes, 1)

    @property
    def classifier(self):
        return self.last

    def native(self, x):
        return self.last(self.down(x)), {}


@register_model(paper="none")
def tiny_plugin(num_classes: int) -> Tiny:
    """A network of two convolutions at stride 8."""
    return Tiny(num_classes)


@register_loss
def plugin_loss(logits: Tensor, target: Tensor) -> Tensor:
    return logits.square().mean()


@register_augmentation
def plugin_flip(image, mask, rng):
    return image[:, ::-1], mask[:, ::-1]


@register_layout
class Elsewhere(SegNet):
    """The layout of SegNet where a file ``elsewhere`` lies."""

    name = "elsewhere"
    looks_for = "a file named elsewhere"

    def detect(self, root):
        return (root / "elsewhere").is_file() and super().detect(root)
'''

POINTS = "".join(
    f"[aaff.{group}]\ntiny = aaff_tiny_plugin\n" for group in ("networks", "losses", "augmentations", "layouts")
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages with the plug-in in it, as pip would leave it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "aaff_tiny_plugin.py").write_text(SOURCE)
    info = folder / "aaff_tiny_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aaff-tiny-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    return folder


def aaff(site: Path, *commands: list[str]) -> subprocess.CompletedProcess[str]:
    """Run commands of ``aaff``, until one fails, in a process where the plug-in is installed."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = f"import sys\nfrom aaff.cli import main\nsys.exit(next(filter(None, map(main, {list(commands)!r})), 0))"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_an_installed_package_trains_exports_and_runs(site: Path, blocks_dir: Path, tmp_path: Path) -> None:
    run, model, out, other = (tmp_path / name for name in ("run", "tiny.onnx", "out", "other"))
    other.mkdir()
    for path in blocks_dir.iterdir():
        (other / path.name).symlink_to(path)
    (other / "elsewhere").touch()
    line = "--model tiny_plugin --epochs 1 --batch 4 --augment.crop 64x48 --render-every 0 --engine.threads 1"
    more = "--loss.terms plugin_loss=0.1 --augment.transforms plugin_flip"
    frame = next((blocks_dir / "val").glob("*.png"))
    done = aaff(
        site,
        ["data", "stats", str(other), "--layout", "elsewhere"],
        ["train", "--data", str(blocks_dir), "--out", str(run), *line.split(), *more.split()],
        ["export", str(run), "--out", str(model)],
        ["predict", str(frame), "--model", str(model), "--out", str(out)],
    )
    assert done.returncode == 0, done.stderr
    assert list(out.rglob("*.png"))


def test_a_broken_package_is_named(blocks_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    info = tmp_path / "broken_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aaff.networks]\nbroken = broken\n")
    done = aaff(tmp_path, ["models"])
    assert done.returncode == 2
    assert "broken-plugin" in done.stderr
    assert "Traceback" not in done.stderr


class TestImport:
    def test_by_name_from_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "aaff_here.py").write_text("VALUE = 1\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", sys.path[:])
        assert main(["models", "--import", "aaff_here", "--help"]) == 0
        assert sys.modules.pop("aaff_here").VALUE == 1

    @pytest.mark.parametrize("words", [["--import"], ["--import", "no_such_module"], ["--import=missing/file.py"]])
    def test_what_cannot_be_imported_is_one_sentence(
        self, words: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["models", *words]) == 2
        assert "--import" in capsys.readouterr().err.splitlines()[-1]
