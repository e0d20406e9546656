"""The pinhole camera, and the virtual camera in which a fit is done.

Camera axes are those of Blender and OpenGL: x right, y up, the camera looks along -z. Pixels have their
origin at the top left corner of the picture, x right, y down; the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import radians, tan

import numpy as np

from .errors import FitError
from .rotation import rotation_between

DEFAULT_FIELD_OF_VIEW = 50.0  # degrees, over the longer side: between a phone's and a normal lens's


@dataclass(frozen=True, eq=False)
class Camera:
    """An ideal pinhole camera with square pixels.

    ``focal_length`` pixels, one number or one a frame [B]; ``principal_point`` pixels, [2] or [B, 2];
    ``image_size`` (width, height) in pixels. ``source`` says in words where the focal length comes from.

    Raises FitError where the focal length or the image size is not positive.
    """

    focal_length: float | np.ndarray
    principal_point: np.ndarray
    image_size: tuple[int, int]
    source: str = "given"

    def __post_init__(self) -> None:
        focal = np.asarray(self.focal_length)
        if not (np.all(np.isfinite(focal)) and np.all(focal > 0)):
            raise FitError(f"the focal length must be a positive number of pixels, not {self.focal_length}")
        if min(self.image_size) <= 0:
            raise FitError(f"the image size must be positive, not {self.image_size[0]}x{self.image_size[1]}")

    def frame(self, index: int) -> Camera:
        """The camera of one frame."""
        focal, centre = np.ravel(self.focal_length), np.reshape(self.principal_point, (-1, 2))
        chosen = float(focal[index if len(focal) > 1 else 0])
        return replace(self, focal_length=chosen, principal_point=centre[index if len(centre) > 1 else 0])

    def frames(self, index: np.ndarray | slice) -> Camera:
        """The camera of some frames, one a frame where it is one a frame here."""
        focal, centre = self.focal_length, self.principal_point
        focal = np.ravel(focal)[index] if np.size(focal) > 1 else focal
        centre = centre[index] if np.ndim(centre) > 1 else centre
        return replace(self, focal_length=focal, principal_point=centre)

    @property
    def field_of_view(self) -> float:
        """Over the longer side of the picture, degrees (the first frame's, where frames differ)."""
        focal = float(np.ravel(self.focal_length)[0])
        return float(np.degrees(2 * np.arctan(max(self.image_size) / 2 / focal)))


def camera_from_focal(focal_length: float, image_size: tuple[int, int]) -> Camera:
    """A camera with its principal point in the middle of the picture; ``focal_length`` in pixels.

    ``image_size`` (width, height) in pixels. Raises FitError where a number is not positive.
    """
    return Camera(focal_length, np.array(image_size) / 2, image_size)


def camera_from_lens(lens: float, image_size: tuple[int, int], *, sensor_width: float = 36.0) -> Camera:
    """A camera from its lens in mm and the width in mm of the sensor along the longer side of the picture.

    36 mm is the full frame that "35 mm equivalent" lens figures refer to. ``image_size`` (width, height) in
    pixels. Raises FitError where a number is not positive.
    """
    if lens <= 0 or sensor_width <= 0:
        raise FitError(f"lens and sensor width must be positive millimetres, not {lens} and {sensor_width}")
    focal = lens / sensor_width * max(image_size)
    source = f"{lens:g} mm lens on a {sensor_width:g} mm sensor"
    return Camera(focal, np.array(image_size) / 2, image_size, source)


def default_camera(image_size: tuple[int, int]) -> Camera:
    """The camera assumed when nothing is known: 50 degrees over the longer side; its ``source`` says so.

    ``image_size`` (width, height) in pixels. Raises FitError where it is not positive.
    """
    focal = max(image_size) / 2 / tan(radians(DEFAULT_FIELD_OF_VIEW) / 2)
    source = f"assumed: {DEFAULT_FIELD_OF_VIEW:g} degree field of view"
    return Camera(focal, np.array(image_size) / 2, image_size, source)


def _per_frame(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    focal = np.asarray(camera.focal_length, dtype=float).reshape(-1, 1, 1)
    return focal, np.asarray(camera.principal_point, dtype=float).reshape(-1, 1, 2)


def project(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Pixels of points in camera axes.

    ``points`` [B, K, 3] metres -> [B, K, 2] pixels; points at or behind the camera give NaN.
    """
    focal, centre = _per_frame(camera)
    depth = np.where(points[..., 2:] < 0, -points[..., 2:], np.nan)
    return centre + focal * points[..., :2] * np.array([1.0, -1.0]) / depth


def image_plane(camera: Camera, xy: np.ndarray) -> np.ndarray:
    """Pixels to the image plane at distance 1: ``(x, y) / -z`` of the points that project there.

    ``xy`` [B, K, 2] pixels -> [B, K, 2], y up.
    """
    focal, centre = _per_frame(camera)
    return (xy - centre) * np.array([1.0, -1.0]) / focal


def virtual_view(plane: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn the camera to look at the person: the same pose at the picture's edge is the same problem.

    ``plane`` [B, K, 2] image-plane coordinates, ``seen`` [B, K] weights >= 0. Returns the rotation [B, 3, 3]
    from camera axes to the virtual camera's, which looks along the mean visible ray, and the keypoints on
    its image plane [B, K, 2].
    """
    rays = np.concatenate([plane, -np.ones_like(plane[..., :1])], axis=-1)
    unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    mean = np.sum(unit * (seen > 0)[..., None], axis=1)
    mean = np.where(np.any(seen > 0, axis=1)[:, None], mean, [0.0, 0.0, -1.0])
    turn = rotation_between(mean, np.array([0.0, 0.0, -1.0]))
    turned = rays @ np.swapaxes(turn, -1, -2)
    # A ray more than 90 degrees off the mean cannot be on one person; unseen points may be anywhere.
    depth = np.maximum(-turned[..., 2:], 1e-6)
    return turn, np.where((seen > 0)[..., None], turned[..., :2] / depth, 0.0)
