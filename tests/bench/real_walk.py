"""The sample walk: each camera fitted alone, compared with the points triangulated from all four.

PA-MPJPE is over BODY_25B's 25 keypoints and all frames; the shape is one for the clip.
"""

import time

import numpy as np

from lsr1_solver import MINIMIZERS, Camera, FitProblem, fit_pose, keypoints_2d, load_body_model
from lsr1_solver.keypoints import BODY_25B
from tests.bench.metrics import pa_mpjpe_mm
from tests.bench.table import Row, options, show
from tests.bench.walk_sample import load_walk, triangulate


def walk_row(camera: int, frames: slice, method: str) -> Row:
    """Fit one camera's keypoints and compare."""
    sample = load_walk()
    calibrated = sample.cameras[camera]
    seen = sample.undistorted()[camera, frames]
    keypoints = keypoints_2d(seen[..., :2], seen[..., 2], BODY_25B, image_size=calibrated.image_size)
    focal = float(np.sqrt(calibrated.intrinsics[0, 0] * calibrated.intrinsics[1, 1]))
    pinhole = Camera(focal, calibrated.intrinsics[:2, 2], calibrated.image_size)
    problem = FitProblem(load_body_model(), pinhole, keypoints)
    began = time.perf_counter()
    state = fit_pose(problem, MINIMIZERS[method], one_shape=True)
    seconds = time.perf_counter() - began
    truth = calibrated.to_camera_axes(triangulate(sample).points[frames]) * [1.0, -1.0, -1.0]
    return {
        "camera": calibrated.name,
        "method": method,
        "frames": len(keypoints),
        "pa_mpjpe_mm": float(np.mean(pa_mpjpe_mm(state.points, truth))),
        "reprojection_pixels": float(np.nanmean(state.reprojection_error)),
        "reprojection_percent": state.reprojection_percent,
        "ms": 1e3 * seconds / len(keypoints),
    }


def main() -> None:
    """Print the table."""
    chosen = options(__doc__)
    frames = slice(0, None, 10 if chosen.quick else 1)
    rows = [walk_row(c, frames, m) for m in ("lm", "lbfgs") for c in range(4)]
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
