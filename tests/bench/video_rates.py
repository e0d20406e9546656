"""The same motion filmed at several frame rates, and the real walk before each of its cameras."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from lsr1_solver import BodyModel, Camera, FitProblem, fit_pose, keypoints_2d, posed_joints
from lsr1_solver.fit_state import FitState
from lsr1_solver.keypoints import BODY_25B
from lsr1_solver.training.clip_problems import SyntheticClip
from tests.bench.metrics import acceleration_error_mm, mpjpe_mm, pa_mpjpe_mm
from tests.bench.smoothing import SavitzkyGolay
from tests.bench.table import Row
from tests.bench.video_methods import Method
from tests.bench.walk_sample import load_walk, triangulate

# A quarter of a second at the walk's 60 frames a second.
CALM = SavitzkyGolay(15, 2)
HIPS = [BODY_25B.names.index(f"{side}_hip") for side in ("left", "right")]


def rate_rows(
    body: BodyModel, clips: Sequence[SyntheticClip], method: Method, rates: Sequence[float]
) -> list[Row]:
    """How far the motions found at two rates are apart at the moments that both have seen.

    ``clips`` at a common rate, of which a slower camera sees one frame in so many; the faults, too, are those
    of the faster one.
    """
    apart: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for clip in clips:
        joints = {}
        for rate in rates:
            step = round(clip.frame_rate / rate)
            joints[rate] = (step, posed_joints(body, method.fit(body, clip.every(step))))
        for a, b in itertools.combinations(rates, 2):
            (first, ours), (second, theirs) = joints[a], joints[b]
            common = np.lcm(first, second)
            pair = [p[:: common // step] for p, step in ((ours, first), (theirs, second))]
            count = min(len(p) for p in pair)
            apart.setdefault((a, b), []).append(_apart(pair[0][:count], pair[1][:count]))
    return [_apart_row(f"{a:g} and {b:g}", found) for (a, b), found in apart.items()]


def shifted_row(body: BodyModel, clips: Sequence[SyntheticClip], method: Method, rate: float) -> Row:
    """How far the motions are apart that two cameras of one rate find, the one's frames midway between the
    other's: what comes of having seen other frames, whatever the rates.
    """
    apart = []
    for clip in clips:
        step = round(clip.frame_rate / rate)
        early, late = (
            posed_joints(body, method.fit(body, clip.every(step, first))) for first in (0, step // 2)
        )
        midway = 0.5 * (early[:-1] + early[1:])
        apart.append(_apart(midway, late[: len(midway)]))
    return _apart_row(f"{rate:g} and {rate:g}, half a frame later", apart)


def _apart(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Mean distance of joints [T, 24, 3], pelvis on pelvis and as they stand, mm."""
    return float(mpjpe_mm(ours, theirs).mean()), float(1e3 * np.linalg.norm(ours - theirs, axis=-1).mean())


def _apart_row(rates: str, found: Sequence[tuple[float, float]]) -> Row:
    return {
        "rates_hz": rates,
        "joints_apart_mm": float(np.mean([one[0] for one in found])),
        "median_mm": float(np.median([one[0] for one in found])),
        "with_place_mm": float(np.mean([one[1] for one in found])),
        "clips": len(found),
    }


def walk_rows(body: BodyModel) -> list[Row]:
    """Each camera of the sample walk alone, against the points triangulated from all four.

    Triangulated points tremble more than any fit: acceleration is compared with theirs after `CALM`.
    """
    sample = load_walk()
    truth = triangulate(sample).points
    rows: list[Row] = []
    for calibrated, seen in zip(sample.cameras, sample.undistorted(), strict=True):
        keypoints = keypoints_2d(seen[..., :2], seen[..., 2], BODY_25B, image_size=calibrated.image_size)
        focal = float(np.sqrt(calibrated.intrinsics[0, 0] * calibrated.intrinsics[1, 1]))
        camera = Camera(focal, calibrated.intrinsics[:2, 2], calibrated.image_size)
        expected = calibrated.to_camera_axes(truth) * [1.0, -1.0, -1.0]
        for name, rate in (("frame by frame, one shape", None), ("clip", sample.frame_rate)):
            state = fit_pose(FitProblem(body, camera, keypoints, frame_rate=rate), one_shape=rate is None)
            rows.append({"camera": calibrated.name, "method": name, **_walk_figures(state, expected)})
    return rows


def _walk_figures(state: FitState, expected: np.ndarray) -> dict[str, float]:
    ours, theirs = (_about_hips(points) for points in (state.points, CALM(without_gaps(expected))))
    return {
        "pa_mpjpe_mm": float(np.mean(pa_mpjpe_mm(state.points, expected))),
        "acceleration_mm": acceleration_error_mm(ours, theirs),
        "reprojection_percent": state.reprojection_percent,
    }


def _about_hips(points: np.ndarray) -> np.ndarray:
    """The points with the middle of the hips before them, as `acceleration_error_mm` wants a root."""
    return np.concatenate([points[:, HIPS].mean(axis=1, keepdims=True), points], axis=1)


def without_gaps(points: np.ndarray) -> np.ndarray:
    """[T, K, 3] with what is missing drawn in straight lines between its neighbours in time."""
    columns = points.reshape(len(points), -1).T
    frames = np.arange(len(points))
    filled = [np.interp(frames, frames[np.isfinite(c)], c[np.isfinite(c)]) for c in columns]
    return np.stack(filled, axis=1).reshape(points.shape)
