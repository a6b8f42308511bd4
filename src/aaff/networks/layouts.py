"""Names of the weights in other projects' checkpoints, and other information needed to use them.

A layout is a list of renaming rules from their names to the names here.  The networks use the names of the authors'
releases where possible, so most lists are short.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from aaff.preprocess import Normalization

IMAGENET = Normalization()
"""Mean and standard deviation of ImageNet, which most projects use."""

_EPSILON = 1e-5
"""Epsilon of batch norm in all projects."""

_CITYSCAPES = Normalization((83.0535, 94.095, 82.1865), (53.856, 54.774, 53.9325))
"""Those of Cityscapes in CoinCheung's configurations: 0.3257 0.3690 0.3223 and 0.2112 0.2148 0.2115, times 255."""

_HALF = Normalization((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
"""PaddleSeg's: mean and deviation of 0.5."""


@dataclass(frozen=True)
class Layout:
    """The names of the weights in one project's checkpoints.

    Attributes:
        source: the project, by the name of its repository.
        network: registered name of the network here.
        renames: patterns and replacements, applied to every name in order.
        ignored: pattern of names that inference does not need: auxiliary heads, the ImageNet classifier, copies.
        folded: pattern and replacement from the name of a bias to the following batch norm, into which it is folded.
        absolute: pattern of the names of batch norm scales of which the absolute value plus epsilon is used.
        options: options of the network that these weights need.
        normalization: normalisation of the project's RGB input.
    """

    source: str
    network: str
    renames: tuple[tuple[str, str], ...] = ()
    ignored: str = "(?!)"
    folded: tuple[tuple[str, str], ...] = ()
    absolute: str = "(?!)"
    options: Mapping[str, Any] = field(default_factory=dict)
    normalization: Normalization = IMAGENET

    def rename(self, name: str) -> str:
        """The name here of a weight of the other project.

        >>> find_layouts("bisenetv2")[0].rename("detail.S1.0.conv.weight")
        'detail.0.0.0.weight'
        """
        for pattern, replacement in (*self.renames, *_CONV_BLOCK):
            name = re.sub(pattern, replacement, name)
        return name

    def ignores(self, name: str) -> bool:
        """Whether a weight of the other project is not needed for inference."""
        return re.match(self.ignored, name) is not None

    def value(self, name: str, tensor: Tensor) -> Tensor:
        """A weight of the other project, converted for the layers here.

        >>> import torch
        >>> find_layouts("stdc1")[0].value("ffm.convblk.bn.weight", torch.tensor([-0.5])).round(decimals=4).tolist()
        [0.5]
        """
        return tensor.abs() + _EPSILON if re.match(self.absolute, name) else tensor

    def norm_behind(self, name: str) -> str | None:
        """The name here of the batch norm into which a bias is folded; None for any other weight."""
        for pattern, replacement in self.folded:
            if re.fullmatch(pattern, name):
                return re.sub(pattern, replacement, name)
        return None


_CONV_BLOCK = (
    (r"\._?conv\.(weight|bias)$", r".0.\1"),
    (r"\.(?:bn|_batch_norm)\.(\w+)$", r".1.\1"),
)
"""A convolution and its batch norm are named 0 and 1 here, and conv and bn in most projects."""

_CONTEXT = (
    (r"^cp\.(arm\d+)\.conv\.", r"context.\1.0."),
    (r"^cp\.(arm\d+)\.conv_atten\.", r"context.\1.1.gate.0."),
    (r"^cp\.(arm\d+)\.bn_atten\.", r"context.\1.1.gate.1."),
    (r"^cp\.conv_avg\.", "context.conv_avg.project."),
    (r"^cp\.(conv_head\d+)\.", r"context.\1."),
    (r"^ffm\.convblk\.", "fusion.convblk."),
    (r"^conv_out\.conv\.", "head.0."),
    (r"^conv_out\.conv_out\.", "head.1."),
)
"""Rules shared by BiSeNet and STDC-Seg."""

_STDC_COPIES = r"(x2|x4|x8|x16|x32|conv_last|fc|bn|linear)\."
"""Copies of the stages of an STDC backbone, and its ImageNet classifier."""

_STDC = Layout(
    "MichaelFan01/STDC-Seg",
    "stdc1",
    renames=(
        *_CONTEXT,
        (r"^cp\.backbone\.", "backbone."),
        (r"^ffm\.conv1\.", "fusion.attention.0."),
        (r"^ffm\.conv2\.", "fusion.attention.2."),
    ),
    ignored=rf"cp\.backbone\.{_STDC_COPIES}|conv_out(16|32|_sp\d+)\.",
    absolute=r"(?!cp\.backbone\.).*\.bn(_atten)?\.weight$",  # InPlaceABNSync, but in the backbone
)

_STEM_BIASES = ((r"conv1\.0\.bias", "conv1.1"), (r"conv1\.3\.bias", "conv1.4"))

LAYOUTS = (
    Layout(
        "CoinCheung/BiSeNet",
        "bisenet_r18",
        renames=(
            *_CONTEXT,
            (r"^cp\.resnet\.", "backbone."),
            (r"^sp\.conv1\.", "spatial.0."),
            (r"^sp\.conv2\.", "spatial.1."),
            (r"^sp\.conv3\.", "spatial.2."),
            (r"^sp\.conv_out\.", "spatial.3."),
            (r"^ffm\.conv\.", "fusion.attention.0."),
            (r"^ffm\.bn\.", "fusion.attention.1."),
        ),
        ignored=r"conv_out(16|32)\.|cp\.resnet\.fc\.",
        options={"variant": "coincheung"},
        normalization=_CITYSCAPES,
    ),
    Layout(
        "CoinCheung/BiSeNet",
        "bisenetv2",
        renames=(
            (r"^detail\.S1\.", "detail.0."),
            (r"^detail\.S2\.", "detail.1."),
            (r"^detail\.S3\.", "detail.2."),
            (r"^segment\.S1S2\.", "stem."),
            (r"^segment\.S([34])\.", r"stage\1."),
            (r"^segment\.S5_4\.", "stage5."),
            (r"^segment\.S5_5\.bn\.", "context.norm."),
            (r"^segment\.S5_5\.", "context."),
            (r"\.dwconv1\.", ".dwconv."),
            (r"\.dwconv2\.0\.", ".dwconv.2."),
            (r"\.dwconv2\.1\.", ".dwconv.3."),
            (r"^head\.conv\.", "head.0."),
            (r"^head\.conv_out\.1\.", "head.1."),
        ),
        ignored=r"aux\d",
        options={"variant": "coincheung"},
        normalization=_CITYSCAPES,
    ),
    _STDC,
    replace(_STDC, network="stdc2"),
    Layout("ydhongHIT/DDRNet", "ddrnet23_slim", ignored=r"seghead_extra\.", folded=_STEM_BIASES),
    Layout("XuJiacong/PIDNet", "pidnet_s", ignored=r"seghead_[pd]\.", folded=_STEM_BIASES),
    Layout(
        "PaddlePaddle/PaddleSeg",
        "pp_liteseg_t",
        renames=(
            (r"^ppseg_head\.", ""),
            (r"^seg_heads\.0\.conv\.", "head.0."),
            (r"^seg_heads\.0\.conv_out\.", "head.1."),
            (r"\._mean$", ".running_mean"),
            (r"\._variance$", ".running_var"),
        ),
        ignored=rf"backbone\.{_STDC_COPIES}|seg_heads\.[12]\.|.*\._scale$",
        folded=(
            (r"ppseg_head\.(cm\.stages\.\d\.1)\._conv\.bias", r"\1.1"),
            (r"ppseg_head\.(cm\.conv_out)\._conv\.bias", r"\1.1"),
        ),
        normalization=_HALF,
    ),
)
"""All layouts that ``aaff convert`` reads; if a network has several, the best matching one is used."""


def find_layouts(network: str) -> list[Layout]:
    """The known layouts of a network, with its own names last."""
    return [*(layout for layout in LAYOUTS if layout.network == network), Layout("aaff", network)]
