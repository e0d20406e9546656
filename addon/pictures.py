"""Open Picture: an image or a movie behind the camera, the render size and the lens that go with it."""

from __future__ import annotations

import re
from math import radians
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from ..lsr1_solver import FitError
from ..lsr1_solver.camera import DEFAULT_FIELD_OF_VIEW
from .exif import Exif, read_exif, upright
from .footage import lens_in_words, moving_picture, number_in_name, scene_frame_of
from .keypoint_store import frame_count, has_keypoints, scale
from .movie_turn import show_turned, turns_left
from .timing import exact_rate, first_scene_frame

_EYE_HEIGHT, _DISTANCE = 1.2, 4.0  # metres: where a new camera stands
_LARGEST_NUMBER = 2**31 - 1


def open_picture(context: bpy.types.Context, path: str, *, sequence: bool = False) -> str:
    """Show a file behind the scene's camera, in its size; the render size becomes the picture's.

    With ``sequence`` the file is one of a clip's numbered images: file 1001 is shown at frame 1001. A scene
    without a camera gets one. The focal length is set where the file says it, and the keypoints' frames
    follow a moving picture. Returns what was done, in words. FitError where the file can't be read.
    """
    scene = context.scene
    file = Path(bpy.path.abspath(path))
    if not file.is_file():
        raise FitError(f"There is no file {file}")
    exif = Exif()
    if sequence:
        first, number = _first_of_sequence(file)
        shown: bpy.types.Image | bpy.types.MovieClip = _load_clip(first)
        shown.frame_start = first_scene_frame(number, shown.frame_duration)
    elif file.suffix.lower() in bpy.path.extensions_movie:
        shown = _load_clip(file)
    else:
        exif = read_exif(file)
        shown = _load_image(file, exif.orientation)
    size = int(shown.size[0]), int(shown.size[1])
    if isinstance(shown, bpy.types.MovieClip) and turns_left(file) % 2:
        size = size[1], size[0]
    said = [f"{file.name} is {size[0]} x {size[1]}"]
    if scene.camera is None:
        add_camera(context)
        said.append("a camera was added")
    before = scene.render.resolution_x, scene.render.resolution_y
    if set_render_size(scene, size):
        said.append(f"the render size was {before[0]} x {before[1]}")
    keypoints = scene.lsr1.keypoints
    if keypoints.size_is_assumed:
        if keypoints.are_fractions and has_keypoints(scene):
            scale(scene, size)
        keypoints.size, keypoints.size_is_assumed = size, False
    camera = scene.camera.data
    _show_behind(scene, camera, shown)
    source = "as it was"
    if exif.lens is not None:
        camera.sensor_fit, camera.sensor_width, camera.lens = "AUTO", exif.sensor, exif.lens
        source = "from the photo"
    said.append(f"{lens_in_words(camera)} ({source})")
    if start_with_picture(scene) and frame_count(scene) > 1:
        said.append(f"the keypoints begin at frame {keypoints.start_frame}")
    return "; ".join(said)


def start_with_picture(scene: bpy.types.Scene) -> bool:
    """Show the keypoints at the frames of the moving picture behind the camera, and take its rate.

    Whether there is such a picture; where there is none, nothing changes.
    """
    background = moving_picture(scene)
    if background is None:
        return False
    held = scene.lsr1.keypoints
    held.start_frame = scene_frame_of(background, held.first_number)
    if background.source == "MOVIE_CLIP" and background.clip.source == "MOVIE" and background.clip.fps > 0:
        held.frame_rate = exact_rate(background.clip.fps)
    return True


def add_camera(context: bpy.types.Context) -> bpy.types.Object:
    """A level camera at eye height that looks along +Y, with a lens between a phone's and a normal one."""
    data = bpy.data.cameras.new("LSR1 Camera")
    data.angle = radians(DEFAULT_FIELD_OF_VIEW)
    camera = bpy.data.objects.new("LSR1 Camera", data)
    context.scene.collection.objects.link(camera)
    camera.location = context.scene.cursor.location + Vector((0.0, -_DISTANCE, _EYE_HEIGHT))
    camera.rotation_euler = radians(90), 0.0, 0.0
    context.scene.camera = camera
    context.view_layer.update()
    return camera


def set_render_size(scene: bpy.types.Scene, size: tuple[int, int]) -> bool:
    """Render in this size, with square pixels; whether that is new."""
    render = scene.render
    wanted = (*size, 100, 1.0, 1.0)
    now = (
        render.resolution_x,
        render.resolution_y,
        render.resolution_percentage,
        render.pixel_aspect_x,
        render.pixel_aspect_y,
    )
    render.resolution_x, render.resolution_y = size
    render.resolution_percentage, render.pixel_aspect_x, render.pixel_aspect_y = 100, 1.0, 1.0
    return now != wanted


def _load_clip(file: Path) -> bpy.types.MovieClip:
    try:
        clip = bpy.data.movieclips.load(str(file), check_existing=True)
    except RuntimeError as error:
        raise FitError(f"{file.name} can't be opened as a movie: {error}") from error
    if min(clip.size) <= 0:
        bpy.data.movieclips.remove(clip)
        raise FitError(f"{file.name} can't be opened as a movie: Blender finds no picture in it")
    return clip


def _first_of_sequence(file: Path) -> tuple[Path, int]:
    """The image with the lowest number among those that are named like ``file``, and that number.

    FitError where there is no number, or one at which Blender finds no image.
    """
    name = re.fullmatch(r"(.*?)(\d+)", file.stem, re.DOTALL)
    if name is None:
        raise FitError(f"{file.name} has no number at the end of its name: choose one image of a sequence")
    pattern = re.compile(re.escape(name[1]) + r"\d+" + re.escape(file.suffix))
    alike = [path for path in file.parent.iterdir() if pattern.fullmatch(path.name)]
    number, first = min((number_in_name(path.name) or 0, path) for path in alike)
    if number > _LARGEST_NUMBER:
        raise FitError(f"Blender can't count as far as {number}: give the images shorter numbers")
    return first, number


def _load_image(file: Path, orientation: int) -> bpy.types.Image:
    try:
        image = bpy.data.images.load(str(file), check_existing=True)
    except RuntimeError as error:
        raise FitError(f"{file.name} can't be opened as an image: {error}") from error
    if min(image.size) <= 0:
        bpy.data.images.remove(image)
        raise FitError(f"{file.name} can't be opened as an image: Blender finds no picture in it")
    return image if orientation == 1 else _turned(image, orientation)


def _turned(image: bpy.types.Image, orientation: int) -> bpy.types.Image:
    """A copy of a photo with its pixels upright, kept in the .blend file: Blender ignores the orientation."""
    width, height = image.size
    pixels = np.empty(width * height * 4, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    # Blender's rows begin at the bottom.
    turned = upright(pixels.reshape(height, width, 4)[::-1], orientation)[::-1]
    copy = bpy.data.images.new(f"{image.name} upright", turned.shape[1], turned.shape[0])
    copy.colorspace_settings.name = image.colorspace_settings.name
    copy.pixels.foreach_set(np.ascontiguousarray(turned).ravel())
    copy.update()
    copy.pack()
    if not image.users:
        bpy.data.images.remove(image)
    return copy


def _show_behind(
    scene: bpy.types.Scene, camera: bpy.types.Camera, shown: bpy.types.Image | bpy.types.MovieClip
) -> None:
    """Put the picture behind the camera, in the place of the last one that was opened here."""
    backgrounds = camera.background_images
    names = {scene.lsr1.picture}
    ours = [b for b in backgrounds if (b.image or b.clip) and (b.image or b.clip).name in names]
    background = ours[0] if ours else backgrounds.new()
    if isinstance(shown, bpy.types.MovieClip):
        background.source, background.clip, background.image = "MOVIE_CLIP", shown, None
        turns = turns_left(Path(bpy.path.abspath(shown.filepath)))
    else:
        background.source, background.image, background.clip = "IMAGE", shown, None
        turns = 0
    show_turned(background, turns)
    background.alpha, background.display_depth, background.frame_method = 1.0, "BACK", "FIT"
    background.show_background_image = True
    camera.show_background_images = True
    scene.lsr1.picture = shown.name
