"""The network of both published baselines, in torch: what trains."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import nn

from tests.bench.published import network_sizes

DROPOUT = 0.2


class PublishedNetwork(nn.Module):
    """Both papers' block: linear layers with batch norm, parametric ReLU and dropout.

    LGD adds each pair of inner layers to what it read and gives every layer a slope of its own; L-SR1 shares
    the slope within a pair and adds nothing.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, residual: bool) -> None:
        super().__init__()
        sizes = network_sizes(inputs, hidden, outputs)
        self.residual = residual
        self.linear = nn.ModuleList(nn.Linear(*size) for size in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in sizes[:-1])
        slopes = [nn.PReLU() for _ in sizes[:-1]]
        if not residual:
            slopes[2], slopes[4] = slopes[1], slopes[3]
        self.slopes = nn.ModuleList(slopes)
        self.dropout = nn.Dropout(DROPOUT)

    def _layer(self, index: int, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.slopes[index](self.norms[index](self.linear[index](x))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self._layer(0, x)
        for first in range(1, len(self.slopes), 2):
            inner = self._layer(first + 1, self._layer(first, h))
            h = h + inner if self.residual else inner
        return self.linear[-1](h)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """As `published.from_arrays` reads it: batch norm folded in."""
        found: dict[str, np.ndarray] = {}
        for index, module in enumerate(self.linear):
            linear = cast("nn.Linear", module)
            weight, bias = linear.weight.detach().double(), linear.bias.detach().double()
            if index < len(self.norms):
                norm = cast("nn.BatchNorm1d", self.norms[index])
                assert norm.running_mean is not None and norm.running_var is not None
                factor = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
                weight, bias = (
                    weight * factor[:, None],
                    (bias - norm.running_mean) * factor + norm.bias.detach(),
                )
                slope = cast("nn.PReLU", self.slopes[index]).weight.detach()
                found[f"{name}.{index}.slope"] = slope.numpy()[0]
            # Bytes, each column in units of its own: energies change by a thousandth.
            unit = weight.abs().amax(dim=1) / 127
            rounded = torch.round(weight / unit[:, None])
            found[f"{name}.{index}.weight"] = rounded.T.numpy().astype(np.int8)
            found[f"{name}.{index}.unit"] = unit.numpy().astype(np.float32)
            found[f"{name}.{index}.bias"] = bias.numpy().astype(np.float32)
        return found
