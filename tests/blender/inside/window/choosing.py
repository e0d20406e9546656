"""Runs inside Blender's window: a limb's depth is flipped, and the other solutions are walked through."""

import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import bpy

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from hands import (
    HOVER,
    REDRAW,
    ZIP,
    addon_part,
    bones,
    drive,
    key,
    move,
    open_panel,
    open_sample,
    picture,
    press,
    running,
    scroll_to_end,
    until_idle,
    view,
)
from install import install


def held() -> bpy.types.PropertyGroup:
    """What the body keeps to choose from."""
    return body().lsr1_body.solutions


def click_again(x: int, y: int) -> Iterator[float]:
    """Click where the mouse is already."""
    window, _ = view()
    for value in ("PRESS", "RELEASE"):
        window.event_simulate(type="LEFTMOUSE", value=value, x=x, y=y)
        yield HOVER
    yield REDRAW


def prepared() -> Iterator[float]:
    """The sample's movie and keypoints, one frame fitted."""
    install(ZIP)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    yield from open_sample()
    scene = bpy.context.scene
    yield from press("lsr1.add_body")
    scene.frame_set(30)
    yield from press("lsr1.fit_pose")
    yield from until_idle()
    yield from key("NUMPAD_0")
    yield from open_panel(bpy.types.LSR1_PT_refine)
    bpy.ops.ed.undo_push(message="What the driver set")


def flipped() -> Iterator[float]:
    """Two clicks on Left Arm, which is found first, show two twins; two undos bring the fit back."""
    before = bones()
    picture("choosing_fit")
    place = yield from found("lsr1.flip_limb")
    yield from until_idle()
    assert held().limb == "left_arm" and held().shown == 1
    first = bones()
    assert first != before
    yield REDRAW
    picture("choosing_flipped")
    # The mouse need not move between two clicks.
    yield from click_again(*place)
    yield from until_idle()
    assert held().shown == 2 and bones() != first
    yield from key("Z", ctrl=True)
    assert bones() == first
    yield from key("Z", ctrl=True)
    assert bones() == before and not held().found


def walked() -> Iterator[float]:
    """Three clicks show three solutions; one undo brings the fit back."""
    before, seen = bones(), []
    for count in range(3):
        if count < 2:
            # A search that takes its time changes what the panels above show, and with it where this one is.
            place = yield from found("lsr1.other_solutions")
        else:
            yield from click_again(*place)
        yield from until_idle()
        seen.append(bones())
        assert bones() != before and seen.count(bones()) == 1
        picture(f"choosing_{len(seen)}")
    assert held().found[held().shown].energy > held().found[0].energy
    yield from key("Z", ctrl=True)
    assert bones() == before, "one undo does not bring the fit back"


def stopped() -> Iterator[float]:
    """Esc during a search leaves pose, keys, action and what was kept as they were, and no undo step."""
    scene, armature = bpy.context.scene, body()
    for bone in armature.pose.bones:
        bone.keyframe_insert("rotation_quaternion")
    bpy.ops.ed.undo_push(message="Keys")
    scene.lsr1.refine.falloff = 33
    bpy.ops.ed.undo_push(message="Another falloff")
    before, action, there, kept = bones(), armature.animation_data.action.name, keys(), held().key
    # As on a computer that hangs after the first steps of the search.
    searching = addon_part("operators.solutions").LSR1_OT_other_solutions
    searching.patience = 0.0
    search, done = searching.step, []

    def hung(self: bpy.types.Operator, context: bpy.types.Context) -> bool:
        if len(done) < 2:
            done.append(search(self, context))
        return True

    searching.step = hung
    yield from found("lsr1.other_solutions")
    assert running() and len(done) == 2 and all(done)
    picture("choosing_searching")
    yield from key("ESC")
    searching.step = search
    assert not running()
    armature = body()
    assert bones() == before and keys() == there and held().key == kept
    assert armature.animation_data.action.name == action and len(bpy.data.actions) == 1
    yield REDRAW
    assert bones() == before
    picture("choosing_stopped")
    yield from key("Z", ctrl=True)
    assert bpy.context.scene.lsr1.refine.falloff != 33, "the search that was stopped is an undo step"
    assert bones() == before and keys() == there
    # It can be asked for again, and runs to its end.
    yield from found("lsr1.other_solutions")
    yield from until_idle()
    assert bones() != before and held().shown > 0


def body() -> bpy.types.Object:
    """The body."""
    return next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")


def keys() -> list[tuple[float, ...]]:
    """Every key of the body's action."""
    curves = addon_part("keyframes").ensure_curves(body(), body().name)
    return [(*point.co, *point.handle_left) for curve in curves for point in curve.keyframe_points]


def found(operator: str) -> Generator[float, None, tuple[int, int]]:
    """Press a button once the sidebar has come to rest. Returns its place."""
    for _ in range(2):
        yield from scroll_to_end()
        yield from move(300, 300)
        yield REDRAW
    return (yield from press(operator))


def steps() -> Iterator[float]:
    for step in (prepared, flipped, walked, stopped):
        print(step.__name__, flush=True)
        yield from step()


drive(steps())
