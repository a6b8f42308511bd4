"""Names and shapes of the checkpoints that other projects publish, for 19 classes.

Written from the model definitions in their repositories and independent of this package: what a file of theirs holds,
auxiliary heads and copies included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

CLASSES = 19
Shapes = dict[str, tuple[int, ...]]


class Names:
    """Collects the tensors of layers by their names.

    Args:
        moving: what the project calls the moving mean and variance.
        counter: its batch norm counts its batches.
    """

    def __init__(self, moving: Sequence[str] = ("running_mean", "running_var"), counter: bool = True) -> None:
        self.found: Shapes = {}
        self.moving = moving
        self.counter = counter

    def conv(self, name: str, inputs: int, outputs: int, kernel: int, *, groups: int = 1, bias: bool = False) -> None:
        self.found[f"{name}.weight"] = (outputs, inputs // groups, kernel, kernel)
        if bias:
            self.found[f"{name}.bias"] = (outputs,)

    def norm(self, name: str, channels: int) -> None:
        for leaf in ("weight", "bias", *self.moving):
            self.found[f"{name}.{leaf}"] = (channels,)
        if self.counter:
            self.found[f"{name}.num_batches_tracked"] = ()

    def numbered(self, name: str, inputs: int, outputs: int, kernel: int, *, first: int = 0, groups: int = 1) -> None:
        """A convolution and its batch norm in an ``nn.Sequential``."""
        self.conv(f"{name}.{first}", inputs, outputs, kernel, groups=groups)
        self.norm(f"{name}.{first + 1}", outputs)

    def block(
        self, name: str, inputs: int, outputs: int, kernel: int, *, parts: Sequence[str] = ("conv", "bn"), bias=False
    ) -> None:
        """A convolution and its batch norm as attributes."""
        self.conv(f"{name}.{parts[0]}", inputs, outputs, kernel, bias=bias)
        self.norm(f"{name}.{parts[1]}", outputs)

    def pre_activated(self, name: str, inputs: int, outputs: int, kernel: int = 1, *, pool: bool = False, groups=1):
        """Batch norm, ReLU, convolution, behind a pooling or not."""
        self.norm(f"{name}.{int(pool)}", inputs)
        self.conv(f"{name}.{int(pool) + 2}", inputs, outputs, kernel, groups=groups)

    def basic(self, name: str, inputs: int, outputs: int, *, shortcut: bool) -> None:
        self.conv(f"{name}.conv1", inputs, outputs, 3)
        self.norm(f"{name}.bn1", outputs)
        self.conv(f"{name}.conv2", outputs, outputs, 3)
        self.norm(f"{name}.bn2", outputs)
        if shortcut:
            self.numbered(f"{name}.downsample", inputs, outputs, 1)

    def stage(self, name: str, inputs: int, outputs: int, blocks: int) -> None:
        """Basic blocks; the first has a shortcut of its own where the channels change."""
        for index in range(blocks):
            self.basic(
                f"{name}.{index}",
                inputs if index == 0 else outputs,
                outputs,
                shortcut=index == 0 and inputs != outputs,
            )

    def bottleneck(self, name: str, inputs: int, middle: int, *, shortcut: bool = True) -> None:
        for index, (a, b, kernel) in enumerate(((inputs, middle, 1), (middle, middle, 3), (middle, 2 * middle, 1)), 1):
            self.conv(f"{name}.conv{index}", a, b, kernel)
            self.norm(f"{name}.bn{index}", b)
        if shortcut:
            self.numbered(f"{name}.downsample", inputs, 2 * middle, 1)

    def segment_head(self, name: str, inputs: int, middle: int, outputs: int) -> None:
        """The head of DDRNet and PIDNet."""
        self.norm(f"{name}.bn1", inputs)
        self.conv(f"{name}.conv1", inputs, middle, 3)
        self.norm(f"{name}.bn2", middle)
        self.conv(f"{name}.conv2", middle, outputs, 1, bias=True)

    def stem(self, channels: int) -> None:
        """Two convolutions with biases in front of batch norm."""
        for index, inputs in ((0, 3), (3, channels)):
            self.conv(f"conv1.{index}", inputs, channels, 3, bias=True)
            self.norm(f"conv1.{index + 1}", channels)

    def stdc(self, name: str, blocks: Sequence[int]) -> None:
        """Blocks of an STDC backbone, and its stages once more."""
        self._stdc_layers([f"{name}.features.{index}" for index in range(2 + sum(blocks))], blocks)
        ends = (1, 2, 2 + blocks[0], 2 + blocks[0] + blocks[1], 2 + sum(blocks))
        places = []
        for stage, (start, end) in enumerate(zip((0, *ends), ends, strict=False)):
            places += [f"{name}.x{2 ** (stage + 1)}.0.{index}" for index in range(end - start)]
        self._stdc_layers(places, blocks)

    def _stdc_layers(self, places: Sequence[str], blocks: Sequence[int]) -> None:
        self.block(places[0], 3, 32, 3)
        self.block(places[1], 32, 64, 3)
        inputs, index = 64, 2
        for outputs, count in zip((256, 512, 1024), blocks, strict=True):
            for number in range(count):
                place, half = places[index], outputs // 2
                if number == 0:
                    self.numbered(f"{place}.avd_layer", half, half, 3, groups=half)
                self.block(f"{place}.conv_list.0", inputs, half, 1)
                self.block(f"{place}.conv_list.1", half, outputs // 4, 3)
                self.block(f"{place}.conv_list.2", outputs // 4, outputs // 8, 3)
                self.block(f"{place}.conv_list.3", outputs // 8, outputs // 8, 3)
                inputs, index = outputs, index + 1

    def context_path(self) -> None:
        """``cp`` of BiSeNet and STDC-Seg without its backbone."""
        for name, inputs in (("arm16", "c16"), ("arm32", "c32")):
            channels = self.deep[inputs]
            self.block(f"cp.{name}.conv", channels, 128, 3)
            self.conv(f"cp.{name}.conv_atten", 128, 128, 1)
            self.norm(f"cp.{name}.bn_atten", 128)
        self.block("cp.conv_head32", 128, 128, 3)
        self.block("cp.conv_head16", 128, 128, 3)
        self.block("cp.conv_avg", self.deep["c32"], 128, 1)

    deep: dict[str, int]

    def output(self, name: str, inputs: int, middle: int, outputs: int, *, bias: bool) -> None:
        self.block(f"{name}.conv", inputs, middle, 3)
        self.conv(f"{name}.conv_out", middle, outputs, 1, bias=bias)


def coincheung_v1() -> Shapes:
    """lib/models/bisenetv1.py of CoinCheung/BiSeNet, as of model_final_v1_city_new.pth."""
    n = Names()
    n.conv("cp.resnet.conv1", 3, 64, 7)
    n.norm("cp.resnet.bn1", 64)
    for index, (a, b) in enumerate(((64, 64), (64, 128), (128, 256), (256, 512)), 1):
        n.stage(f"cp.resnet.layer{index}", a, b, 2)
    n.deep = {"c16": 256, "c32": 512}
    n.context_path()
    n.block("sp.conv1", 3, 64, 7)
    n.block("sp.conv2", 64, 64, 3)
    n.block("sp.conv3", 64, 64, 3)
    n.block("sp.conv_out", 64, 128, 1)
    n.block("ffm.convblk", 256, 256, 1)
    n.conv("ffm.conv", 256, 256, 1)
    n.norm("ffm.bn", 256)
    n.output("conv_out", 256, 256, CLASSES, bias=True)
    n.output("conv_out16", 128, 64, CLASSES, bias=True)
    n.output("conv_out32", 128, 64, CLASSES, bias=True)
    return n.found


def coincheung_v2() -> Shapes:
    """lib/models/bisenetv2.py of CoinCheung/BiSeNet."""
    n = Names()
    for stage, channels in (("S1", (3, 64, 64)), ("S2", (64, 64, 64, 64)), ("S3", (64, 128, 128, 128))):
        for index, (a, b) in enumerate(pairwise(channels)):
            n.block(f"detail.{stage}.{index}", a, b, 3)
    n.block("segment.S1S2.conv", 3, 16, 3)
    n.block("segment.S1S2.left.0", 16, 8, 1)
    n.block("segment.S1S2.left.1", 8, 16, 3)
    n.block("segment.S1S2.fuse", 32, 16, 3)
    for stage, a, b, count in (("S3", 16, 32, 2), ("S4", 32, 64, 2), ("S5_4", 64, 128, 4)):
        place, inner = f"segment.{stage}.0", 6 * a
        n.block(f"{place}.conv1", a, a, 3)
        n.numbered(f"{place}.dwconv1", a, inner, 3, groups=a)
        n.numbered(f"{place}.dwconv2", inner, inner, 3, groups=inner)
        n.numbered(f"{place}.conv2", inner, b, 1)
        n.numbered(f"{place}.shortcut", a, a, 3, groups=a)
        n.numbered(f"{place}.shortcut", a, b, 1, first=2)
        for index in range(1, count):
            place = f"segment.{stage}.{index}"
            n.block(f"{place}.conv1", b, b, 3)
            n.numbered(f"{place}.dwconv", b, 6 * b, 3, groups=b)
            n.numbered(f"{place}.conv2", 6 * b, b, 1)
    n.norm("segment.S5_5.bn", 128)
    n.block("segment.S5_5.conv_gap", 128, 128, 1)
    n.block("segment.S5_5.conv_last", 128, 128, 3)
    for name in ("left1", "right2"):
        n.numbered(f"bga.{name}", 128, 128, 3, groups=128)
        n.conv(f"bga.{name}.2", 128, 128, 1)
    for name in ("left2", "right1", "conv"):
        n.numbered(f"bga.{name}", 128, 128, 3)
    n.block("head.conv", 128, 1024, 3)
    n.conv("head.conv_out.1", 1024, CLASSES, 1, bias=True)
    for name, inputs, factor in (("aux2", 16, 4), ("aux3", 32, 8), ("aux4", 64, 16), ("aux5_4", 128, 32)):
        n.block(f"{name}.conv", inputs, 128, 3)
        n.block(f"{name}.conv_out.0.1", 128, factor**2, 3)
        n.conv(f"{name}.conv_out.1", factor**2, CLASSES, 1, bias=True)
    return n.found


def stdc_seg(blocks: Sequence[int]) -> Shapes:
    """models/model_stages.py and nets/stdcnet.py of MichaelFan01/STDC-Seg."""
    n = Names()
    n.stdc("cp.backbone", blocks)
    n.block("cp.backbone.conv_last", 1024, 1024, 1)
    n.found["cp.backbone.fc.weight"] = (1024, 1024)
    n.norm("cp.backbone.bn", 1024)
    n.found["cp.backbone.linear.weight"] = (1000, 1024)
    n.counter = False  # the batch norm of the rest is InPlaceABNSync
    n.deep = {"c16": 512, "c32": 1024}
    n.context_path()
    n.block("ffm.convblk", 384, 256, 1)
    n.conv("ffm.conv1", 256, 64, 1)
    n.conv("ffm.conv2", 64, 256, 1)
    n.output("conv_out", 256, 256, CLASSES, bias=False)
    for name in ("conv_out16", "conv_out32"):
        n.output(name, 128, 64, CLASSES, bias=False)
    for name, inputs in (("sp16", 512), ("sp8", 256), ("sp4", 64), ("sp2", 32)):
        n.output(f"conv_out_{name}", inputs, 64, 1, bias=False)
    return n.found


def ddrnet() -> Shapes:
    """segmentation/DDRNet_23_slim.py of ydhongHIT/DDRNet, with augment=True."""
    n = Names()
    n.stem(32)
    for name, a, b in (("1", 32, 32), ("2", 32, 64), ("3", 64, 128), ("4", 128, 256), ("3_", 64, 64), ("4_", 64, 64)):
        n.stage(f"layer{name}", a, b, 2)
    n.numbered("compression3", 128, 64, 1)
    n.numbered("compression4", 256, 64, 1)
    n.numbered("down3", 64, 128, 3)
    n.numbered("down4", 64, 128, 3)
    n.numbered("down4", 128, 256, 3, first=3)
    n.bottleneck("layer5_.0", 64, 64)
    n.bottleneck("layer5.0", 256, 256)
    n.pre_activated("spp.scale0", 512, 128)
    for index in range(1, 5):
        n.pre_activated(f"spp.scale{index}", 512, 128, pool=True)
        n.pre_activated(f"spp.process{index}", 128, 128, 3)
    n.pre_activated("spp.compression", 640, 128)
    n.pre_activated("spp.shortcut", 512, 128)
    n.segment_head("seghead_extra", 64, 64, CLASSES)
    n.segment_head("final_layer", 128, 64, CLASSES)
    return n.found


def pidnet() -> Shapes:
    """models/pidnet.py of XuJiacong/PIDNet, PIDNet-S with augment=True."""
    n = Names()
    n.stem(32)
    stages = (("1", 32, 32, 2), ("2", 32, 64, 2), ("3", 64, 128, 3), ("4", 128, 256, 3), ("3_", 64, 64, 2))
    for name, a, b, count in (*stages, ("4_", 64, 64, 2)):
        n.stage(f"layer{name}", a, b, count)
    n.bottleneck("layer5.0", 256, 256)
    n.bottleneck("layer5.1", 512, 256, shortcut=False)
    n.bottleneck("layer5_.0", 64, 64)
    n.numbered("compression3", 128, 64, 1)
    n.numbered("compression4", 256, 64, 1)
    for name in ("pag3", "pag4"):
        n.numbered(f"{name}.f_x", 64, 32, 1)
        n.numbered(f"{name}.f_y", 64, 32, 1)
    n.basic("layer3_d", 64, 32, shortcut=True)
    n.bottleneck("layer4_d.0", 32, 32)
    n.bottleneck("layer5_d.0", 64, 64)
    n.numbered("diff3", 128, 32, 3)
    n.numbered("diff4", 256, 64, 3)
    n.pre_activated("spp.scale0", 512, 96)
    for index in range(1, 5):
        n.pre_activated(f"spp.scale{index}", 512, 96, pool=True)
    n.pre_activated("spp.scale_process", 384, 384, 3, groups=4)
    n.pre_activated("spp.compression", 480, 128)
    n.pre_activated("spp.shortcut", 512, 128)
    n.numbered("dfm.conv_p", 128, 128, 1)
    n.numbered("dfm.conv_i", 128, 128, 1)
    n.segment_head("seghead_p", 64, 128, CLASSES)
    n.segment_head("seghead_d", 64, 32, 1)
    n.segment_head("final_layer", 128, 128, CLASSES)
    return n.found


def pp_liteseg() -> Shapes:
    """paddleseg/models/pp_liteseg.py and backbones/stdcnet.py of PaddlePaddle/PaddleSeg, with the channels of -T."""
    n = Names(moving=("_mean", "_variance"), counter=False)
    parts = ("_conv", "_batch_norm")
    n.stdc("backbone", (2, 2, 2))
    n.block("backbone.conv_last", 1024, 1024, 1)
    for index in range(3):
        n.block(f"ppseg_head.cm.stages.{index}.1", 1024, 128, 1, parts=parts, bias=True)
    n.block("ppseg_head.cm.conv_out", 128, 128, 3, parts=parts, bias=True)
    for index, (fine, coarse, out) in enumerate(((256, 64, 32), (512, 128, 64), (1024, 128, 128))):
        place = f"ppseg_head.arm_list.{index}"
        n.block(f"{place}.conv_x", fine, coarse, 3, parts=parts)
        n.block(f"{place}.conv_out", coarse, out, 3, parts=parts)
        n.block(f"{place}.conv_xy_atten.0", 4, 2, 3, parts=parts)
        n.block(f"{place}.conv_xy_atten.1", 2, 1, 3, parts=parts)
    for index, (inputs, middle) in enumerate(((32, 32), (64, 64), (128, 64))):
        n.block(f"seg_heads.{index}.conv", inputs, middle, 3, parts=parts)
        n.conv(f"seg_heads.{index}.conv_out", middle, CLASSES, 1)
    return n.found


PUBLISHED: dict[str, Callable[[], Shapes]] = {
    "bisenet_r18": coincheung_v1,
    "bisenetv2": coincheung_v2,
    "stdc1": lambda: stdc_seg((2, 2, 2)),
    "stdc2": lambda: stdc_seg((4, 5, 3)),
    "ddrnet23_slim": ddrnet,
    "pidnet_s": pidnet,
    "pp_liteseg_t": pp_liteseg,
}
