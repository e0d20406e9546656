"""The clip initializer: a pose read off a frame's keypoints and those a moment before and after.

Five frames over four tenths of a second, all seen by the middle one's virtual camera: how points move tells
near from far, and what is hidden in one frame is seen in another. The network is the initializer's with a
longer input; learned by ``python -m lsr1_solver.training clip_initializer``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .arrays import Array, namespace
from .camera import plane_in_view, turn_to_points
from .errors import FitError
from .initializer import decoded, read_initializer, run_network
from .initializer_input import INPUT_SIZE, SLOTS, centre_and_spread, input_features

CLIP_INITIALIZER = Path(__file__).resolve().parents[1] / "assets" / "clip_initializer.npz"
# Seconds from the frame to its neighbours, and how far from there a neighbour may be.
OFFSETS = (-0.2, -0.1, 0.1, 0.2)
TOLERANCE = 0.05
CLIP_INPUT_SIZE = INPUT_SIZE + len(OFFSETS) * 5 * SLOTS
# Of a neighbour's points, in units of the person's spread: farther is no person's motion.
_FARTHEST = 8.0


@dataclass(frozen=True, eq=False)
class ClipInitializer:
    """The network's weights, and how far its answers are from the truth, both as in `Initializer`."""

    weights: Mapping[str, np.ndarray]
    covariance: np.ndarray
    metadata: Mapping[str, object]

    def predict(
        self,
        target: np.ndarray,
        confidence: np.ndarray,
        turn: np.ndarray,
        frame_rate: float,
        asked: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """A first pose and shape for the frames ``asked`` [F] of one take of T, all of them without.

        ``target`` [T, 25, 2] and ``confidence`` [T, 25] are arranged by `arrange_input`, each frame on the
        image plane of its own virtual camera; ``turn`` [T, 3, 3] goes from axes that all frames share to
        those of each virtual camera; ``frame_rate`` hertz. A point of confidence 0 has no say. Returns the
        rotations [F, 24, 3, 3], the root's in the axes of each frame's virtual camera, the others' in their
        parents', and the betas [F, 10].
        """
        if target.shape[1:] != (SLOTS, 2) or not len(target) == len(confidence) == len(turn):
            raise FitError(
                f"The clip initializer takes {SLOTS} points a frame, arranged by arrange_input, and a turn: "
                f"not {list(target.shape)}, {list(confidence.shape)} and {list(turn.shape)}"
            )
        known = (confidence > 0) & np.isfinite(target).all(axis=-1)
        seen = known.astype(np.float32)
        plane = np.where(known[..., None], target, 0.0).astype(np.float32)
        middle = np.arange(len(target)) if asked is None else asked
        own, points = turn_to_points(plane[middle], seen[middle])
        frames, there = neighbours(len(target), frame_rate, middle)
        near_seen = seen[frames] * there[..., None]
        # From a neighbour's virtual camera by the common axes to the one that looks at the middle frame.
        common = turn.astype(np.float32)
        across = (own @ common[middle])[:, None] @ np.swapaxes(common, -1, -2)[frames]
        near = plane_in_view(across, plane[frames], near_seen)
        answer = run_network(self.weights, clip_features(points, seen[middle], near, near_seen))
        rotations, betas = decoded(answer, own)
        return rotations.astype(np.float64), betas.astype(np.float64)


def neighbours(count: int, frame_rate: float, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frames nearest to `OFFSETS` from frames ``middle`` [F] of ``count``, and whether there are any.

    -> [F, 4] frame numbers and [F, 4] bool.
    """
    wished = np.array(OFFSETS) * frame_rate
    step = np.round(wished).astype(int)
    usable = (np.abs(step - wished) <= TOLERANCE * frame_rate) & (step != 0)
    frames = middle[:, None] + step
    there = usable & (frames >= 0) & (frames < count)
    return np.clip(frames, 0, count - 1), there


def clip_features(plane: Array, seen: Array, near: Array, near_seen: Array) -> Array:
    """The network's input, on numpy or torch.

    ``plane`` [B, 25, 2] and ``seen`` [B, 25] as for `input_features`; ``near`` [B, 4, 25, 2] the neighbours'
    points on the same image plane, and ``near_seen`` [B, 4, 25]. -> [B, CLIP_INPUT_SIZE]: the middle frame's
    features; of each neighbour the points in the middle frame's units, which are seen, and their way.
    """
    xp = namespace(plane)
    centre, spread = centre_and_spread(plane, seen)
    points = (plane - centre) / spread
    there = near_seen[..., None]
    near = xp.clip((near - centre[:, None]) / spread[:, None], -_FARTHEST, _FARTHEST) * there
    way = (near - points[:, None]) * there * seen[:, None, :, None]
    batch = (plane.shape[0], -1)
    parts = [input_features(plane, seen), *(xp.reshape(a, batch) for a in (near, near_seen, way))]
    return xp.concat(parts, axis=1)


@cache
def load_clip_initializer(path: Path = CLIP_INITIALIZER) -> ClipInitializer:
    """Read a clip initializer; without a path, the one that comes with the product.

    Raises FitError where the file is missing, damaged, no clip initializer, or one for other keypoints.
    """
    return ClipInitializer(*read_initializer(path, CLIP_INPUT_SIZE))
