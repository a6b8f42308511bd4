"""Weights in the layouts of other projects: every name of theirs finds its place, and predictions stay."""

from __future__ import annotations

import re

import pytest
import torch

from aaff.cli import main
from aaff.errors import AaffError
from aaff.networks import create_model
from aaff.networks.blocks import ConvBlock
from aaff.networks.convert import fit, read_weights
from aaff.networks.weights import load_checkpoint
from tests.networks.published_states import PUBLISHED

COINCHEUNG = {"variant": "coincheung"}
WIDTH = 0.125

_CONTEXT = [
    (r"^context\.(arm\d+)\.0\.", r"cp.\1.conv."),
    (r"^context\.(arm\d+)\.1\.gate\.0\.", r"cp.\1.conv_atten."),
    (r"^context\.(arm\d+)\.1\.gate\.1\.", r"cp.\1.bn_atten."),
    (r"^context\.conv_avg\.project\.", "cp.conv_avg."),
    (r"^context\.", "cp."),
    (r"^fusion\.convblk\.", "ffm.convblk."),
    (r"^head\.0\.", "conv_out.conv."),
    (r"^head\.1\.", "conv_out.conv_out."),
]
_STDC = [
    *_CONTEXT,
    (r"^backbone\.", "cp.backbone."),
    (r"^fusion\.attention\.0\.", "ffm.conv1."),
    (r"^fusion\.attention\.2\.", "ffm.conv2."),
]

LAYOUTS = {
    "bisenet_r18": [
        *_CONTEXT,
        (r"^backbone\.", "cp.resnet."),
        (r"^spatial\.0\.", "sp.conv1."),
        (r"^spatial\.1\.", "sp.conv2."),
        (r"^spatial\.2\.", "sp.conv3."),
        (r"^spatial\.3\.", "sp.conv_out."),
        (r"^fusion\.attention\.0\.", "ffm.conv."),
        (r"^fusion\.attention\.1\.", "ffm.bn."),
    ],
    "bisenetv2": [
        (r"^detail\.0\.", "detail.S1."),
        (r"^detail\.1\.", "detail.S2."),
        (r"^detail\.2\.", "detail.S3."),
        (r"^stem\.", "segment.S1S2."),
        (r"^(stage\d)\.0\.dwconv\.([01])\.", r"\1.0.dwconv1.\2."),
        (r"^(stage\d)\.0\.dwconv\.2\.", r"\1.0.dwconv2.0."),
        (r"^(stage\d)\.0\.dwconv\.3\.", r"\1.0.dwconv2.1."),
        (r"^stage([34])\.", r"segment.S\1."),
        (r"^stage5\.", "segment.S5_4."),
        (r"^context\.norm\.", "segment.S5_5.bn."),
        (r"^context\.", "segment.S5_5."),
        (r"^head\.0\.", "head.conv."),
        (r"^head\.1\.", "head.conv_out.1."),
    ],
    "stdc1": _STDC,
    "stdc2": _STDC,
    "ddrnet23_slim": [],
    "pidnet_s": [],
    "pp_liteseg_t": [
        (r"^(cm|arm_list)\.", r"ppseg_head.\1."),
        (r"^head\.0\.", "seg_heads.0.conv."),
        (r"^head\.1\.", "seg_heads.0.conv_out."),
        (r"(conv_xy_atten\.1)\.0\.", r"\1._conv."),
        (r"(conv_xy_atten\.1)\.1\.", r"\1._batch_norm."),
        (r"^((?!backbone).*)\.conv\.weight", r"\1._conv.weight"),
        (r"^((?!backbone).*)\.bn\.", r"\1._batch_norm."),
        (r"\.running_mean$", "._mean"),
        (r"\.running_var$", "._variance"),
    ],
}
"""From the names here to theirs, written from their sources and independent of the package's own lists."""

BIASED = {
    "ddrnet23_slim": ["conv1.0", "conv1.3"],
    "pidnet_s": ["conv1.0", "conv1.3"],
    "pp_liteseg_t": [*(f"ppseg_head.cm.stages.{i}.1._conv" for i in range(3)), "ppseg_head.cm.conv_out._conv"],
}
"""Convolutions that have a bias there, before a batch norm."""


def trained(name: str, classes: int = 19) -> torch.nn.Module:
    """A narrow network whose every tensor differs from a fresh one's."""
    torch.manual_seed(5)
    options = COINCHEUNG if name.startswith("bisenet") else {}
    net = create_model(name, classes, width=WIDTH, **options)
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor += 0.02 * (torch.rand_like(tensor) - 0.5)
    return net.eval()


def theirs(name: str, net: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of ``net`` under the names of the project, with the biases it has and signs that do not count."""
    blocks = {n for n, m in net.named_modules() if isinstance(m, ConvBlock)}
    state = {}
    for own, tensor in net.state_dict().items():
        module, _, leaf = own.rpartition(".")
        parent, _, index = module.rpartition(".")
        if leaf == "num_batches_tracked":
            continue
        public = f"{parent}.{('conv', 'bn')[int(index)]}.{leaf}" if parent in blocks else own
        for pattern, replacement in LAYOUTS[name]:
            public = re.sub(pattern, replacement, public)
        state[public] = tensor.clone()
    for convolution in BIASED.get(name, []):
        norm = {"conv1.0": "conv1.1.running_mean", "conv1.3": "conv1.4.running_mean"}.get(
            convolution, convolution.replace("._conv", "._batch_norm._mean")
        )
        bias = torch.rand_like(state[norm])
        state |= {f"{convolution}.bias": bias, norm: state[norm] + bias}
    if name.startswith("stdc"):
        for key in state:
            if re.fullmatch(r"(?!cp\.backbone).*\.bn(_atten)?\.weight", key):
                state[key] = 1e-5 - state[key]  # its absolute value counts there, plus this
    return state


@pytest.mark.parametrize("name", LAYOUTS)
def test_published_checkpoints_fit(name):
    published = {key: torch.empty(shape, device="meta") for key, shape in PUBLISHED[name]().items()}
    state, report = fit({f"model.{key}": tensor for key, tensor in published.items()}, name, 19)
    assert report.complete
    assert report.share == 1
    assert not report.unexpected
    with torch.device("meta"):
        net = create_model(name, 19, **report.layout.options)
    net.load_state_dict(state, assign=True)
    ignored = {key.removeprefix("model.") for key in report.ignored}
    needed = {key: tensor.shape for key, tensor in published.items() if key not in ignored and not _counts(key)}
    assert needed == {key: tensor.shape for key, tensor in theirs(name, net).items()}


def _counts(key: str) -> bool:
    return key.endswith("num_batches_tracked")


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_predictions(name):
    net = trained(name)
    public = theirs(name, net)
    extra = {"loss.weight": torch.ones(19)}
    state, report = fit({f"module.model.{k}": v for k, v in public.items()} | extra, name, 19, {"width": WIDTH})
    assert report.complete
    assert report.prefix == "module.model."
    assert report.unexpected == ("loss.weight",)
    twin = create_model(name, 19, width=WIDTH, **report.layout.options).eval()
    twin.load_state_dict(state)
    x = torch.randn(1, 3, 65, 97)
    with torch.inference_mode():
        torch.testing.assert_close(twin.logits(x), net.logits(x), atol=1e-4, rtol=1e-4)


def convert(*words):
    return main(["convert", *map(str, words), "--options", f"width={WIDTH}"])


@pytest.fixture
def ddrnet():
    return trained("ddrnet23_slim")


def test_the_command_writes_a_checkpoint(ddrnet, tmp_path, capsys):
    file, out = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    state = {f"module.{k}": v for k, v in theirs("ddrnet23_slim", ddrnet).items()}
    torch.save({"epoch": 3, "state_dict": state | {"module.seghead_extra.conv2.bias": torch.zeros(19)}}, file)
    words = (file, "--network", "ddrnet23_slim", "--labels", "bdd100k", "--out", out, "--licence", "MIT")
    assert convert(*words, "--mean", 0.5, 0.5, 0.5, "--size", "640x360") == 0
    net, card = load_checkpoint(out)
    assert (card.network, card.labels.name, card.licence, str(card.size)) == (
        "ddrnet23_slim",
        "bdd100k",
        "MIT",
        "640x360",
    )
    assert card.normalization.mean == (127.5, 127.5, 127.5)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(net(x), ddrnet(x), atol=1e-4, rtol=1e-4)
    assert convert(*words) == 2  # it exists
    assert str(out) in capsys.readouterr().err


def test_what_does_not_fit_is_named(ddrnet, tmp_path, capsys):
    file = tmp_path / "theirs.pth"
    torch.save(theirs("ddrnet23_slim", ddrnet), file)
    out = ("--out", tmp_path / "x.safetensors")
    assert convert(file, "--network", "pidnet_s", "--labels", "cityscapes19", *out) == 2
    said = capsys.readouterr().err
    assert "down3.0.weight" in said or "down3.1" in said
    assert "ddrnet23_slim" in said
    assert convert(file, "--network", "ddrnet23_slim", "--labels", "camvid11", *out) == 2
    assert "final_layer.conv2" in capsys.readouterr().err
    assert convert(file, "--network", "ddrnet23_slim", "--labels", "cityscape19", *out) == 2
    assert "cityscapes19" in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()


class Stranger:
    """Something that a pickle can hold beside tensors."""


@pytest.mark.parametrize("content", [{"w": torch.ones(1), "x": Stranger()}, [torch.ones(1)], {"epoch": 1}])
def test_a_file_of_something_else_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(AaffError, match=r"file\.pth"):
        read_weights(tmp_path / "file.pth")


def test_a_broken_file_is_refused(tmp_path):
    for name in ("a.pth", "b.safetensors", "c.pdparams"):
        (tmp_path / name).write_bytes(b"\x80\x04rubbish")
        with pytest.raises(AaffError, match=name):
            read_weights(tmp_path / name)
    with pytest.raises(AaffError, match="nothing"):
        read_weights(tmp_path / "nothing.pth")
    torch.save({"w": torch.tensor([float("nan")])}, tmp_path / "nan.pth")
    with pytest.raises(AaffError, match="'w'"):
        read_weights(tmp_path / "nan.pth")
