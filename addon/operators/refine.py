"""Re-fit, and the locks and pins that it keeps to."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from collections.abc import Iterator
from dataclasses import dataclass

import bpy
from bpy.props import BoolProperty

from ...lsr1_solver import FitError, FitState
from ..depths import renew_depths
from ..holding import active_joint, limbs_of, lock, parts_of, pin, selected_joints, unlock, unpin
from ..refining import Refit, refit, span
from .clip import SHOW_TIME
from .common import body_to_change, out_of_edit_modes, ready_to_fit, redraw, target, told
from .modal import InSlices


class LSR1_OT_refit(InSlices, bpy.types.Operator):
    """Fit the chosen limbs again around what was changed by hand, in the chosen frames alone. Esc cancels"""

    bl_idname = "lsr1.refit"
    bl_label = "Re-fit"
    bl_options = {"REGISTER", "UNDO"}
    of_one_frame = True
    shown_in = SHOW_TIME
    cancelled = "Re-fit cancelled: everything is as it was"

    _job: Refit
    _states: Iterator[FitState]
    _last: FitState | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body and keypoints, outside the modes that edit."""
        return ready_to_fit(cls, context)

    def begin(self, context: bpy.types.Context) -> None:
        """The problem that the panel describes."""
        self._job = refit(context, target(context))
        self._states = self._job.states()

    def step(self, context: bpy.types.Context) -> bool:
        """One state more. Nothing is written before the end, so there is nothing to bring back."""
        state = next(self._states, None)
        self._last = state or self._last
        return state is not None

    def show(self, context: bpy.types.Context) -> None:
        """How far it is."""
        self.set_status(context, f"Re-fit: step {self._last.iteration}    Esc: cancel")

    def finish(self, context: bpy.types.Context) -> None:
        """Write what may change."""
        self.report({"INFO"}, self._job.accept(context, self._last.pose))
        renew_depths(context, self._job.armature.still_in(context.scene))


@dataclass(frozen=True)
class Chosen:
    """The ``joints`` of a body whose bones are selected, from scene frame ``first`` to ``last``."""

    armature: bpy.types.Object
    joints: list[str]
    first: float
    last: float

    @property
    def when(self) -> str:
        """The frames in words."""
        if self.first == self.last:
            return f"at frame {self.first:g}"
        return f"from frame {self.first:g} to {self.last:g}"


class _OfBones:
    """An operator for the selected bones, at the frames that the panel says."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With bones of the body selected."""
        if not (body_to_change(cls, context) and out_of_edit_modes(cls, context)):
            return False
        if not selected_joints(target(context)):
            cls.poll_message_set("No bone is selected: go to Pose Mode and select some")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Do it and say so."""
        with told(self):
            armature = target(context)
            chosen = Chosen(armature, selected_joints(armature), *span(context.scene))
            self.report({"INFO"}, self.act(context, chosen))
            redraw(context)
            return {"FINISHED"}
        return {"CANCELLED"}

    def act(self, context: bpy.types.Context, chosen: Chosen) -> str:
        """What is done. Returns a line for the user."""
        raise NotImplementedError


class _OfLimbs(_OfBones):
    """An operator for the selected bones, or for the limbs that they belong to."""

    whole_limbs: BoolProperty(
        name="Whole Limbs", description="Also the other bones of the limbs that the selected ones belong to"
    )

    def meant(self, chosen: Chosen) -> list[str]:
        """The selected bones' joints, or all of their limbs'."""
        return limbs_of(chosen.joints) if self.whole_limbs else chosen.joints


class LSR1_OT_lock_bones(_OfLimbs, bpy.types.Operator):
    """Lock the selected bones at the chosen frames: fits leave them exactly as they are"""

    bl_idname = "lsr1.lock_bones"
    bl_label = "Lock"

    def act(self, context: bpy.types.Context, chosen: Chosen) -> str:
        """Lock."""
        joints = self.meant(chosen)
        lock(chosen.armature, parts_of(joints), chosen.first, chosen.last)
        return f"Locked {len(joints)} bone{'s' if len(joints) > 1 else ''} {chosen.when}"


class LSR1_OT_unlock_bones(_OfLimbs, bpy.types.Operator):
    """Unlock the selected bones at the chosen frames"""

    bl_idname = "lsr1.unlock_bones"
    bl_label = "Unlock"

    def act(self, context: bpy.types.Context, chosen: Chosen) -> str:
        """Unlock."""
        if not unlock(chosen.armature, parts_of(self.meant(chosen)), chosen.first, chosen.last):
            raise FitError(f"None of the selected bones is locked {chosen.when}")
        return f"Unlocked {chosen.when}"


class LSR1_OT_pin_joint(_OfBones, bpy.types.Operator):
    """Pin the active bone's joint at the chosen frames: fits draw it to its place"""

    bl_idname = "lsr1.pin_joint"
    bl_label = "Pin"

    def act(self, context: bpy.types.Context, chosen: Chosen) -> str:
        """Pin."""
        joint, kind = active_joint(chosen.armature) or chosen.joints[0], context.scene.lsr1.refine.pin_to
        pin(context, chosen.armature, joint, kind, chosen.first, chosen.last)
        return f"Pinned {joint.replace('_', ' ')} {chosen.when}"


class LSR1_OT_unpin_joint(_OfBones, bpy.types.Operator):
    """Take away the pins of the selected bones at the chosen frames"""

    bl_idname = "lsr1.unpin_joint"
    bl_label = "Unpin"

    def act(self, context: bpy.types.Context, chosen: Chosen) -> str:
        """Take away."""
        if not unpin(chosen.armature, chosen.joints, chosen.first, chosen.last):
            raise FitError(f"None of the selected bones is pinned {chosen.when}")
        return f"Unpinned {chosen.when}"
