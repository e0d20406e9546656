"""Runs inside Blender's window: a clip is refined by hand with the buttons of the panel Refine."""

import sys
from collections.abc import Iterator
from math import radians
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from hands import (
    REDRAW,
    ZIP,
    addon_part,
    bones,
    drive,
    key,
    move,
    open_sample,
    picture,
    press,
    region_of,
    scroll_to_end,
    until_idle,
    view,
)
from install import install

LAST, FRAME = 20, 10
# Closed panels below Refine, and pixels from one header to the next.
BELOW, HEADER = 3, 26
Keys = dict[tuple[str, int], list[tuple[float, float]]]


def body() -> bpy.types.Object:
    """The body."""
    return next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")


def keys() -> Keys:
    """Every key of the body's action."""
    curves = addon_part("keyframes").ensure_curves(body(), body().name)
    return {(c.data_path, c.array_index): [tuple(k.co) for k in c.keyframe_points] for c in curves}


def select(*names: str) -> None:
    """Select bones in Pose Mode, the last one active."""
    armature = body()
    bpy.context.view_layer.objects.active = armature
    if armature.mode != "POSE":
        bpy.ops.object.mode_set(mode="POSE")
    for bone in armature.data.bones:
        bone.select = bone.name in names
    armature.data.bones.active = armature.data.bones[names[-1]]


def prepared() -> Iterator[float]:
    """The sample's movie and keypoints, a short range fitted."""
    install(ZIP)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    yield from open_sample()
    scene = bpy.context.scene
    scene.lsr1.clip.frame_range, scene.lsr1.clip.last = "CUSTOM", LAST
    bpy.ops.ed.undo_push(message="What the driver set")
    yield from key("NUMPAD_0")
    yield from scroll_to_end()
    yield from press("lsr1.fit_clip")
    yield from until_idle()
    assert len(keys()['pose.bones["pelvis"].location', 0]) == LAST


def panel_opened() -> Iterator[float]:
    """A with the mouse on its header opens Refine."""
    window, area = view()
    yield from scroll_to_end()
    yield 3 * REDRAW  # panels glide to their places
    yield from scroll_to_end()
    region = region_of(area, "UI")
    x, y = region.x + 60, region.y + HEADER * BELOW + HEADER // 2
    yield from move(x, y)
    yield from move(x + 1, y)
    for value in ("PRESS", "RELEASE"):
        window.event_simulate(type="A", value=value, x=x, y=y)
        yield REDRAW
    yield 3 * REDRAW
    yield from shown("refine_panel")


def shown(name: str) -> Iterator[float]:
    """Pictures of the panel, its end and what is above."""
    window, area = view()
    yield from scroll_to_end()
    picture(name)
    with bpy.context.temp_override(window=window, area=area, region=region_of(area, "UI")):
        for _ in range(9):
            bpy.ops.view2d.scroll_up()
    yield REDRAW
    picture(f"{name}_above")
    yield from scroll_to_end()


def turned_by_hand(name: str) -> Iterator[float]:
    """R, the mouse moved about the bone, Enter."""
    window, area = view()
    select(name)
    yield REDRAW
    place = region_of(area, "WINDOW")
    x, y = place.x + place.width // 3, place.y + place.height // 2
    yield from key("R")
    for step in range(1, 6):
        window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x + 12 * step, y=y + 30 * step)
        yield REDRAW / 3
    for value in ("PRESS", "RELEASE"):
        window.event_simulate(type="RET", value=value, x=x + 60, y=y + 150)
        yield REDRAW


def refitted() -> Iterator[float]:
    """A bone turned by hand is noticed and kept; nothing but this frame changes; one undo takes it back."""
    scene = bpy.context.scene
    scene.frame_set(FRAME)
    scene.lsr1.refine.limbs = {"left_arm", "torso"}
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.ed.undo_push(message="What the driver set")
    fitted = Matrix(body().pose.bones["left_elbow"].matrix_basis)
    yield from turned_by_hand("left_elbow")
    turned = Matrix(body().pose.bones["left_elbow"].matrix_basis)
    angle = (fitted.inverted() @ turned).to_quaternion().angle
    assert angle > radians(5), f"the elbow was turned by {angle:.3f} only"
    before, stands = keys(), bones()
    yield from press("lsr1.refit")
    yield from until_idle()
    picture("refitted")
    after = keys()
    changed = {path.split('"')[1] for path, index in after if after[path, index] != before[path, index]}
    times = {
        frame
        for at, own in after.items()
        for (frame, value), (_, old) in zip(own, before[at], strict=True)
        if value != old
    }
    assert "left_shoulder" in changed and times == {FRAME}, (changed, times)
    assert "left_knee" not in changed and "pelvis" in changed
    now = np.array(body().pose.bones["left_elbow"].matrix_basis)
    assert np.abs(now - np.array(turned)).max() < 1e-6, "the edit was not kept"
    yield from key("Z", ctrl=True)
    assert keys() == before and bones() == stands, "one undo does not take the re-fit back"
    yield from key("Z", ctrl=True)
    assert np.abs(np.array(body().pose.bones["left_elbow"].matrix_basis) - np.array(fitted)).max() < 1e-6


def locked() -> Iterator[float]:
    """Lock, Unlock, Pin and Unpin by their buttons; a locked bone stays through Fit Pose."""
    scene = bpy.context.scene
    held = body().lsr1_body
    select("left_shoulder", "left_elbow", "left_wrist", "left_hand")
    yield REDRAW
    yield from press("lsr1.lock_bones", across=0.26)
    assert {(lock.name, lock.first, lock.last) for lock in held.locks} == {
        (name, FRAME, FRAME) for name in ("left_shoulder", "left_elbow", "left_wrist", "left_hand")
    }
    before = [tuple(body().pose.bones[lock.name].rotation_quaternion) for lock in held.locks]
    select("right_wrist")
    scene.lsr1.refine.pin_to = "CURSOR"
    scene.cursor.location = body().matrix_world @ body().pose.bones["right_wrist"].head
    scene.cursor.location.z += 0.1
    yield from scroll_to_end()
    yield from press("lsr1.pin_joint")
    assert [(pin.name, pin.first, pin.last) for pin in held.pins] == [("right_wrist", FRAME, FRAME)]
    yield from shown("refine_locked")
    yield from press("lsr1.refit")
    yield from until_idle()
    held = body().lsr1_body
    assert [tuple(body().pose.bones[lock.name].rotation_quaternion) for lock in held.locks] == before
    bpy.context.view_layer.update()
    place = body().matrix_world @ body().pose.bones["right_wrist"].head
    off = (place - scene.cursor.location).length
    assert off < 0.1, f"the pinned wrist is {off:.3f} m from its place"
    yield from press("lsr1.unpin_joint", across=0.75)
    assert not body().lsr1_body.pins
    yield from key("Z", ctrl=True)
    assert len(body().lsr1_body.pins) == 1, "undo does not bring the pin back"
    select("left_elbow")
    yield REDRAW
    yield from press("lsr1.unlock_bones", across=0.66)
    assert sorted(lock.name for lock in body().lsr1_body.locks) == [
        "left_hand",
        "left_shoulder",
        "left_wrist",
    ]


def steps() -> Iterator[float]:
    for step in (prepared, panel_opened, refitted, locked):
        print(step.__name__, flush=True)
        yield from step()


drive(steps())
