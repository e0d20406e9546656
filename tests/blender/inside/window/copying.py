"""Runs inside Blender's window: a body's motion is copied to a rig, cancelled, undone, and followed live."""

import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "addon")]

from character_rigs import Figure, character
from hands import REDRAW, ZIP, drive, key, move, open_panel, open_tab, picture, press, scroll_to_end
from install import install

LAST = 3000  # frames: long enough to be caught in the act
SECONDS = 60


def swing(body: bpy.types.Object) -> None:
    """Arms and legs swing from frame 1 to 40."""
    for frame, sign in ((1, 1), (40, -1)):
        for bone, angle in (
            ("left_hip", -0.5),
            ("right_hip", 0.5),
            ("left_shoulder", 1.2),
            ("right_elbow", -0.9),
        ):
            posed = body.pose.bones[bone]
            posed.rotation_quaternion = (1.0, sign * angle / 2, 0.0, 0.2)
            posed.keyframe_insert("rotation_quaternion", frame=frame)


def action() -> bpy.types.Action | None:
    """The rig's action."""
    data = bpy.data.objects["Mixamo"].animation_data
    return data.action if data else None


def constraints() -> int:
    """How many constraints the rig's bones have."""
    return sum(len(bone.constraints) for bone in bpy.data.objects["Mixamo"].pose.bones)


def steps() -> Iterator[float]:
    """The rig chosen and its bones guessed; copied, cancelled, copied, undone; live and let go."""
    install(ZIP)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.lsr1.add_body()
    body = bpy.context.active_object
    swing(body)
    rig = character("Mixamo", Figure(arm_down=45, size=0.9), prefix="mixamorig:", centimetres=True)
    rig.show_in_front = True
    scene = bpy.context.scene
    yield from open_panel(bpy.types.LSR1_PT_copy)
    scene.lsr1.copy_target = rig
    rig.lsr1_copy.first, rig.lsr1_copy.last = 1, LAST
    scene.frame_set(7)
    bpy.context.view_layer.objects.active = body
    bpy.ops.ed.undo_push(message="What the driver set")
    yield from open_tab("LSR1")
    yield from scroll_to_end()
    picture("copy_panel")

    yield from press("lsr1.copy_motion")
    assert scene.frame_current != 7, "nothing is copied"
    picture("copying")
    yield from key("ESC")
    assert scene.frame_current == 7 and action() is None, "a cancelled copy leaves something behind"

    rig.lsr1_copy.last = 40
    bpy.ops.ed.undo_push(message="Forty frames")
    yield from press("lsr1.copy_motion")
    for _ in range(int(SECONDS / REDRAW)):
        if action() is not None:
            break
        yield REDRAW
    assert scene.frame_current == 7 and action() is not None, "the copy does not come to its end"
    picture("copied")
    yield from key("Z", ctrl=True)
    assert action() is None, "one undo does not take the copy back"

    yield from press("lsr1.follow_live")
    picture("following")
    # Off the button, which is another one by now.
    yield from move(300, 400)
    yield REDRAW
    assert constraints() == 23
    yield from press("lsr1.stop_live")
    assert constraints() == 0 and not [obj for obj in bpy.data.objects if obj.name.startswith("LSR1 Copy")]
    picture("let_go")


drive(steps())
