"""Each term of the objective against an independent formula or library."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.functional.segmentation import dice_score

from aaff.errors import DataError, OptionError
from aaff.training.losses.auxiliary import boundaries, details
from aaff.training.objective import Objective, class_weights, hard_pixels, weighted_mean
from aaff.training.options import LossOptions

ALL = LossOptions(dice=0.5, lovasz=0.7, label_smoothing=0.1, ohem_keep=0.3, auxiliary=(0.4,))


def draw(frames: int = 2, classes: int = 4, void: float = 0.2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Native logits [N, C, 5, 6] float64 and label [N, 18, 23] with void."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(frames, classes, 5, 6, generator=generator, dtype=torch.float64)
    target = torch.randint(0, classes, (frames, 18, 23), generator=generator, dtype=torch.uint8)
    target[torch.rand(target.shape, generator=generator) < void] = 255
    return logits, target


def enlarged(logits: Tensor, target: Tensor) -> Tensor:
    return F.interpolate(logits, target.shape[1:], mode="bilinear", align_corners=False)


def value(options: LossOptions, logits: Tensor, target: Tensor, weights: Tensor | None = None) -> float:
    return float(Objective(options, logits.shape[1], weights)(logits, {}, target).mean())


def only(**terms: float) -> LossOptions:
    return LossOptions(**{"cross_entropy": 0.0, **terms})  # type: ignore[arg-type]


# --- class weights


def test_enet_log_weights_by_hand() -> None:
    weights = class_weights("enet-log", [[30, 0, 10], [0, 0, 60]])
    assert weights is not None
    assert weights.tolist() == pytest.approx([1 / math.log(1.10 + p) for p in (0.3, 0.0, 0.7)])


def test_median_frequency_weights_by_hand() -> None:
    # Class 0 is seen in images of 40 and 100 pixels, class 1 in the second only, class 2 in both; class 3 never.
    weights = class_weights("median-frequency", [[30, 0, 10, 0], [20, 50, 30, 0]])
    shares = [50 / 140, 50 / 100, 40 / 140]
    assert weights is not None
    assert weights.tolist() == pytest.approx([*(sorted(shares)[1] / share for share in shares), 1.0])


def test_no_weights_and_given_weights() -> None:
    assert class_weights("none", [[1, 2]]) is None
    given_weights = class_weights((2.0, 0.5), [[1, 2]])
    assert given_weights is not None
    assert given_weights.tolist() == [2.0, 0.5]
    with pytest.raises(OptionError, match=r"3 numbers.*2 classes"):
        class_weights((1.0, 2.0, 3.0), [[1, 2]])
    with pytest.raises(OptionError, match="'enet'; choose enet-log"):
        class_weights("enet", [[1, 2]])


# --- terms


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_the_weighted_mean(smoothing: float) -> None:
    logits, target = draw()
    weights = torch.tensor([1.0, 3.0, 0.5, 2.0])
    reference = F.cross_entropy(
        enlarged(logits, target), target.long(), weights.double(), ignore_index=255, label_smoothing=smoothing
    )
    found = value(LossOptions(label_smoothing=smoothing), logits, target, weights)
    assert found == pytest.approx(float(reference), rel=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 999), st.sampled_from([0.05, 0.25, 0.9]), st.sampled_from([0.0, 0.2, 0.7, 1.0]))
def test_ohem_keeps_the_hardest_share_and_all_below_the_threshold(seed: int, keep: float, threshold: float) -> None:
    logits, target = draw(seed=seed)
    nll = F.cross_entropy(enlarged(logits, target), target.long(), ignore_index=255, reduction="none").numpy()
    losses = nll[target.numpy() != 255]
    hardest = np.sort(losses)[::-1][: math.ceil(keep * len(losses))]
    below = losses[np.exp(-losses) <= threshold]
    # Equals stay together: bilinear enlargement repeats values at the frame's border.
    cut = min(hardest.min(), below.min() if len(below) else np.inf)
    kept = losses[losses >= cut - 1e-12]
    assert value(LossOptions(ohem_keep=keep, ohem_threshold=threshold), logits, target) == pytest.approx(
        kept.mean(), rel=1e-6
    )
    hard = hard_pixels(logits, target, keep, threshold)
    assert ((hard == target) | (hard == 255)).all()
    assert int((hard != 255).sum()) == len(kept)


def test_dice_equals_torchmetrics() -> None:
    logits, target = draw(frames=1)
    target[target == 2] = 255  # a class that is absent
    labelled = target != 255
    probabilities = enlarged(logits, target).softmax(1).transpose(0, 1)[:, labelled]
    onehot = F.one_hot(target[labelled].long(), 4).T
    for c in (0, 1, 3):  # torchmetrics counts hard masks: the soft score is checked by formula, its shape by theirs
        hard = (probabilities[c] > 0.5).long()
        theirs = dice_score(hard.view(1, 1, -1), onehot[c].view(1, 1, -1), num_classes=1, average="macro")
        assert _dice_of(hard.double(), onehot[c]) == pytest.approx(float(theirs), rel=1e-6)
    expected = np.mean([1 - _dice_of(probabilities[c], onehot[c]) for c in (0, 1, 3)])
    assert value(only(dice=1.0), logits, target) == pytest.approx(expected, rel=1e-6)


def _dice_of(score: Tensor, target: Tensor) -> float:
    s, t = score.numpy(), target.numpy()
    return float(2 * (s * t).sum() / (s.sum() + t.sum()))


@settings(max_examples=25)
@given(st.integers(0, 999), st.integers(2, 3), st.integers(1, 6))
def test_lovasz_equals_the_extension_by_definition(seed: int, classes: int, pixels: int) -> None:
    """The extension of a set function f at errors e is the integral over t of f({i : e[i] ≥ t})."""
    generator = np.random.default_rng(seed)
    logits = torch.from_numpy(generator.normal(size=(1, classes, 1, pixels)))
    target = torch.from_numpy(generator.integers(0, classes, (1, 1, pixels)).astype(np.uint8))
    probabilities, ids = logits.softmax(1)[0, :, 0].numpy(), target[0, 0].numpy()
    losses = []
    for c in np.unique(ids):
        member = ids == c
        errors = np.abs(member - probabilities[c])
        levels = np.concatenate([[0], np.sort(errors)])
        integral = 0.0
        for low, high in itertools.pairwise(levels):
            wrong = errors >= high
            predicted = member ^ wrong
            integral += (high - low) * (1 - (predicted & member).sum() / max((predicted | member).sum(), 1))
        losses.append(integral)
    assert value(only(lovasz=1.0), logits, target) == pytest.approx(np.mean(losses), rel=1e-6, abs=1e-9)


def test_lovasz_of_certain_predictions_is_one_minus_mean_iou() -> None:
    target = torch.tensor([[[0, 0, 1, 1, 2, 255]]], dtype=torch.uint8)
    prediction = torch.tensor([0, 1, 1, 1, 0, 2])
    logits = 200.0 * F.one_hot(prediction, 3).T.view(1, 3, 1, 6).double()
    assert value(only(lovasz=1.0), logits, target) == pytest.approx(1 - np.mean([1 / 3, 2 / 3, 0]), rel=1e-6)


def test_terms_add_up_with_their_weights() -> None:
    logits, target = draw()
    heads = {"left": logits[:, :, :3, :3], "right": logits.flip(1)}
    options = LossOptions(cross_entropy=0.8, dice=0.5, lovasz=0.7, auxiliary=(0.4, 0.2))
    parts = Objective(options, 4)(logits, heads, target)
    expected = {
        "cross_entropy": 0.8 * value(LossOptions(), logits, target),
        "dice": 0.5 * value(only(dice=1.0), logits, target),
        "lovasz": 0.7 * value(only(lovasz=1.0), logits, target),
        "auxiliary.left": 0.4 * value(LossOptions(), heads["left"], target),
        "auxiliary.right": 0.2 * value(LossOptions(), heads["right"], target),
    }
    means = {name: float(term / parts.normalizer) for name, term in parts.terms.items()}
    assert means == pytest.approx(expected, rel=1e-5)
    assert float(parts.mean()) == pytest.approx(sum(expected.values()), rel=1e-5)


def test_one_auxiliary_weight_serves_all_heads_and_zero_leaves_them_out() -> None:
    logits, target = draw()
    heads = {"left": logits, "right": logits}
    assert set(Objective(LossOptions(), 4)(logits, heads, target).terms) == {
        "cross_entropy",
        "auxiliary.left",
        "auxiliary.right",
    }
    assert set(Objective(LossOptions(auxiliary=(0.0,)), 4)(logits, heads, target).terms) == {"cross_entropy"}


# --- parts of a batch


def gradients(objective: Objective, logits: Tensor, target: Tensor, cuts: list[slice]) -> tuple[float, Tensor]:
    """Loss and gradient of a batch given in parts, each divided by the normaliser of all."""
    leaf = logits.clone().requires_grad_()
    everything = sum(objective.normalizer(target[cut]) for cut in cuts)
    total = 0.0
    for cut in cuts:
        part = weighted_mean(objective(leaf[cut], {}, target[cut]).sum, torch.as_tensor(everything))
        part.backward()
        total += float(part.detach())
    assert leaf.grad is not None
    return total, leaf.grad


def test_cross_entropy_does_not_depend_on_how_the_batch_is_divided() -> None:
    logits, target = draw(frames=5)
    target[3] = 255
    target[0, 4:] = 255  # very different numbers of labelled pixels
    objective = Objective(LossOptions(label_smoothing=0.1), 4, torch.tensor([1.0, 3.0, 0.5, 2.0]))
    whole = gradients(objective, logits, target, [slice(0, 5)])
    parts = gradients(objective, logits, target, [slice(0, 1), slice(1, 3), slice(3, 4), slice(4, 5)])
    assert parts[0] == pytest.approx(whole[0], rel=1e-6)
    torch.testing.assert_close(parts[1], whole[1], rtol=1e-5, atol=1e-9)


def test_other_terms_are_averaged_by_their_parts_normalisers() -> None:
    logits, target = draw(frames=3)
    target[0, 4:] = 255
    for options in (only(dice=1.0), only(lovasz=1.0), LossOptions(ohem_keep=0.2)):
        objective = Objective(options, 4)
        cuts = [slice(0, 1), slice(1, 3)]
        values = [value(options, logits[cut], target[cut]) for cut in cuts]
        shares = [float(objective.normalizer(target[cut])) for cut in cuts]
        found, _ = gradients(objective, logits, target, cuts)
        assert found == pytest.approx(np.average(values, weights=shares), rel=1e-6)


def test_all_void_is_zero_with_zero_gradient() -> None:
    logits, target = draw(void=2.0)
    leaf = logits.clone().requires_grad_()
    parts = Objective(ALL, 4)(leaf, {"left": leaf[:, :, :2]}, target)
    loss = parts.mean()
    loss.backward()
    assert loss.item() == 0
    assert float(parts.normalizer) == 0
    assert all(float(term) == 0 for term in parts.terms.values())
    assert leaf.grad is not None
    assert not leaf.grad.any()


def test_single_class_image() -> None:
    logits, target = draw()
    target[target != 255] = 3
    labelled = target != 255
    p = enlarged(logits, target).softmax(1)[:, 3][labelled]
    assert value(LossOptions(), logits, target) == pytest.approx(float(-p.log().mean()), rel=1e-6)
    assert value(only(dice=1.0), logits, target) == pytest.approx(float(1 - 2 * p.sum() / (p.sum() + len(p))))
    # Every pixel is of the class: the Jaccard loss is the share of wrong pixels, and its extension their mean.
    assert value(only(lovasz=1.0), logits, target) == pytest.approx(float((1 - p).mean()), rel=1e-6)


def test_every_term_has_a_true_gradient() -> None:
    logits, target = draw(frames=1, classes=3)
    heads = {"left": logits[:, :, :2].clone()}
    objective = Objective(LossOptions(dice=0.5, lovasz=0.7, label_smoothing=0.1, auxiliary=(0.4,)), 3)
    assert torch.autograd.gradcheck(
        lambda x, y: objective(x, {"left": y}, target).mean(),
        (logits.requires_grad_(), heads["left"].requires_grad_()),
        atol=1e-4,
    )


def test_low_precision_logits_are_computed_in_float32() -> None:
    logits, target = draw()
    low = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = value(ALL, low, target)
    assert found == pytest.approx(value(ALL, low.double(), target), rel=1e-5)


# --- refusals


def test_contradictory_options_name_the_option() -> None:
    with pytest.raises(OptionError, match=r"loss\.ohem_keep is 0.*keeps no pixel"):
        LossOptions(ohem_keep=0.0)
    with pytest.raises(OptionError, match=r"loss\.ohem_keep.*loss\.cross_entropy"):
        LossOptions(cross_entropy=0.0, dice=1.0, ohem_keep=0.2)
    with pytest.raises(OptionError, match="all 0"):
        LossOptions(cross_entropy=0.0)
    with pytest.raises(OptionError, match=r"loss\.dice is nan"):
        LossOptions(dice=float("nan"))
    with pytest.raises(OptionError, match=r"loss\.label_smoothing is 1"):
        LossOptions(label_smoothing=1.0)
    with pytest.raises(OptionError, match=r"loss\.class_weights"):
        LossOptions(class_weights=(0.0, 0.0))


def test_what_does_not_fit_the_network_is_refused() -> None:
    logits, target = draw()
    with pytest.raises(OptionError, match="3 class weights were given for 4 classes"):
        Objective(LossOptions(), 4, torch.ones(3))
    with pytest.raises(OptionError, match=r"loss\.auxiliary.*left"):
        Objective(LossOptions(auxiliary=(1.0, 0.5)), 4)(logits, {"left": logits}, target)
    target[0, 0, 0] = 31
    for options in (LossOptions(), only(dice=1.0), only(lovasz=1.0)):
        with pytest.raises(DataError, match=r"id 31.*classes 0 to 3"):
            Objective(options, 4)(logits, {}, target)


@pytest.mark.parametrize("name", ["boundary", "detail"])
def test_a_head_for_edges_learns_them_by_its_own_loss(name):
    label = torch.zeros(2, 32, 48, dtype=torch.uint8)
    label[:, :, 20:] = 1
    label[:, :6] = 255
    wanted = {"boundary": boundaries, "detail": details}[name](label)
    assert wanted.any()
    assert not wanted[:, :6].any()
    assert not wanted[:, 12:, :16].any()  # far from the other class, near or far from ignored pixels
    objective = Objective(LossOptions(cross_entropy=1), 2, None, {"edges": name})
    logits = torch.zeros(2, 2, 4, 6, requires_grad=True)

    def value(head):
        return objective(logits, {"edges": head.unsqueeze(1)}, label).mean()

    good = torch.where(wanted, 8.0, -8.0)
    assert value(good) < value(torch.zeros_like(good)) < value(-good)
    other = good.clone()
    other[:, :6] = 3  # ignored pixels do not count
    torch.testing.assert_close(value(other), value(good))
    ignored = objective(logits, {"edges": good.unsqueeze(1)}, torch.full_like(label, 255))
    assert ignored.sum == 0
