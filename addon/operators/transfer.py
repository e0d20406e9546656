"""Copy to Another Rig: its bones guessed, the body's motion copied to it, or followed live."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from collections.abc import Iterator

import bpy

from ..known import Known, known
from ..rig import body_of, is_rig
from ..rig_live import follow, follows, release
from ..rig_mapping import guess_mapping, mapping_of
from ..rig_tables import table_of
from ..rig_transfer import SourceMotion, join, key_transfer, sample_source, transfer_between
from ..takes import check_action_free
from ..timing import check_range, go_to_frame
from .common import is_idle, out_of_edit_modes, told
from .modal import InSlices


def source_of(context: bpy.types.Context) -> bpy.types.Object | None:
    """The body whose motion is meant: the active object's, else the scene's only one but for the target."""
    rig = context.scene.lsr1.copy_target
    own = body_of(context.active_object)
    if own is not None and own != rig:
        return own
    rigs = [obj for obj in context.scene.objects if is_rig(obj) and obj != rig]
    found = [obj for obj in rigs if obj.lsr1_body.is_ours] or rigs
    return found[0] if len(found) == 1 else None


def _both_there(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there are a body and a rig to copy to; says what to do where there are not."""
    rig = context.scene.lsr1.copy_target
    if rig is None or rig.name not in context.scene.objects:
        cls.poll_message_set("Choose the rig to copy to")
    elif rig.library is not None:
        cls.poll_message_set("The rig is linked: make a library override of it first")
    elif source_of(context) is None:
        cls.poll_message_set("Select the body whose motion is to be copied")
    else:
        return is_idle(cls, context) and out_of_edit_modes(cls, context)
    return False


class LSR1_OT_guess_bones(bpy.types.Operator):
    """Fill the list from the names of the rig's bones. What was chosen by hand goes"""

    bl_idname = "lsr1.guess_bones"
    bl_label = "Guess Bones"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a rig chosen."""
        if context.scene.lsr1.copy_target is None:
            cls.poll_message_set("Choose the rig to copy to")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Guess them all."""
        rig = context.scene.lsr1.copy_target
        guess_mapping(rig)
        if not rig.lsr1_copy.kind:
            self.report(
                {"WARNING"}, f"No rig is known whose bones have {rig.name}'s names: choose them by hand"
            )
        return {"FINISHED"}


class LSR1_OT_copy_motion(InSlices, bpy.types.Operator):
    """Key the body's motion on the rig in a new action; its other actions stay. Esc cancels"""

    bl_idname = "lsr1.copy_motion"
    bl_label = "Copy Motion"
    bl_options = {"REGISTER", "UNDO"}
    time_slice = 0.1
    cancelled = "Copying cancelled: everything is as it was"

    _rig: Known[bpy.types.Object]
    _source: Known[bpy.types.Object]
    _frames: range
    _frame_before: float
    _samples: Iterator[SourceMotion]
    _motions: list[SourceMotion]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body and a rig."""
        return _both_there(cls, context)

    def begin(self, context: bpy.types.Context) -> None:
        """The frames to read."""
        rig, source = context.scene.lsr1.copy_target, source_of(context)
        held = rig.lsr1_copy
        check_range(held.first, held.last)
        mapping_of(rig)
        check_action_free(rig)
        self._rig, self._source = known(rig), known(source)
        self._frames, self._motions = range(held.first, held.last + 1), []
        self._frame_before = context.scene.frame_current_final
        self._samples = sample_source(context, source, self._frames)

    def step(self, context: bpy.types.Context) -> bool:
        """One frame; False after the last."""
        motion = next(self._samples, None)
        if motion is not None:
            self._motions.append(motion)
        return motion is not None

    def show(self, context: bpy.types.Context) -> None:
        """How far it is."""
        done = len(self._motions)
        self.set_status(context, f"Copying: {done} of {len(self._frames)} frames. Esc cancels")

    def give_up(self, context: bpy.types.Context, scene: bpy.types.Scene | None) -> None:
        """Nothing was written yet: the scene goes back to its frame."""
        if scene is not None:
            go_to_frame(scene, self._frame_before)

    def finish(self, context: bpy.types.Context) -> None:
        """Key the rig."""
        scene = context.scene
        go_to_frame(scene, self._frame_before)
        rig, source = self._rig.still_in(scene), self._source.still_in(scene)
        table, mapping, motion = table_of(rig.lsr1_copy.kind), mapping_of(rig), join(self._motions)
        # Its constraints would hide the keys.
        release(rig)
        transfer = transfer_between(source, rig, mapping, motion, table)
        action = key_transfer(scene, rig, transfer, motion, self._frames, table)
        bones = (rig.pose.bones[name] for name in transfer.bones)
        pulled = [bone.name for bone in bones if any(not c.mute for c in bone.constraints)]
        words = f"{len(self._frames)} frames in {action.name}, legs {transfer.scale:.2f} times as long"
        if pulled:
            self.report({"WARNING"}, f"{words}. Constraints may change the pose of {', '.join(pulled[:3])}")
        else:
            self.report({"INFO"}, words)
        context.view_layer.update()


class LSR1_OT_follow_live(bpy.types.Operator):
    """The rig follows the body live, by constraints of its own that one click removes again"""

    bl_idname = "lsr1.follow_live"
    bl_label = "Follow Live"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body and a rig."""
        return _both_there(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Where the body stands at the first frame, the rig stands, too."""
        rig, source, scene = context.scene.lsr1.copy_target, source_of(context), context.scene
        with told(self):
            mapping, frame = mapping_of(rig), scene.frame_current_final
            try:
                first = next(sample_source(context, source, [rig.lsr1_copy.first]))
            finally:
                go_to_frame(scene, frame)
            table = table_of(rig.lsr1_copy.kind)
            follow(context, source, rig, transfer_between(source, rig, mapping, first, table), table)
            context.view_layer.update()
            return {"FINISHED"}
        return {"CANCELLED"}


class LSR1_OT_stop_live(bpy.types.Operator):
    """Remove the constraints with which the rig follows the body; its own stay"""

    bl_idname = "lsr1.stop_live"
    bl_label = "Stop Following"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """While a rig follows."""
        rig = context.scene.lsr1.copy_target
        if rig is None or not follows(rig):
            cls.poll_message_set("The rig follows nobody")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Let it go."""
        release(context.scene.lsr1.copy_target)
        context.view_layer.update()
        return {"FINISHED"}
