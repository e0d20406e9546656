"""The initializer: a small network from a person's keypoints to a first pose and shape.

A residual multilayer perceptron on the keypoints of a virtual camera (`initializer_input`); it answers with
every joint's rotation in camera axes as two columns (Zhou et al., CVPR 2019) and the shape. Learned by
``python -m lsr1_solver.training initializer``; here it runs on numpy alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from .body_model import JOINT_COUNT, SMPL_PARENTS
from .camera import turn_to_points
from .errors import FitError
from .initializer_input import INPUT_LANDMARKS, INPUT_SIZE, SLOTS, input_features
from .kinematics import BETAS_START
from .rotation import six_d_to_matrix
from .weight_files import read_npz

INITIALIZER = Path(__file__).resolve().parents[1] / "assets" / "initializer.npz"
SHAPE_COUNT = 10
OUTPUT_SIZE = 6 * JOINT_COUNT + SHAPE_COUNT
ERROR_SIZE = BETAS_START + SHAPE_COUNT
NORM_EPSILON = 1e-5


@dataclass(frozen=True, eq=False)
class Initializer:
    """The network's weights, and how far its answers are from the truth.

    ``weights`` by name: ``input.*``, for each block n ``n.norm.*``, ``n.wide.*``, ``n.back.*``, then
    ``norm.*`` and ``output.*``; matrices are [out, in], as in torch. ``covariance`` [P, P] of the error on
    people it was not trained on: 24 rotation vectors omega with R_true = exp([omega]x) R_predicted in the
    parents' frames, radians; the pelvis from where `starts.closed_form_place` puts the predicted body, across
    the view in metres and along it as a share of the distance; the betas. ``metadata`` says how and from what
    it was learned.
    """

    weights: Mapping[str, np.ndarray]
    covariance: np.ndarray
    metadata: Mapping[str, object]

    @cached_property
    def root(self) -> np.ndarray:
        """The covariance's Cholesky factor: its first rows and columns are that of the covariance's first."""
        return np.linalg.cholesky(self.covariance)

    @property
    def blocks(self) -> int:
        """The number of residual blocks."""
        return _block_count(self.weights)

    def predict(self, target: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A first pose and shape for B people.

        ``target`` [B, 25, 2] points of INPUT_LANDMARKS on a camera's image plane (see
        `PersonView.target` and `arrange_input`); ``confidence`` [B, 25], 0 where a point is missing, which
        then has no say. Returns the rotations [B, 24, 3, 3], the root's in that camera's axes, the others'
        in their parents', and the betas [B, 10]. Raises FitError for arrays of other shapes.
        """
        if target.shape[1:] != (SLOTS, 2) or confidence.shape != target.shape[:2]:
            raise FitError(
                f"The initializer takes {SLOTS} points, arranged by arrange_input: [B, {SLOTS}, 2] and "
                f"[B, {SLOTS}], not {list(target.shape)} and {list(confidence.shape)}"
            )
        known = (confidence > 0) & np.isfinite(target).all(axis=-1)
        seen = known.astype(np.float64)
        # Points beyond these slots may have turned the camera elsewhere: the answer must not depend on it.
        turn, plane = turn_to_points(np.where(known[..., None], target, 0.0), seen)
        features = input_features(plane, seen).astype(np.float32)
        answer = self.network(features).astype(np.float64)
        return decoded(answer, turn)

    def network(self, features: np.ndarray) -> np.ndarray:
        """The network alone. [B, INPUT_SIZE] float32 -> [B, OUTPUT_SIZE]."""
        return run_network(self.weights, features)


def decoded(answer: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a network's answer [B, OUTPUT_SIZE] means: rotations [B, 24, 3, 3] and betas [B, 10].

    The root's rotation is in the axes that ``turn`` [B, 3, 3] takes to the network's; the others' are in
    their parents'.
    """
    world = six_d_to_matrix(answer[:, : 6 * JOINT_COUNT].reshape(-1, JOINT_COUNT, 6))
    rotations = np.empty_like(world)
    rotations[:, 0] = np.swapaxes(turn, -1, -2) @ world[:, 0]
    rotations[:, 1:] = np.swapaxes(world[:, SMPL_PARENTS[1:]], -1, -2) @ world[:, 1:]
    return rotations, answer[:, 6 * JOINT_COUNT :]


def run_network(weights: Mapping[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    """The residual network of ``weights`` (see `Initializer`). [B, F] -> [B, OUTPUT_SIZE]."""

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        # Sums by hand: numpy's mean costs one person more than the products do.
        x = x - np.add.reduce(x, axis=-1, keepdims=True) / x.shape[-1]
        x = x / np.sqrt(np.add.reduce(x * x, axis=-1, keepdims=True) / x.shape[-1] + NORM_EPSILON)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    h = linear("input", features)
    for block in range(_block_count(weights)):
        h = h + linear(f"{block}.back", _silu(linear(f"{block}.wide", norm(f"{block}.norm", h))))
    return linear("output", _silu(norm("norm", h)))


def _silu(x: np.ndarray) -> np.ndarray:
    # Clipped where exp would overflow single precision; the value there is 0 to the last digit.
    return x / (1 + np.exp(-np.maximum(x, -80)))


def _block_count(names: Mapping[str, np.ndarray]) -> int:
    return sum(name.endswith(".wide.weight") for name in names)


@cache
def load_initializer(path: str | Path = INITIALIZER) -> Initializer:
    """Read an initializer; without a path, the one that comes with the product.

    Raises FitError where the file is missing, damaged, no initializer, or one for other keypoints.
    """
    return Initializer(*read_initializer(Path(path), INPUT_SIZE))


def read_initializer(
    path: Path, inputs: int
) -> tuple[Mapping[str, np.ndarray], np.ndarray, Mapping[str, object]]:
    """Weights, covariance and metadata of a network of so many ``inputs``; FitError as `load_initializer`."""
    arrays = read_npz(path, "initializer")
    try:
        metadata = json.loads(str(arrays.pop("metadata")))
        covariance = arrays.pop("covariance").astype(np.float64)
        landmarks = [str(name) for name in arrays.pop("landmarks")]
    except (KeyError, ValueError, TypeError) as error:
        raise FitError(
            f"{path} is no initializer: metadata, covariance and landmarks are needed ({error})"
        ) from None
    if landmarks != list(INPUT_LANDMARKS):
        raise FitError(f"{path} is an initializer for other keypoints: it must be learned again")
    _check(path, arrays, covariance, inputs)
    weights = {name: array.astype(np.float32) for name, array in arrays.items()}
    return weights, covariance, metadata


def weight_shapes(width: int, blocks: int, inputs: int = INPUT_SIZE) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a network's weights."""
    layers = {"input": (inputs, width), "output": (width, OUTPUT_SIZE)}
    for block in range(blocks):
        layers |= {f"{block}.wide": (width, width), f"{block}.back": (width, width)}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (inner, outer) in layers.items():
        shapes |= {f"{name}.weight": (outer, inner), f"{name}.bias": (outer,)}
    for norm in ("norm", *(f"{block}.norm" for block in range(blocks))):
        shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    return shapes


def _check(path: Path, weights: Mapping[str, np.ndarray], covariance: np.ndarray, inputs: int) -> None:
    width = weights["input.bias"].size if "input.bias" in weights else 0
    for name, shape in weight_shapes(width, _block_count(weights), inputs).items():
        found = weights.get(name)
        if found is None:
            raise FitError(f"{path} is no initializer, or is damaged: it lacks the weights {name}")
        if found.shape != shape or found.dtype.kind != "f" or not np.isfinite(found).all():
            raise FitError(f"{path}: the weights {name} must be finite numbers of shape {list(shape)}")
    if covariance.shape != (ERROR_SIZE, ERROR_SIZE) or not np.isfinite(covariance).all():
        raise FitError(f"{path}: covariance must be finite numbers of shape {[ERROR_SIZE, ERROR_SIZE]}")
    if np.abs(covariance - covariance.T).max() > 1e-6 or np.linalg.eigvalsh(covariance)[0] <= 0:
        raise FitError(f"{path}: covariance must be symmetric and positive definite")
