"""Data-parallel training with several processes, started by ``torchrun``.

Every process has a copy of the network and takes its share of each batch.  Three sums over all processes make the
result equal to that of one process up to rounding: of the normaliser of the loss, of the gradients, and of the batch
norm statistics.  If a process dies, the next sum fails in all others, and they stop with an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from aaff.errors import AaffError, OptionError

_T = TypeVar("_T")
NetworkT = TypeVar("NetworkT", bound=nn.Module)

PATIENCE = 600.0
"""Timeout in seconds after which another process counts as lost."""


class LostProcessError(AaffError):
    """Another process of the training ended or does not respond."""


@dataclass(frozen=True)
class Group:
    """The process group of a training run, as seen by one process; the default is a single process.

    Attributes:
        rank: number of this process.
        world: number of processes.
        local_rank: number of this process on its host; it uses the GPU of that number.
        local_world: number of processes on this host, which share its cores.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place; the result is bitwise identical on each of them."""
        if self.world > 1:
            with _others():
                dist.all_reduce(tensor)
        return tensor

    def any(self, condition: bool) -> bool:
        """Whether the condition holds in any process."""
        return condition if self.world == 1 else bool(self.sum(torch.tensor([int(condition)])) > 0)

    def share(self, value: _T) -> _T:
        """Broadcast the main process's ``value`` to all processes."""
        if self.world == 1:
            return value
        box = [value]
        with _others():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def share_weights(self, net: nn.Module) -> None:
        """Broadcast the main process's weights to all processes."""
        if self.world == 1:
            return
        with _others(), torch.no_grad():
            for tensor in net.state_dict().values():
                plain = tensor.contiguous()  # messages have no strides
                dist.broadcast(plain, src=0)
                tensor.copy_(plain)

    def sum_gradients(self, net: nn.Module) -> None:
        """Sum the gradients of all processes, in one message."""
        if self.world == 1:
            return
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        flat = self.sum(torch.cat([g.reshape(-1) for g in gradients]))
        parts = torch.split(flat, [g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))


@contextmanager
def _others() -> Iterator[None]:
    """Turn communication errors into a readable error about a lost process."""
    try:
        yield
    except RuntimeError as error:  # gloo and NCCL have no specific error type
        reason = " ".join(str(error).split())[:200]
        raise LostProcessError(
            f"another process of this training ended or does not respond ({reason}); its own message says why; "
            "what is on disk is complete: start all processes again with --resume"
        ) from error


def join(patience: float = PATIENCE) -> Group:
    """Join the process group if this process was started by ``torchrun``; later calls do nothing.

    Args:
        patience: seconds after which a process that does not respond counts as lost.

    Raises:
        OptionError: the environment variables of torchrun are incomplete.
        AaffError: the other processes cannot be reached.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or not dist.is_available():
        return Group()
    try:
        rank = int(os.environ["RANK"])
        group = Group(rank, world, int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"]))
    except KeyError as error:
        raise OptionError(
            f"WORLD_SIZE is {world}, but {error} is not set; start several processes with torchrun"
        ) from error
    if not dist.is_initialized():
        gpu = torch.cuda.is_available()
        if gpu:
            torch.cuda.set_device(group.local_rank % torch.cuda.device_count())
        try:
            dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=timedelta(seconds=patience))
        except (RuntimeError, ValueError) as error:
            raise AaffError(f"the {world} processes of this training did not find each other: {error}") from error
    return group


def leave() -> None:
    """Leave the process group, if there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Synchronised batch norm over all processes on a CPU, which torch's own does not support."""

    group: Group

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        y, mean, variance, count = _Normalize.apply(x, self.weight, self.bias, self.eps, self.group)  # type: ignore[no-untyped-call]
        unbiased = variance * (count / (count - 1).clamp_(min=1)).to(variance.dtype)
        for kept, seen in ((self.running_mean, mean), (self.running_var, unbiased)):
            cast(Tensor, kept).lerp_(seen, cast(float, self.momentum))
        cast(Tensor, self.num_batches_tracked).add_(1)
        normalized: Tensor = y
        return normalized


class _Normalize(torch.autograd.Function):
    """y = weight · (x − mean) / √(variance + eps) + bias with the statistics of all processes' x.

    Local sums are computed by torch's kernels and added in float64, where Σ x² − (Σ x)² / n loses no precision.  The
    gradient needs the sums of g and of g · x̂ over all processes (S. Ioffe and C. Szegedy, "Batch Normalization",
    section 3); the gradients of weight and bias stay local and are summed together with all others.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor, eps: float, group: Group
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        zeros, ones = torch.zeros_like(weight), torch.ones_like(weight)
        local_mean, local_variance = torch.ops.aten.batch_norm_update_stats(x, zeros, ones, 0.1)
        number = torch.tensor([x.numel() // x.shape[1]], dtype=torch.float64)
        local_mean, local_variance = local_mean.double(), local_variance.double()
        sums = torch.cat([local_mean * number, (local_variance + local_mean**2) * number, number])
        first, second, count = torch.split(group.sum(sums), [len(weight), len(weight), 1])
        mean = first / count
        variance = (second / count - mean**2).clamp_(min=0)
        mean, variance = mean.to(weight.dtype), variance.to(weight.dtype)
        y = torch.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, eps)[0]
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps, ctx.group = eps, group  # type: ignore[attr-defined]
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor, *_: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, weight, mean, variance, count = ctx.saved_tensors  # type: ignore[attr-defined]
        eps, group = ctx.eps, ctx.group  # type: ignore[attr-defined]
        d_x, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, None, None, False, eps, [True, True, True]
        )
        total_bias, total_weight = group.sum(torch.cat([d_bias, d_weight]).double()).chunk(2)
        inverse = (variance.double() + eps).rsqrt()
        scale = weight.double() * inverse / count
        slope = scale * inverse * total_weight
        offset = scale * total_bias - slope * mean.double()
        shape = (1, -1, 1, 1)
        d_x.addcmul_(x, slope.to(x.dtype).view(shape), value=-1).sub_(offset.to(x.dtype).view(shape))
        return d_x, d_weight, d_bias, None, None


def share_batch_norm(net: NetworkT, group: Group, device: str) -> NetworkT:
    """Synchronise every batch norm of ``net`` over all processes; names and values do not change.

    This uses ``SharedBatchNorm2d`` on a CPU, and torch's ``SyncBatchNorm`` on a GPU.
    """
    if group.world == 1:
        return net
    if device != "cpu":
        shared: NetworkT = nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-untyped-call]
        return shared
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d
            module.group = group  # type: ignore[assignment]
    return net
