"""The sample walk: each camera fitted alone, compared with the points triangulated from all four.

PA-MPJPE is over BODY_25B's 25 keypoints and all frames; the shape is one for the clip. Times are processor
time a frame.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import time

import numpy as np

from lsr1_solver import (
    MINIMIZERS,
    Camera,
    FitProblem,
    Initializer,
    fit_pose,
    keypoints_2d,
    load_body_model,
    load_initializer,
)
from lsr1_solver.keypoints import BODY_25B
from tests.bench.metrics import pa_mpjpe_mm
from tests.bench.table import Row, options, show
from tests.bench.walk_sample import load_walk, triangulate


def walk_row(camera: int, frames: slice, method: str, initializer: Initializer | None) -> Row:
    """Fit one camera's keypoints and compare; without an initializer from the best of eight yaws."""
    sample = load_walk()
    calibrated = sample.cameras[camera]
    seen = sample.undistorted()[camera, frames]
    keypoints = keypoints_2d(seen[..., :2], seen[..., 2], BODY_25B, image_size=calibrated.image_size)
    focal = float(np.sqrt(calibrated.intrinsics[0, 0] * calibrated.intrinsics[1, 1]))
    pinhole = Camera(focal, calibrated.intrinsics[:2, 2], calibrated.image_size)
    problem = FitProblem(load_body_model(), pinhole, keypoints, initializer=initializer)
    began = time.process_time()
    state = fit_pose(problem, MINIMIZERS[method], one_shape=True)
    seconds = time.process_time() - began
    truth = calibrated.to_camera_axes(triangulate(sample).points[frames]) * [1.0, -1.0, -1.0]
    return {
        "camera": calibrated.name,
        "method": method,
        "start": "initializer" if initializer else "eight yaws",
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
    methods = (("lsr1", load_initializer()), ("lm", load_initializer()), ("lm", None))
    rows = [walk_row(c, frames, method, initializer) for method, initializer in methods for c in range(4)]
    show(rows, chosen.json)


if __name__ == "__main__":
    main()
