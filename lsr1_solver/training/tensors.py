"""The solver's array functions as functions of tensors: to a type checker an `Array` is numpy's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from .. import camera, clip_initializer, initializer_input, rotation

if TYPE_CHECKING:
    import numpy as np


def axis_angle_to_matrix(omega: torch.Tensor) -> torch.Tensor:
    """`rotation.axis_angle_to_matrix`."""
    return cast("torch.Tensor", rotation.axis_angle_to_matrix(cast("np.ndarray", omega)))


def six_d_to_matrix(d6: torch.Tensor) -> torch.Tensor:
    """`rotation.six_d_to_matrix`."""
    return cast("torch.Tensor", rotation.six_d_to_matrix(cast("np.ndarray", d6)))


def input_features(plane: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """`initializer_input.input_features`."""
    features = initializer_input.input_features(cast("np.ndarray", plane), cast("np.ndarray", seen))
    return cast("torch.Tensor", features)


def turn_to_points(plane: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`camera.turn_to_points`."""
    turned = camera.turn_to_points(cast("np.ndarray", plane), cast("np.ndarray", seen))
    return cast("tuple[torch.Tensor, torch.Tensor]", turned)


def plane_in_view(turn: torch.Tensor, plane: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """`camera.plane_in_view`."""
    arrays = (cast("np.ndarray", a) for a in (turn, plane, seen))
    return cast("torch.Tensor", camera.plane_in_view(*arrays))


def clip_features(
    plane: torch.Tensor, seen: torch.Tensor, near: torch.Tensor, near_seen: torch.Tensor
) -> torch.Tensor:
    """`clip_initializer.clip_features`."""
    arrays = (cast("np.ndarray", a) for a in (plane, seen, near, near_seen))
    return cast("torch.Tensor", clip_initializer.clip_features(*arrays))
