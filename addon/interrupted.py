"""A file that was saved while something ran is opened with nothing running, and so is an undo step.

Auto Save and scripts write whenever they like, and every button and slider that is pressed meanwhile notes an
undo step: what belongs to the work of a moment along with all else.
"""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent


@persistent
def _nothing_runs(*_: object) -> None:
    for scene in bpy.data.scenes:
        if scene.library is None:
            scene.lsr1.result.is_preview = False
    _call_all_off()


@persistent
def _nothing_runs_by_now(*_: object) -> None:
    """What was shown half done then is so still; it belongs to no run any more."""
    if not something_runs():
        _call_all_off()


def something_runs() -> bool:
    """Whether an operator of ours waits for events in any window."""
    windows = bpy.context.window_manager.windows
    return any(own.bl_idname.startswith("LSR1_OT_") for window in windows for own in window.modal_operators)


def _call_all_off() -> None:
    for scene in bpy.data.scenes:
        if scene.library is None:
            held = scene.lsr1
            held.result.is_running = held.result.is_placing = False
            held.detection.progress_text = held.clip.progress_text = ""


def register() -> None:
    """Begin to listen."""
    bpy.app.handlers.load_post.append(_nothing_runs)
    bpy.app.handlers.undo_post.append(_nothing_runs_by_now)
    bpy.app.handlers.redo_post.append(_nothing_runs_by_now)


def unregister() -> None:
    """Stop listening. Blender drops what runs then, and tells it nothing."""
    _call_all_off()
    bpy.app.handlers.redo_post.remove(_nothing_runs_by_now)
    bpy.app.handlers.undo_post.remove(_nothing_runs_by_now)
    bpy.app.handlers.load_post.remove(_nothing_runs)
