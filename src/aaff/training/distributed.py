"""Several processes that train one network: what ``torchrun`` starts works as one.

Every process holds the whole network and takes its share of each batch.  Three sums make the result that
of one process up to rounding: of the normaliser of the loss, of the gradients, and of the statistics of
batch norm.  A process that dies shows in the next sum of all others, as an error that they end with.
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
"""Seconds to wait for another process before it counts as lost."""


class LostProcessError(AaffError):
    """Another process of the training ended or does not respond."""


@dataclass(frozen=True)
class Group:
    """The processes of a training, as one of them sees them; the default is a process alone.

    Attributes:
        rank: number of this process.
        world: number of processes.
        local_rank: number of this process on its host; it takes the GPU of that number.
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
        """The sum over all processes, in place; the same bits on each of them."""
        if self.world > 1:
            with _others():
                dist.all_reduce(tensor)
        return tensor

    def any(self, condition: bool) -> bool:
        """Whether the condition holds in any process."""
        return condition if self.world == 1 else bool(self.sum(torch.tensor([int(condition)])) > 0)

    def share(self, value: _T) -> _T:
        """What the main process has for ``value``, on every process."""
        if self.world == 1:
            return value
        box = [value]
        with _others():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def share_weights(self, net: nn.Module) -> None:
        """Give every process the main one's weights."""
        if self.world == 1:
            return
        with _others(), torch.no_grad():
            for tensor in net.state_dict().values():
                plain = tensor.contiguous()  # messages know no strides
                dist.broadcast(plain, src=0)
                tensor.copy_(plain)

    def sum_gradients(self, net: nn.Module) -> None:
        """Add up the gradients of all processes, in one message."""
        if self.world == 1:
            return
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        flat = self.sum(torch.cat([g.reshape(-1) for g in gradients]))
        parts = torch.split(flat, [g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))


@contextmanager
def _others() -> Iterator[None]:
    """Say in one sentence that another process is lost."""
    try:
        yield
    except RuntimeError as error:  # gloo and NCCL have no kind of their own for it
        reason = " ".join(str(error).split())[:200]
        raise LostProcessError(
            f"another process of this training ended or does not respond ({reason}); its own message says why; "
            "what is on disk is complete: start all processes again with --resume"
        ) from error


def join(patience: float = PATIENCE) -> Group:
    """Find the other processes that ``torchrun`` started, if it did; calling it again changes nothing.

    Args:
        patience: seconds after which a process that does not respond counts as lost.

    Raises:
        OptionError: what torchrun sets is incomplete.
        AaffError: the others cannot be reached.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or not dist.is_available():
        return Group()
    try:
        rank = int(os.environ["RANK"])
        group = Group(rank, world, int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"]))
    except KeyError as error:
        raise OptionError(
            f"WORLD_SIZE is {world}, but {error} is not set; start several processes by torchrun"
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
    """Part from the other processes, if there are any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, on a CPU (torch's own refuses there)."""

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

    Local sums are taken by torch's own kernels and added up in float64, where Σ x² − (Σ x)² / n loses
    nothing.  The gradient needs the sums of g and of g · x̂ over all processes, as S. Ioffe and C. Szegedy,
    "Batch Normalization", section 3, has it; those of weight and bias stay local, to be added up with all
    other gradients.
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
    """Let every batch norm of ``net`` see the batches of all processes; names and values stay.

    On a CPU that is ``SharedBatchNorm2d``, on a GPU torch's ``SyncBatchNorm``.
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
