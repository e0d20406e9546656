"""Flip Limb Depth, and the walk through a frame's other solutions."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from collections.abc import Iterator

import bpy
from bpy.props import EnumProperty

from ...lsr1_solver import FitError, Solution
from ...lsr1_solver.refine import LIMBS
from ..depths import renew_depths
from ..holding import active_joint
from ..refine_properties import LIMB_ITEMS
from ..solution_store import in_words
from ..solutions import Search, begun, flip_search, keep_found, show, solution_search, why_anew
from .clip import SHOW_TIME
from .common import RUNNING, body_to_change, keypoints_there, out_of_edit_modes, target
from .modal import InSlices


class _Chooses(InSlices):
    """A search, where what is kept does not answer it already, and the next of the poses on the bones."""

    of_one_frame = True
    shown_in = SHOW_TIME
    patience = 1.0
    cancelled = "Search cancelled: everything is as it was"

    _search: Search
    _states: Iterator[tuple[Solution, ...]]
    _found: tuple[Solution, ...] | None
    _said: str

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body and keypoints, outside the modes that edit; while something runs, too (see below)."""
        return (
            body_to_change(cls, context) and keypoints_there(cls, context) and out_of_edit_modes(cls, context)
        )

    def asked(self, context: bpy.types.Context, armature: bpy.types.Object) -> Search:
        """What is looked for."""
        raise NotImplementedError

    def next_of(self, held: bpy.types.PropertyGroup) -> int:
        """Which of the poses that are kept comes after the one that is shown."""
        return (held.shown + 1) % len(held.found)

    def begin(self, context: bpy.types.Context) -> None:
        """Look whether what is kept is still an answer. FitError while something runs.

        Were that for ``poll``, the button would go grey under the mouse, and stay so for the next click.
        """
        if context.scene.lsr1.result.is_running:
            raise FitError(RUNNING)
        armature = target(context)
        self._states, self._found = iter(()), None
        self._search = self.asked(context, armature)
        reason = why_anew(armature, self._search)
        self._said = reason or ""
        if reason is not None:
            self._search = begun(context.scene, armature, self._search)
            self._states = self._search.solutions()

    def step(self, context: bpy.types.Context) -> bool:
        """A little more of the search. Nothing is written before its end."""
        found = next(self._states, None)
        self._found = found or self._found
        return found is not None

    def show(self, context: bpy.types.Context) -> None:
        """How many there are so far."""
        self.set_status(context, f"{self.bl_label}: {len(self._found)} found    Esc: cancel")

    def finish(self, context: bpy.types.Context) -> None:
        """Show the next one."""
        armature = self._search.job.armature.still_in(context.scene)
        if self._found is not None:
            keep_found(armature, self._search, self._found, context.scene.frame_current_final)
        held = armature.lsr1_body.solutions
        show(context, armature, self._search, self.next_of(held))
        renew_depths(context, armature)
        which, words = in_words(armature)
        self.report({"INFO"}, f"{self._said}{words[:1].upper()}{words[1:]}: {which}")


class LSR1_OT_flip_limb(_Chooses, bpy.types.Operator):
    """Take a limb to its mirror twin along the view: same pixels, other depth. Again: the next twin"""

    bl_idname = "lsr1.flip_limb"
    bl_label = "Flip Limb Depth"
    bl_options = {"REGISTER", "UNDO"}

    limb: EnumProperty(
        name="Limb",
        description="Which limb changes its depth",
        items=[
            ("ACTIVE", "Of the Active Bone", "The limb that the active bone belongs to"),
            *(item[:3] for item in LIMB_ITEMS if item[0] in LIMBS),
        ],
    )

    def asked(self, context: bpy.types.Context, armature: bpy.types.Object) -> Search:
        """The flips of the limb."""
        limb, joint = self.limb, active_joint(armature)
        if limb == "ACTIVE":
            found = [name for name, joints in LIMBS.items() if joint in joints]
            if not found:
                raise FitError("No bone is active: go to Pose Mode and click one of the limb")
            limb = found[0]
        return flip_search(context, armature, limb)


class LSR1_OT_other_solutions(_Chooses, bpy.types.Operator):
    """Look for the other poses that explain this frame's keypoints, and show one after another"""

    bl_idname = "lsr1.other_solutions"
    bl_label = "Other Solutions"
    # However many were looked at, one undo brings the first back.
    bl_options = {"REGISTER", "UNDO_GROUPED"}

    turn_to: EnumProperty(
        name="Show",
        description="Which of the solutions is shown",
        items=[
            ("NEXT", "Next", "The one with the next higher energy"),
            ("PREVIOUS", "Previous", "The one with the next lower energy"),
            ("FIT", "The Fit", "The pose that was there before the search"),
        ],
        options={"SKIP_SAVE"},
    )

    def asked(self, context: bpy.types.Context, armature: bpy.types.Object) -> Search:
        """All solutions of this frame."""
        return solution_search(context, armature)

    def next_of(self, held: bpy.types.PropertyGroup) -> int:
        """As asked, round and round."""
        if self.turn_to == "FIT":
            return held.first
        return (held.shown + (1 if self.turn_to == "NEXT" else -1)) % len(held.found)
