"""A file that was saved while something ran is opened with nothing running.

Auto Save and scripts write whenever they like, what belongs to the work of a moment along with all else.
"""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent


@persistent
def _nothing_runs(*_: object) -> None:
    for scene in bpy.data.scenes:
        if scene.library is None:
            held = scene.lsr1
            held.result.is_running = held.result.is_placing = held.result.is_preview = False
            held.detection.progress_text = held.clip.progress_text = ""


def register() -> None:
    """Begin to listen."""
    bpy.app.handlers.load_post.append(_nothing_runs)


def unregister() -> None:
    """Stop listening."""
    bpy.app.handlers.load_post.remove(_nothing_runs)
