"""Things that are switched off in the viewport, or in a collection that is: Blender leaves them as they are
at whatever frame, unless something that is shown hangs on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy


@contextmanager
def awake(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, thing: bpy.types.Object) -> Iterator[None]:
    """The thing follows the scene's frames, place and form, shown or not; nothing has changed afterwards."""
    if thing.visible_get(view_layer=layer):
        yield
        return
    watcher = bpy.data.objects.new("LSR1 Watcher", None)
    try:
        watcher.constraints.new("COPY_TRANSFORMS").target = thing
        if thing.type == "ARMATURE":
            constraint = watcher.constraints.new("ARMATURE")
            for bone in thing.pose.bones:
                target = constraint.targets.new()
                target.target, target.subtarget = thing, bone.name
        if thing.type == "MESH":
            watcher.constraints.new("SHRINKWRAP").target = thing
        scene.collection.objects.link(watcher)
        yield
    finally:
        bpy.data.objects.remove(watcher)
