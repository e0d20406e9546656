"""The joints follow the shape: after a shape key's slider was moved, the rest bones move too."""

from __future__ import annotations

import logging

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..lsr1_solver import FitError
from .body import joints_to_shape, shown_betas

_log = logging.getLogger(__name__)
# A slider that is being dragged changes often; the bones wait for a pause.
_PAUSE = 0.15  # seconds


def _behind(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """Bodies of ours whose bones stand for another shape than the mesh shows."""
    if scene.lsr1.result.is_preview:
        return []
    return [
        obj
        for obj in scene.objects
        if obj.type == "ARMATURE"
        and obj.lsr1_body.is_ours
        and not np.allclose(shown_betas(obj), obj.lsr1_body.betas, atol=1e-5)
    ]


@persistent
def _shape_may_have_changed(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    if not depsgraph.id_type_updated("KEY") or bpy.app.timers.is_registered(_follow):
        return
    if not _behind(scene):
        return
    if bpy.app.background:
        _follow()  # no timers run here, and no slider is being dragged
    else:
        bpy.app.timers.register(_follow, first_interval=_PAUSE)


def _follow() -> float | None:
    """Move the bones now, or try again when the user has left the mode that forbids it."""
    context = bpy.context
    if context.mode not in {"OBJECT", "POSE"}:
        return 1.0
    for armature in _behind(context.scene):
        try:
            joints_to_shape(context, armature)
        except FitError as error:
            _log.warning("%s", error)
    return None


def register() -> None:
    """Begin to listen."""
    bpy.app.handlers.depsgraph_update_post.append(_shape_may_have_changed)


def unregister() -> None:
    """Stop listening."""
    bpy.app.handlers.depsgraph_update_post.remove(_shape_may_have_changed)
    if bpy.app.timers.is_registered(_follow):
        bpy.app.timers.unregister(_follow)
