"""What operators share: their messages and their polls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from ...lsr1_solver import FitError
from ..keypoint_store import has_keypoints
from ..rig import target

NO_BODY = "There is no body: press Add Body, or select an SMPL armature"
LINKED = "The body is linked: make a library override of it first"
RUNNING = "Something is running: wait, or cancel it with Esc"


@contextmanager
def told(operator: bpy.types.Operator) -> Iterator[None]:
    """Report what the user can put right; anything else is a fault of ours and propagates."""
    try:
        yield
    except FitError as error:
        operator.report({"ERROR"}, str(error))


def is_idle(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether nothing is being fitted; says so where it is."""
    if context.scene.lsr1.result.is_running:
        cls.poll_message_set(RUNNING)
        return False
    return True


def keypoints_free(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the keypoints may become others: nothing is being fitted, none are being placed; says so."""
    if context.scene.lsr1.result.is_placing:
        cls.poll_message_set("Keypoints are being placed: end that first, with Enter over the picture")
        return False
    return is_idle(cls, context)


def body_there(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there is a body; says what to do where there is none."""
    if target(context) is None:
        cls.poll_message_set(NO_BODY)
        return False
    return True


def body_to_change(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there is a body of this file; says what to do where there is none."""
    if not body_there(cls, context):
        return False
    if target(context).library is not None:
        cls.poll_message_set(LINKED)
        return False
    return True


def keypoints_there(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there are keypoints; says what to do where there are none."""
    if not has_keypoints(context.scene):
        cls.poll_message_set("There are no keypoints: press Detect, Import or Place Keypoints")
        return False
    return True


def out_of_edit_modes(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether objects may be added and bones moved."""
    if context.mode not in {"OBJECT", "POSE"}:
        cls.poll_message_set("Go to Object Mode or Pose Mode first")
        return False
    return True


def ready_to_fit(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """With a body and keypoints, outside the modes that edit, while nothing is being fitted."""
    return (
        is_idle(cls, context)
        and body_to_change(cls, context)
        and keypoints_there(cls, context)
        and out_of_edit_modes(cls, context)
    )


@contextmanager
def in_scene(context: bpy.types.Context, scene: bpy.types.Scene | None) -> Iterator[None]:
    """The context is the scene's, whatever its window shows; as it is where there is no such scene (None)."""
    if scene is None or scene == context.scene:
        yield
    else:
        with context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
            yield


def redraw(context: bpy.types.Context, *more: str) -> None:
    """Draw every 3D view again, its panels too, and ``more`` kinds of editors."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", *more}:
                area.tag_redraw()


def over_panel(context: bpy.types.Context, event: bpy.types.Event) -> bool:
    """Whether the mouse is over the sidebar of a 3D view, which lies over the view itself."""
    regions = (
        region
        for area in context.window.screen.areas
        if area.type == "VIEW_3D"
        for region in area.regions
        if region.type == "UI"
    )
    return any(
        region.x <= event.mouse_x < region.x + region.width
        and region.y <= event.mouse_y < region.y + region.height
        for region in regions
    )
