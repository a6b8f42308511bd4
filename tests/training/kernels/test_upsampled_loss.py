"""The strip-wise loss against torch's own enlargement and cross-entropy."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aaff.errors import DataError
from aaff.training.kernels.upsampled_loss import _plain_cross_entropy, upsampled_cross_entropy, upsampled_nll


def draw(
    shape: tuple[int, int, int, int], size: tuple[int, int], void: float = 0.2, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits float64, label uint8 with void, class weights."""
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(shape, generator=generator, dtype=torch.float64)
    target = torch.randint(0, shape[1], (shape[0], *size), generator=generator, dtype=torch.uint8)
    target[torch.rand(target.shape, generator=generator) < void] = 255
    weight = 0.5 + torch.rand(shape[1], generator=generator, dtype=torch.float64)
    return logits, target, weight


def expected(logits: Tensor, target: Tensor, weight: Tensor | None, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Sum and gradient as torch computes them at label size."""
    logits = logits.detach().clone().requires_grad_()
    large = F.interpolate(logits, target.shape[1:], mode="bilinear", align_corners=False)
    total = F.cross_entropy(large, target.long(), weight, ignore_index=255, reduction="sum", label_smoothing=smoothing)
    total.backward()
    assert logits.grad is not None
    return total.detach(), logits.grad


def ours(
    logits: Tensor, target: Tensor, weight: Tensor | None, smoothing: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    logits = logits.detach().clone().requires_grad_()
    total, divisor = upsampled_cross_entropy(logits, target, weight, label_smoothing=smoothing)
    total.backward()
    assert logits.grad is not None
    return total.detach(), divisor, logits.grad


@settings(max_examples=40)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.sampled_from([0.0, 0.1, 0.6]),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_size_equals_torch_at_label_size(
    shape: tuple[int, int, int, int], size: tuple[int, int], smoothing: float, weighted: bool, seed: int
) -> None:
    logits, target, weights = draw(shape, size, seed=seed)
    weight = weights if weighted else None
    total, gradient = expected(logits, target, weight, smoothing)
    found, divisor, found_gradient = ours(logits, target, weight, smoothing)
    torch.testing.assert_close(found, total, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found_gradient, gradient, rtol=1e-10, atol=1e-10)
    counted = target[target != 255].long()
    torch.testing.assert_close(
        divisor, (weights[counted].sum() if weighted else torch.tensor(1.0 * len(counted)).double())
    )


@pytest.mark.parametrize(("height", "width"), [(357, 473), (360, 480)])
def test_real_sizes_in_float32_agree_to_rounding(height: int, width: int) -> None:
    logits, target, weight = draw((2, 11, -(-height // 4), -(-width // 4)), (height, width))
    total, gradient = expected(logits, target, weight)
    found, _, found_gradient = ours(logits.float(), target, weight.float())
    assert found.dtype == found_gradient.dtype == torch.float32
    torch.testing.assert_close(found.double(), total, rtol=1e-6, atol=0)
    assert (found_gradient - gradient).abs().max() < 1e-5 * gradient.abs().max()


def test_scale_one_needs_no_enlargement() -> None:
    logits, target, weight = draw((2, 4, 9, 11), (9, 11))
    total = F.cross_entropy(logits, target.long(), weight, ignore_index=255, reduction="sum")
    torch.testing.assert_close(ours(logits, target, weight)[0], total)


def test_gradient_agrees_with_differences_of_the_loss() -> None:
    logits, target, weight = draw((2, 3, 3, 4), (7, 9))
    logits.requires_grad_()
    for smoothing in (0.0, 0.2):
        assert torch.autograd.gradcheck(
            lambda x, s=smoothing: upsampled_cross_entropy(x, target, weight, label_smoothing=s)[0], logits
        )


def test_all_void_is_zero_with_zero_gradient() -> None:
    logits, target, weight = draw((2, 4, 3, 3), (12, 12), void=2.0)
    for smoothing in (0.0, 0.1):
        total, divisor, gradient = ours(logits, target, weight, smoothing)
        assert total == 0
        assert divisor == 0
        assert not gradient.any()


def test_void_frame_beside_a_labelled_one_changes_nothing() -> None:
    logits, target, weight = draw((2, 4, 3, 3), (12, 12))
    target[1] = 255
    both, alone = ours(logits, target, weight), ours(logits[:1], target[:1], weight)
    assert both[0] == alone[0]
    assert both[1] == alone[1]
    assert torch.equal(both[2][:1], alone[2])
    assert not both[2][1].any()


def test_far_apart_logits_stay_finite() -> None:
    logits = torch.tensor([0.0, 3e4, -3e4]).view(1, 3, 1, 1).expand(1, 3, 2, 2).contiguous()
    target = torch.full((1, 8, 8), 2, dtype=torch.uint8)
    total, divisor, gradient = ours(logits, target, None)
    assert total / divisor == 6e4
    assert gradient.isfinite().all()


def test_other_ignore_ids_and_int64_labels() -> None:
    logits, target, weight = draw((2, 4, 3, 3), (12, 12))
    reference = ours(logits, target, weight)[0]
    for ignore in (-100, 4, 255):
        ids = torch.where(target == 255, ignore, target.long())
        assert upsampled_cross_entropy(logits, ids, weight, ignore=ignore)[0] == reference


def test_memory_format_and_autocast_do_not_matter() -> None:
    logits, target, weight = draw((2, 5, 6, 7), (23, 28))
    logits, weight = logits.float(), weight.float()
    reference = ours(logits, target, weight)
    with torch.autocast("cpu", torch.bfloat16):
        found = ours(logits.to(memory_format=torch.channels_last), target, weight)
    assert found[0].dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(reference, found, strict=True))


def test_half_precision_logits_get_a_half_precision_gradient() -> None:
    logits, target, weight = draw((2, 5, 6, 7), (23, 28))
    low = logits.bfloat16()
    total, _, gradient = ours(low, target, weight)
    reference, reference_gradient = expected(low.double(), target, weight)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(total.double(), reference, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient.double(), reference_gradient, rtol=1e-2, atol=1e-6)


def test_threads_do_not_change_a_bit() -> None:
    logits, target, weight = draw((3, 11, 30, 40), (120, 160))
    logits, weight = logits.float(), weight.float()
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            results.append(ours(logits, target, weight, 0.1))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], result, strict=True))


def test_without_gradient_the_loss_is_the_same() -> None:
    logits, target, weight = draw((2, 5, 6, 7), (23, 28))
    reference = ours(logits, target, weight)[0]
    with torch.no_grad():
        assert upsampled_cross_entropy(logits.requires_grad_(), target, weight)[0] == reference
    with torch.inference_mode():
        assert upsampled_cross_entropy(logits.clone(), target, weight)[0] == reference
    assert ours(logits, target, weight)[0] == reference  # nothing kept from inference mode stands in the way


def test_pixel_losses_equal_torch() -> None:
    logits, target, _ = draw((2, 5, 6, 7), (23, 28))
    large = F.interpolate(logits, (23, 28), mode="bilinear", align_corners=False)
    reference = F.cross_entropy(large, target.long(), ignore_index=255, reduction="none")
    torch.testing.assert_close(upsampled_nll(logits, target), reference)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_an_id_that_is_no_class_is_named(dtype: torch.dtype) -> None:
    target = torch.zeros(1, 4, 4, dtype=dtype)
    target[0, 1, 1] = 31
    with pytest.raises(DataError, match=r"id 31.*classes 0 to 10"):
        upsampled_cross_entropy(torch.zeros(1, 11, 1, 1), target)


def test_shapes_that_do_not_fit_are_shown() -> None:
    with pytest.raises(DataError, match=r"\[2, 3, 4, 4\].*\[1, 16, 16\]"):
        upsampled_cross_entropy(torch.zeros(2, 3, 4, 4), torch.zeros(1, 16, 16, dtype=torch.uint8))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_form_for_accelerators_gives_the_same(smoothing: float) -> None:
    logits, target, weight = draw((2, 5, 6, 7), (23, 28))
    leaf = logits.clone().requires_grad_()
    total, divisor = _plain_cross_entropy(leaf, target, weight, smoothing)
    total.backward()
    for found, expected_value in zip(
        (total.detach(), divisor, leaf.grad), ours(logits, target, weight, smoothing), strict=True
    ):
        torch.testing.assert_close(found, expected_value)
