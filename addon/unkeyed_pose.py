"""After undo and redo bones stand as they stood, keyed or not.

Blender then reads the curves again where keys have changed, and what was turned by hand and not keyed yet
would get lost by that.
"""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from .bone_motion import action_of
from .rig import is_rig
from .rotation_modes import rotation_path


@persistent
def _keep_pose(*_: object) -> None:
    bodies = [thing for thing in bpy.context.scene.objects if is_rig(thing) and action_of(thing) is not None]
    if not bodies:
        return
    stood = [
        (bone, path, tuple(getattr(bone, path)))
        for armature in bodies
        for bone in armature.pose.bones
        for path in ("location", rotation_path(bone), "scale")
    ]
    bpy.context.view_layer.update()
    for bone, path, values in stood:
        if tuple(getattr(bone, path)) != values:
            setattr(bone, path, values)


def register() -> None:
    """Begin to listen."""
    bpy.app.handlers.undo_post.append(_keep_pose)
    bpy.app.handlers.redo_post.append(_keep_pose)


def unregister() -> None:
    """Stop listening."""
    bpy.app.handlers.redo_post.remove(_keep_pose)
    bpy.app.handlers.undo_post.remove(_keep_pose)
