"""Over the frames of a clip: the scene's camera, its place and its lens, and bodies that are carried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..lsr1_solver import Camera, FitError
from .awake import awake
from .footage import View, view_of
from .keyframes import curves_there
from .rig import Y_UP_TO_Z_UP
from .timing import go_to_frame

# Metres or radians (and the same share of the focal length) by which a camera may move and stand still.
_STILL = 1e-6
# Properties of an object that put it somewhere.
_TRANSFORMS = ("location", "rotation_", "scale", "delta_", "matrix_", "parent")


@dataclass(frozen=True, eq=False)
class CameraPath:
    """A camera for B frames: ``camera`` the solver's, in square pixels, with a focal length a frame where the
    lens moves; ``to_world`` [B, 4, 4] its places where it moves, else [4, 4]; ``carried`` [B, 4, 4] the
    places of the armature that is looked at, where something moves it as a whole, else None.
    """

    camera: Camera
    to_world: np.ndarray
    carried: np.ndarray | None = None

    @property
    def moves(self) -> bool:
        """Whether the camera's place changes."""
        return self.to_world.ndim == 3

    def on(self, armature: bpy.types.Object) -> np.ndarray:
        """The camera's places as the armature's bones have them: where it would be if the armature stood all
        the time where it stands now. -> [B, 4, 4], or [4, 4] where nothing moves.
        """
        return relative_to(armature, self.carried, self.to_world)

    def still(self, row: int) -> CameraPath:
        """One of the frames as a picture of its own."""
        camera = self.camera.frames(slice(row, row + 1)) if self.moves else self.camera
        carried = None if self.carried is None else self.carried[row : row + 1]
        return CameraPath(camera, self.to_world[row] if self.moves else self.to_world, carried)

    def solver_places(self, scale: float) -> np.ndarray | None:
        """The camera's places as the solver wants them: y up, metres of the body, which is ``scale`` times
        its own size in the scene. -> [B, 4, 4]; None where the camera stands still.
        """
        if not self.moves:
            return None
        places = np.tile(np.eye(4), (len(self.to_world), 1, 1))
        axes = self.to_world[:, :3, :3]
        places[:, :3, :3] = Y_UP_TO_Z_UP.T @ (axes / np.linalg.norm(axes, axis=1, keepdims=True))
        places[:, :3, 3] = self.to_world[:, :3, 3] @ Y_UP_TO_Z_UP / scale
        return places


def camera_path(
    context: bpy.types.Context, view: View, frames: np.ndarray, armature: bpy.types.Object
) -> CameraPath:
    """The scene's camera at scene frames [B], fractions and all, and those that markers switch to; ``view``
    is what it sees now, ``armature`` the body that it looks at.

    The scene's own frame stays where it is: the camera is looked at in a scene of its own. FitError where the
    scene stretches time: keys then play at other frames than the picture's.
    """
    render = context.scene.render
    if len(frames) > 1 and render.frame_map_old != render.frame_map_new:
        raise FitError(
            "The scene stretches time, so keys would not play at the picture's frames: in the output "
            "properties, under Time Stretching, give Old and New the same number"
        )
    scene, carried = context.scene, carried_places(context.scene, armature, frames)
    switches = [marker for marker in scene.timeline_markers if marker.camera is not None]
    cameras = {scene.camera, *(marker.camera for marker in switches)}
    if len(cameras) == 1 and not _camera_may_move(scene.camera):
        return CameraPath(view.camera, np.array(view.to_world), carried)
    size = tuple(scene.lsr1.keypoints.size)
    with stage(scene, *cameras) as own:
        for marker in switches:
            own.timeline_markers.new(marker.name, frame=marker.frame).camera = marker.camera
        views = [_seen(own, frame, size) for frame in frames.tolist()]
    places = np.stack([np.array(one.to_world) for one in views])
    focal = np.array([one.camera.focal_length for one in views])
    centre = np.stack([one.camera.principal_point for one in views])
    camera = views[0].camera
    if np.ptp(focal) > _STILL * focal[0] or np.ptp(centre, axis=0).max() > _STILL * focal[0]:
        camera = replace(camera, focal_length=focal, principal_point=centre)
    return CameraPath(camera, places if np.ptp(places, axis=0).max() > _STILL else places[0], carried)


def carried_places(scene: bpy.types.Scene, thing: bpy.types.Object, frames: np.ndarray) -> np.ndarray | None:
    """An object's places in the world at scene frames [B]. -> [B, 4, 4]; None where it stands still."""
    if not _may_move(thing):
        return None
    places = []
    with stage(scene, thing) as own, awake(own, own.view_layers[0], thing):
        for frame in frames.tolist():
            go_to_frame(own, frame)
            places.append(np.array(thing.evaluated_get(own.view_layers[0].depsgraph).matrix_world))
    return np.array(places) if np.ptp(np.array(places), axis=0).max() > _STILL else None


def relative_to(armature: bpy.types.Object, carried: np.ndarray | None, to_world: np.ndarray) -> np.ndarray:
    """Places [4, 4] or [B, 4, 4] as they are beside an armature that is ``carried`` [B, 4, 4], put beside it
    where it stands now.
    """
    if carried is None:
        return to_world
    return np.array(armature.matrix_world) @ np.linalg.inv(carried) @ to_world


def _camera_may_move(camera: bpy.types.Object) -> bool:
    return camera.data.animation_data is not None or _may_move(camera)


def _may_move(thing: bpy.types.Object | None) -> bool:
    """Whether anything animates an object as a whole, or what it hangs on."""
    if thing is None:
        return False
    on_a_part = thing.parent is not None and thing.parent_type != "OBJECT"
    return on_a_part or may_move_itself(thing) or _may_move(thing.parent)


def may_move_itself(thing: bpy.types.Object) -> bool:
    """Whether keys, strips, drivers or constraints of its own may move an object; its bones do not count."""
    data = thing.animation_data
    if any(not constraint.mute for constraint in thing.constraints):
        return True
    if data is None:
        return False
    if any(not track.mute and len(track.strips) for track in data.nla_tracks):
        return True
    return any(
        curve.data_path.startswith(_TRANSFORMS) for curve in (*data.drivers, *(curves_there(thing) or ()))
    )


def check_free_to_move(thing: bpy.types.Object) -> None:
    """FitError where keys or constraints would put an object back."""
    if any(not constraint.mute for constraint in thing.constraints):
        raise FitError(f"{thing.name} has constraints, which would put it back: mute or apply them first")
    if may_move_itself(thing):
        raise FitError(
            f"{thing.name} is animated, so it can't be moved as a whole: parent it to an empty first"
        )


@contextmanager
def stage(scene: bpy.types.Scene, *things: bpy.types.Object) -> Iterator[bpy.types.Scene]:
    """A scene with nothing but these objects in it, for a moment: quick, and nobody's frame moves."""
    own = bpy.data.scenes.new("LSR1 Camera Path")
    try:
        for thing in things:
            own.collection.objects.link(thing)
        own.camera, own.active_clip = scene.camera, scene.active_clip
        for name in ("resolution_x", "resolution_y", "resolution_percentage", "fps", "fps_base"):
            setattr(own.render, name, getattr(scene.render, name))
        own.render.pixel_aspect_x = scene.render.pixel_aspect_x
        own.render.pixel_aspect_y = scene.render.pixel_aspect_y
        yield own
    finally:
        bpy.data.scenes.remove(own)


def _seen(stage: bpy.types.Scene, frame: float, size: tuple[int, int]) -> View:
    go_to_frame(stage, frame)
    depsgraph = stage.view_layers[0].depsgraph
    return view_of(stage.camera.evaluated_get(depsgraph), stage, depsgraph, size)
