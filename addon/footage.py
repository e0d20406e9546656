"""Blender's camera as the solver's: the only place where pixels and pixel origins convert.

The solver's pixels are square, with their origin at the top left. Pixels of a picture may be wider than high;
``View`` stretches between the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Matrix

from ..lsr1_solver import Camera, FitError, project
from ..lsr1_solver.rotation import rotation_between
from .overlay_data import Frame
from .timing import LAST_FRAME

_STRAIGHT = 1e-5


@dataclass(frozen=True, eq=False)
class View:
    """A camera of the scene, for a picture.

    ``camera`` the solver's, in square pixels; ``stretch`` their number along y for one pixel of the picture
    (along x they are the same); ``to_world`` [4, 4] the camera's place.
    """

    camera: Camera
    stretch: float
    to_world: Matrix

    def to_square(self, xy: np.ndarray) -> np.ndarray:
        """Pixels of the picture [..., 2] to the solver's."""
        return xy * np.array([1.0, self.stretch])

    def to_picture(self, xy: np.ndarray) -> np.ndarray:
        """The solver's pixels [..., 2] to the picture's."""
        return xy / np.array([1.0, self.stretch])


def render_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """Width and height of what the scene renders, pixels."""
    render = scene.render
    share = render.resolution_percentage / 100
    return max(1, int(render.resolution_x * share)), max(1, int(render.resolution_y * share))


def scene_view(
    scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, picture: tuple[int, int] | None = None
) -> View:
    """The scene's camera for a picture that fills its frame; ``picture`` is its size (None: the render's).

    FitError where the scene has no camera, or one that is no perspective camera.
    """
    obj = scene.camera
    if obj is None or obj.type != "CAMERA":
        raise FitError("The scene has no camera: add one (Add > Camera), or press Open Picture")
    return view_of(obj, scene, depsgraph, picture)


def view_of(
    obj: bpy.types.Object,
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph,
    picture: tuple[int, int] | None = None,
) -> View:
    """What a camera object sees in a scene's render, as it is in a depsgraph.

    Blender's own projection matrix knows lens, sensor fit, shift and pixel aspect. FitError where it is no
    perspective camera.
    """
    if obj.data.type != "PERSP":
        raise FitError(f"{obj.name} is not a perspective camera: change its type in the camera's properties")
    width, height = render_size(scene)
    projection = np.array(
        obj.calc_matrix_camera(
            depsgraph,
            x=width,
            y=height,
            scale_x=scene.render.pixel_aspect_x,
            scale_y=scene.render.pixel_aspect_y,
        )
    )
    wide, high = picture or (width, height)
    # Normalised device coordinates are (P X + offset Z) / -Z, from -1 to 1 over the frame.
    focal = projection[0, 0] * wide / 2, projection[1, 1] * high / 2
    centre = (1 - projection[0, 2]) * wide / 2, (1 + projection[1, 2]) * high / 2
    stretch = float(focal[0] / focal[1])
    if abs(stretch - 1) < _STRAIGHT:
        stretch = 1.0
    camera = Camera(
        float(focal[0]),
        np.array([centre[0], centre[1] * stretch]),
        (wide, max(1, round(high * stretch))),
        lens_in_words(obj.data),
    )
    return View(camera, stretch, obj.matrix_world.copy())


def camera_frame(
    scene: bpy.types.Scene, region: bpy.types.Region, view: bpy.types.RegionView3D, size: tuple[int, int]
) -> Frame | None:
    """Where the camera's picture of this size is in a region; None outside the camera view."""
    camera = scene.camera
    if view.view_perspective != "CAMERA" or camera is None or camera.type != "CAMERA":
        return None
    corners = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=scene)]
    ends = [location_3d_to_region_2d(region, view, corner) for corner in corners]
    if any(end is None for end in ends):
        return None
    flat = np.array(ends)
    low, high = flat.min(axis=0), flat.max(axis=0)
    if min(high - low) <= 0:
        return None
    return Frame(low[0], high[1], (high[0] - low[0]) / size[0], (high[1] - low[1]) / size[1])


def lens_in_words(data: bpy.types.Camera) -> str:
    """The lens as the camera's panel shows it: "35.0 mm lens on a 36.0 mm sensor"."""
    sensor = data.sensor_height if data.sensor_fit == "VERTICAL" else data.sensor_width
    return f"{data.lens:.1f} mm lens on a {sensor:.1f} mm sensor"


def project_world(view: View, points: np.ndarray) -> np.ndarray:
    """Where points of the world [K, 3] are in the picture, pixels [K, 2]; NaN behind the camera."""
    world = np.array(view.to_world, dtype=float)
    axes = world[:3, :3] / np.linalg.norm(world[:3, :3], axis=0)
    inside = (points - world[:3, 3]) @ axes
    return view.to_picture(project(view.camera, inside[None])[0])


def moving_picture(scene: bpy.types.Scene) -> bpy.types.CameraBackgroundImage | None:
    """What is behind the scene's camera, where it is a movie or a sequence of images; what Open Picture put
    there comes first.
    """
    return _behind(scene, moves)


def picture_behind(scene: bpy.types.Scene) -> bpy.types.CameraBackgroundImage | None:
    """What is behind the scene's camera, moving or not; where several are, as ``moving_picture`` chooses."""
    return moving_picture(scene) or _behind(scene, lambda background: True)


def _behind(
    scene: bpy.types.Scene, is_wanted: Callable[[bpy.types.CameraBackgroundImage], bool]
) -> bpy.types.CameraBackgroundImage | None:
    """The first of the wanted pictures, and one of Open Picture before all others."""
    if scene.camera is None or scene.camera.type != "CAMERA":
        return None
    there = [b for b in scene.camera.data.background_images if content(b) is not None and is_wanted(b)]
    ours = [b for b in there if content(b).name == scene.lsr1.picture]
    return next(iter(ours or there), None)


def content(
    background: bpy.types.CameraBackgroundImage,
) -> bpy.types.MovieClip | bpy.types.Image | None:
    """The clip or image that a background shows."""
    return background.clip if background.source == "MOVIE_CLIP" else background.image


def moves(background: bpy.types.CameraBackgroundImage) -> bool:
    """Whether a background shows a movie or a sequence of images."""
    return background.source == "MOVIE_CLIP" or background.image.source in _MOVING


_MOVING = ("SEQUENCE", "MOVIE")


def scene_frame_of(background: bpy.types.CameraBackgroundImage, number: int) -> int:
    """The scene frame at which a moving picture shows the frame that a keypoint file calls ``number``.

    Images of a sequence are found by their number; frames of a movie, and keypoint files that are numbered on
    their own, are counted from the first, which is 0 or 1. Numbers beyond the timeline count nothing.
    """
    counted = max(number, 1) - 1 if number <= LAST_FRAME else 0
    if background.source == "MOVIE_CLIP":
        clip = background.clip
        first = number_in_name(clip.filepath) if clip.source == "SEQUENCE" else None
        counted = number - first if first is not None and number >= first else counted
        return clip.frame_start - clip.frame_offset + counted
    user = background.image_user
    if background.image.source == "SEQUENCE":
        # An image user without an offset shows the file with number 1 in its first frame.
        inside = user.frame_offset < number <= user.frame_offset + user.frame_duration
        counted = number - 1 if inside else user.frame_offset + counted
    return user.frame_start - user.frame_offset + counted


def frames_before(scene: bpy.types.Scene, number: int) -> int:
    """How many frames of the video come before the one that a keypoint file calls ``number``."""
    background = moving_picture(scene)
    if background is None:
        return max(number, 1) - 1
    first = scene_frame_of(background, shown_numbers(background)[0])
    return scene_frame_of(background, number) - first


def shown_numbers(background: bpy.types.CameraBackgroundImage) -> range:
    """The numbers, as ``scene_frame_of`` takes them, of all frames of a moving picture.

    Those of a movie count from 1; an image of a sequence has the one in its name.
    """
    if background.source == "MOVIE_CLIP":
        clip = background.clip
        first = number_in_name(clip.filepath) if clip.source == "SEQUENCE" else None
        first = 1 if first is None else first
        return range(first, first + clip.frame_duration)
    if background.image.source == "SEQUENCE":
        first = background.image_user.frame_offset + 1
        return range(first, first + background.image_user.frame_duration)
    return range(1, 1 + background.image.frame_duration)


def number_in_name(path: str) -> int | None:
    """The number at the end of a file's name: 1001 of shot_1001.png."""
    digits = re.search(r"(\d+)$", Path(path).stem)
    return int(digits[1]) if digits else None


def floor_turn(up: np.ndarray, lowest: np.ndarray) -> Matrix:
    """The move of the world that makes ``up`` [3] its +Z and brings the height of ``lowest`` [N, 3] to 0."""
    turn = rotation_between(up, np.array([0.0, 0.0, 1.0]))
    move = np.eye(4)
    move[:3, :3] = turn
    # About the middle of the points: what stands there stays there.
    middle = lowest.mean(axis=0)
    move[:3, 3] = middle - turn @ middle
    move[2, 3] -= (lowest @ turn.T)[:, 2].min() + move[2, 3]
    return Matrix(move)
