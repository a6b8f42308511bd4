"""The contract of every registered network, and the numbers that the specification gives for the paper's four."""

import sys
import types

import pytest
import torch
from torch import nn

from aaff.errors import AaffError, MissingExtraError, ModelError, OptionError
from aaff.networks import create_model, list_models, model_info
from aaff.networks.aaff_lite import Add
from aaff.networks.blocks import FUSIONS, GATES, GridPool
from aaff.networks.complexity import complexity, convolution_parameters, count, separable_parameters
from aaff.preprocess import Size

PAPER = ("bisenet", "depthwise_bisenet", "depthwise_aaff", "depthwise_aaff2")

PARAMETERS = {
    "bisenet": {32: 2_678_808, 11: 2_677_443},
    "depthwise_bisenet": {32: 1_845_016, 11: 1_843_651},
    "depthwise_aaff": {32: 2_117_400, 11: 2_116_035},
    "depthwise_aaff2": {32: 2_406_936, 11: 2_405_571},
}
MACS = {
    "bisenet": (5_654_175_168, 22_578_371_328, 16_762_436_608),
    "depthwise_bisenet": (2_876_587_968, 11_468_022_528, 8_532_548_608),
    "depthwise_aaff": (4_103_430_080, 16_388_637_440, 12_177_996_800),
    "depthwise_aaff2": (4_120_723_392, 16_446_235_392, 12_219_046_912),
}


NARROW = {"width": 0.25}


@pytest.mark.parametrize("name", list_models())
class TestEveryNetwork:
    """A new network is held by these as soon as it is registered; a narrow one behaves as the whole."""

    @pytest.fixture
    def net(self, name):
        torch.manual_seed(0)
        return create_model(name, num_classes=7, **NARROW)

    @pytest.mark.parametrize("size", [(357, 473), (65, 97)], ids=str)
    def test_any_size_goes_in_and_comes_out(self, net, size):
        net.eval()
        x = torch.randn(1, 3, *size)
        with torch.inference_mode():
            native = net.logits(x)
            full = net(x)
        rows, columns = (-(-side // net.stride) for side in size)
        assert native.shape == (1, 7, rows, columns)
        assert full.shape == (1, 7, *size)
        expected = torch.nn.functional.interpolate(native, size=size, mode="bilinear", align_corners=False)
        torch.testing.assert_close(full, expected)

    def test_a_training_batch_of_one_is_refused_in_words(self, net):
        with pytest.raises(AaffError, match=r"batch of one.*at least 2"):
            net(torch.randn(1, 3, 64, 64))
        net.eval()(torch.randn(1, 3, 64, 64))

    @pytest.mark.parametrize("shape", [(3, 64, 64), (2, 1, 64, 64), (2, 64, 64, 3)])
    def test_what_is_no_batch_of_frames_is_refused(self, net, shape):
        with pytest.raises(AaffError, match=r"\[N, 3, H, W\]"):
            net(torch.randn(*shape))

    def test_gradient_reaches_every_parameter(self, name):
        torch.manual_seed(0)
        net = create_model(name, 5, auxiliary=True, **NARROW)
        for parameter in net.parameters():  # behind zeros a layer has its gradient a step later
            if not parameter.any():
                torch.nn.init.normal_(parameter)
        logits, auxiliary = net.logits_with_auxiliary(torch.randn(4, 3, 64, 96))
        sum((t * torch.randn_like(t)).sum() for t in (logits, *auxiliary.values())).backward()
        dead = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not dead

    def test_same_seed_same_network_and_same_answer(self, name):
        outputs = []
        for _ in range(2):
            torch.manual_seed(3)
            net = create_model(name, 4, **NARROW).eval()
            with torch.inference_mode():
                outputs.append(net(torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)))
        assert torch.equal(*outputs)

    def test_state_survives_saving(self, net, name, tmp_path):
        from safetensors.torch import load_file, save_file

        net.train()(torch.randn(2, 3, 64, 64))  # so that the moving statistics are not the first ones
        save_file(net.state_dict(), tmp_path / "net.safetensors")
        twin = create_model(name, num_classes=7, **NARROW)
        twin.load_state_dict(load_file(tmp_path / "net.safetensors"))
        x = torch.randn(1, 3, 64, 64)
        with torch.inference_mode():
            assert torch.equal(net.eval()(x), twin.eval()(x))

    def test_auxiliary_heads_exist_in_training_alone(self, name):
        net = create_model(name, 5, auxiliary=True, **NARROW)
        x = torch.randn(2, 3, 64, 96)
        logits, auxiliary = net.logits_with_auxiliary(x)
        assert auxiliary
        own = net.auxiliary_losses  # heads for boundaries and the like have one channel
        assert all(t.shape[:2] == (2, 1 if name in own else 5) for name, t in auxiliary.items())
        assert logits.shape == (2, 5, 64 // net.stride, 96 // net.stride)
        assert isinstance(net(x), torch.Tensor)
        with pytest.raises(AaffError, match="training mode"):
            net.eval().logits_with_auxiliary(x)

    def test_heads_are_no_part_of_the_counted_cost(self, name):
        assert count(name, auxiliary=True) == count(name)

    def test_width_scales_the_cost(self, name):
        assert count(name, width=0.25).macs < count(name).macs


@pytest.mark.parametrize("name", PAPER)
def test_parameters_are_those_of_the_specification(name):
    for classes, expected in PARAMETERS[name].items():
        net = create_model(name, classes)
        assert sum(p.numel() for p in net.parameters()) == expected
        assert complexity(net).parameters == expected


@pytest.mark.parametrize("name", PAPER)
def test_multiply_accumulates_are_those_of_the_specification(name):
    small, large, paper = MACS[name]
    assert complexity(create_model(name, 11), Size(480, 360)).macs == small
    assert complexity(create_model(name, 11), Size(960, 720)).macs == large
    assert complexity(create_model(name, 32), Size(800, 640)).macs == paper


def test_the_papers_example_of_equations_1_and_2():
    assert convolution_parameters(5, 3, 256) == 19_200
    assert separable_parameters(5, 3, 256) == 843


@pytest.mark.parametrize("option", [*({"gate": name} for name in GATES), *({"fusion": name} for name in FUSIONS)])
@pytest.mark.parametrize("name", ["depthwise_aaff", "depthwise_aaff2"])
def test_every_gate_and_fusion_trains(name, option):
    net = create_model(name, 3, **option)
    net(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_gate_none_is_the_same_wiring_without_attention():
    with_gates = dict(create_model("depthwise_aaff", 11).named_parameters())
    without = dict(create_model("depthwise_aaff", 11, gate="none").named_parameters())
    assert set(with_gates) - set(without) == {n for n in with_gates if ".gate.gate." in n or ".arm.1.gate." in n}
    assert all(without[n].shape == with_gates[n].shape for n in without)


def test_one_side_and_no_spatial_path_cost_less():
    whole, one, bare = (
        complexity(create_model("depthwise_aaff", 11, **o)).macs for o in ({}, {"sides": 1}, {"spatial": False})
    )
    assert one < whole
    assert bare < whole


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: create_model("depthwise_aff"), "did you mean 'depthwise_aaff'"),
        (lambda: create_model("depthwise_aaff", gatte="relu"), "did you mean 'gate'"),
        (lambda: create_model("depthwise_aaff", gate="sigmod"), "did you mean 'sigmoid'"),
        (lambda: create_model("depthwise_aaff", fusion="ad"), "did you mean 'add'"),
        (lambda: create_model("depthwise_aaff", sides=3), "2 sides"),
        (lambda: create_model("depthwise_aaff", reduction=0), "reduction is 0"),
        (lambda: create_model("bisenet", width=0), "above 0"),
        (lambda: create_model("bisenet", width="abc"), "such as 1.0"),
        (lambda: create_model("bisenet", width=True), "such as 1.0"),
        (lambda: create_model("bisenet", width=float("nan")), "above 0"),
        (lambda: create_model("bisenet", auxiliary="perhaps"), "such as False"),
        (lambda: create_model("depthwise_aaff", gate=3), "such as 'sigmoid'"),
        (lambda: create_model("depthwise_aaff", sides="both"), "such as 2"),
        (lambda: create_model("bisenet", 0), "at least 1 class"),
        (lambda: create_model("aaff_lite0", stages=8), "6 or 7"),
        (lambda: create_model("aaff_lite0", blocks=-1), "at least 0"),
        *((lambda name=name: create_model(name, dropout=1), "dropout") for name in ("enet", "fcn32s", "unet")),
        (lambda: model_info("zzz"), "bisenet"),
    ],
)
def test_a_wrong_name_or_value_is_answered_with_the_nearest_valid_one(call, words):
    with pytest.raises(AaffError, match=words):
        call()


def test_list_models_takes_a_glob():
    assert list_models("depthwise*") == ["depthwise_bisenet", "depthwise_aaff", "depthwise_aaff2"]
    assert list_models("nothing*") == []


def test_a_backbone_of_timm_carries_the_decoder(monkeypatch):
    class Features(nn.Module):
        class feature_info:  # noqa: N801
            reduction = staticmethod(lambda: [2, 4, 8, 16, 32])
            channels = staticmethod(lambda: [4, 6, 8, 10, 12])

        def __init__(self):
            super().__init__()
            steps = zip([3, 4, 6, 8, 10], [4, 6, 8, 10, 12], strict=True)
            self.steps = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in steps)

        def forward(self, x):
            maps = [x]
            for step in self.steps:
                maps.append(step(maps[-1]))
            return maps[1:]

    def create_model(name, features_only, pretrained):
        if name != "small":
            raise RuntimeError(f"Unknown model ({name})")
        return Features()

    monkeypatch.setitem(sys.modules, "timm", types.SimpleNamespace(create_model=create_model))
    net = create_model_of("timm:small")
    assert net(torch.zeros(1, 3, 65, 97)).shape == (1, 5, 65, 97)
    with pytest.raises(ModelError, match="'absent'"):
        create_model_of("timm:absent")
    Features.feature_info.reduction = staticmethod(lambda: [4, 8, 16, 32])
    with pytest.raises(ModelError, match="4, 8, 16, 32"):
        create_model_of("timm:small")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match="timm"):
        create_model_of("timm:small")


def create_model_of(backbone):
    return create_model("aaff_lite0", 5, backbone=backbone).eval()


@pytest.mark.parametrize(("bins", "size"), [(2, (5, 8)), (3, (7, 7)), (6, (12, 4)), (4, (3, 1))], ids=str)
def test_a_grid_is_pooled_like_adaptive_pooling(bins, size):
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(GridPool(bins)(x), nn.functional.adaptive_avg_pool2d(x, bins))


def test_a_map_is_doubled_by_exactly_two_at_odd_sizes():
    add = Add(1, 1, 1).eval()
    ramp = torch.arange(12.0).repeat(12, 1)[None, None]
    with torch.no_grad():
        for half in (add.first, add.second):
            half[0].weight.fill_(1)
        odd, even = (add(ramp, torch.zeros(1, 1, 23, columns)) for columns in (23, 24))
    torch.testing.assert_close(odd, even[..., :23])  # a cell stands where it stood, whatever was cut off


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (67, 101)], ids=str)
def test_detail_begins_as_the_network_without_it_and_learns(size):
    """So that trained weights can be taken up: at any size, and with a gradient into the new layers."""
    plain = create_model("aaff_lite0", 5, width=0.25, detail=False).eval()
    fine = create_model("aaff_lite0", 5, width=0.25).eval()
    missing, unexpected = fine.load_state_dict(plain.state_dict(), strict=False)
    assert missing
    assert all(name.startswith("detail.") for name in missing)
    assert not unexpected
    x = torch.randn(1, 3, *size)
    torch.testing.assert_close(fine(x), plain(x))
    fine(x).square().mean().backward()
    assert fine.detail[-1].weight.grad.abs().sum() > 0


def test_detail_needs_logits_that_are_fine_enough():
    with pytest.raises(OptionError, match="stride 2 or 4"):
        create_model("aaff_lite0", 5, stride=8)
