"""Training in one process, or in several under torchrun.

Every process draws the same random numbers for the whole batch and works on its own rows, and the gradients
are averaged: the number of processes changes a result by rounding alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import torch
import torch.distributed

from ..errors import FitError


@dataclass(frozen=True)
class Processes:
    """This process, ``rank``, among ``count``."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and progress."""
        return self.rank == 0

    def rows(self, batch: int) -> slice:
        """This process's rows of a batch. FitError where the batch does not divide evenly."""
        if batch % self.count:
            raise FitError(f"a batch of {batch} cannot be shared among {self.count} processes evenly")
        share = batch // self.count
        return slice(self.rank * share, (self.rank + 1) * share)

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace the tensors by their mean over the processes."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        parts = torch.split(flat / self.count, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def wait(self) -> None:
        """Until every process has come here."""
        if self.count > 1:
            torch.distributed.barrier()


@contextmanager
def join_processes() -> Iterator[Processes]:
    """The group that torchrun has started, or this process alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield Processes()
        return
    torch.distributed.init_process_group("gloo")
    try:
        yield Processes(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()


def leave(code: int) -> NoReturn:
    """End one of several processes at once, all its files being written.

    Left the ordinary way, a process of a gloo group now and then aborts after its last line, in the threads
    that torch still holds ("terminate called without an active exception"), and torchrun counts it as failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
