"""The scene's camera over the frames of a clip: where it is and through which lens it looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..lsr1_solver import Camera
from .footage import View, view_of
from .rig import Y_UP_TO_Z_UP
from .timing import go_to_frame

# Metres or radians (and the same share of the focal length) by which a camera may move and stand still.
_STILL = 1e-6


@dataclass(frozen=True, eq=False)
class CameraPath:
    """A camera for B frames: ``camera`` the solver's, in square pixels, with a focal length a frame where the
    lens moves; ``to_world`` [B, 4, 4] its places where it moves, else [4, 4].
    """

    camera: Camera
    to_world: np.ndarray

    @property
    def moves(self) -> bool:
        """Whether the camera's place changes."""
        return self.to_world.ndim == 3

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


def camera_path(context: bpy.types.Context, view: View, frames: np.ndarray) -> CameraPath:
    """The scene's camera at scene frames [B], fractions and all; ``view`` is what it sees now.

    The scene's own frame stays where it is: the camera is looked at in a scene of its own.
    """
    scene = context.scene
    if not _may_move(scene.camera):
        return CameraPath(view.camera, np.array(view.to_world))
    size = tuple(scene.lsr1.keypoints.size)
    with stage(scene, scene.camera) as own:
        views = [_seen(own, frame, size) for frame in frames.tolist()]
    places = np.stack([np.array(one.to_world) for one in views])
    focal = np.array([one.camera.focal_length for one in views])
    centre = np.stack([one.camera.principal_point for one in views])
    camera = views[0].camera
    if np.ptp(focal) > _STILL * focal[0] or np.ptp(centre, axis=0).max() > _STILL * focal[0]:
        camera = replace(camera, focal_length=focal, principal_point=centre)
    return CameraPath(camera, places if np.ptp(places, axis=0).max() > _STILL else places[0])


def _may_move(camera: bpy.types.Object) -> bool:
    """Whether anything animates the camera, its lens or what it hangs on."""
    thing: bpy.types.Object | None = camera
    if camera.data.animation_data is not None:
        return True
    while thing is not None:
        if thing.animation_data is not None or any(not c.mute for c in thing.constraints):
            return True
        thing = thing.parent
    return False


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
