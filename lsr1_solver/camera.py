"""The pinhole camera, and the virtual camera in which a fit is done.

Camera axes are those of Blender and OpenGL: x right, y up, the camera looks along -z. Pixels have their
origin at the top left corner of the picture, x right, y down; the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import radians, tan

import numpy as np

from .arrays import Array, at_least, constant, namespace
from .errors import FitError
from .rotation import cross_matrix

_EYE, _AHEAD = np.eye(3), np.array([0.0, 0.0, -1.0])
# From v to v x AHEAD.
_ACROSS_AHEAD = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])

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
            raise FitError(f"The focal length must be a positive number of pixels, not {self.focal_length}")
        if min(self.image_size) <= 0:
            raise FitError(f"The image size must be positive, not {self.image_size[0]}x{self.image_size[1]}")

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
        raise FitError(f"Lens and sensor width must be positive millimetres, not {lens} and {sensor_width}")
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
    return turn_to_points(np.where((seen > 0)[..., None], plane, 0.0), (seen > 0).astype(plane.dtype))


def turn_to_points(plane: Array, seen: Array) -> tuple[Array, Array]:
    """`virtual_view` on numpy or torch.

    ``plane`` [B, K, 2] image-plane coordinates, finite everywhere; ``seen`` [B, K] 1 or 0. Returns the
    rotation [B, 3, 3] to the camera that looks along the mean seen ray, and the points on its image plane, 0
    where not seen.
    """
    xp = namespace(plane)
    rays = xp.concat([plane, -xp.ones_like(plane[..., :1])], axis=-1)
    unit = rays * (seen / xp.sqrt(xp.sum(rays * rays, axis=-1)))[..., None]
    mean = xp.sum(unit, axis=1)
    length = xp.sqrt(xp.sum(mean * mean, axis=-1))[:, None]
    # Nothing seen is seen straight ahead.
    ray = xp.where(length > 0, mean, constant(_AHEAD, mean)) / xp.where(length > 0, length, 1 + length)
    # The smallest rotation that takes the ray straight ahead, about the axis that is across both.
    K = cross_matrix(ray @ constant(_ACROSS_AHEAD, mean))
    turn = constant(_EYE, mean) + K + K @ K / (1 - ray[:, 2, None, None])
    return turn, plane_in_view(turn, plane, seen)


def plane_in_view(turn: Array, plane: Array, seen: Array) -> Array:
    """Points on the image plane of a camera that is turned by ``turn``, 0 where not seen.

    ``turn`` [..., 3, 3]; ``plane`` [..., K, 2] on the image plane before, finite everywhere; ``seen``
    [..., K]. -> [..., K, 2].
    """
    xp = namespace(plane)
    rays = xp.concat([plane, -xp.ones_like(plane[..., :1])], axis=-1)
    turned = rays @ xp.matrix_transpose(turn)
    # A ray more than 90 degrees off the mean cannot be on one person.
    depth = at_least(-turned[..., 2:], 1e-6)
    return turned[..., :2] / depth * seen[..., None]
