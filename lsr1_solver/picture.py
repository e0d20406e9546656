"""A picture of a fit: the shaded body, the keypoints and where the body puts them. Needs OpenCV."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .body_model import skin
from .camera import project
from .errors import FitError
from .fit_state import FitState
from .opencv import require_opencv

BACKGROUND, BODY, SEEN, BODY_POINT, RESIDUAL = (
    (40, 40, 40),
    (200, 205, 215),
    (80, 220, 80),
    (60, 60, 240),
    (0, 200, 255),
)  # BGR
# Sub-pixel bits of OpenCV's drawing calls.
_SHIFT = 4


def check_ending(path: Path) -> None:
    """Raise FitError for a file name whose ending is no picture's, and without OpenCV."""
    require_opencv()
    import cv2

    if not cv2.haveImageWriter(str(path)):
        raise FitError(f"{path}: no picture format has the ending {path.suffix!r}; .png and .jpg do")


def draw_fit(path: Path, state: FitState, frame: int) -> None:
    """Write a picture of one frame as the camera sees it.

    Keypoints are green, the body's own red, their differences yellow. Raises FitError without OpenCV, for a
    file name whose ending is no picture's, and where the picture can't be written.
    """
    check_ending(path)
    import cv2

    problem = state.view.problem
    width, height = problem.camera.image_size
    canvas = np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
    vertices = skin(problem.body, state.pose.frames(frame))[0]
    for corners, shade in _visible_faces(state, vertices, frame):
        colour = [int(shade * c) for c in BODY]
        cv2.fillConvexPoly(canvas, corners, colour, cv2.LINE_8, _SHIFT)
    radius = max(2, round(state.person_height[frame] / 150))
    keypoints = problem.keypoints
    for k in np.flatnonzero(np.isfinite(state.reprojection_error[frame])):
        seen, own = (_pixel(p) for p in (keypoints.xy[frame, k], state.reprojected[frame, k]))
        cv2.line(canvas, seen, own, RESIDUAL, max(1, radius // 2), cv2.LINE_AA, _SHIFT)
        cv2.circle(canvas, own, radius << _SHIFT, BODY_POINT, -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(canvas, seen, radius << _SHIFT, SEEN, -1, cv2.LINE_AA, _SHIFT)
    written, data = cv2.imencode(path.suffix, canvas)
    if not written:
        raise FitError(f"{path}: OpenCV cannot write this picture as {path.suffix!r}; .png and .jpg work")
    path.write_bytes(data.tobytes())


def _pixel(point: np.ndarray) -> tuple[int, int]:
    """Fixed point coordinates for OpenCV, whose pixel centres are whole numbers where ours are at .5."""
    x, y = np.round((point - 0.5) * (1 << _SHIFT)).astype(int)
    return int(x), int(y)


def _visible_faces(state: FitState, vertices: np.ndarray, frame: int) -> list[tuple[np.ndarray, float]]:
    """Corners in fixed-point pixels and shade of the faces turned to the camera, the farthest first."""
    problem = state.view.problem
    faces = problem.body.faces
    triangles = vertices[faces]
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    middle = triangles.mean(axis=1)
    facing = (np.sum(normal * middle, axis=1) < 0) & (triangles[..., 2].max(axis=1) < 0)
    shade = 0.35 + 0.65 * np.clip(normal @ np.array([0.3, 0.5, 0.81]), 0.0, 1.0)
    camera = problem.camera.frame(frame)
    pixels = project(camera, vertices[None])[0]
    corners = np.round((pixels[faces] - 0.5) * (1 << _SHIFT))
    order = np.argsort(-np.linalg.norm(middle, axis=1))
    return [(corners[i].astype(np.int32), float(shade[i])) for i in order if facing[i]]
