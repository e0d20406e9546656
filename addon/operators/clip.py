"""Fit Clip: one modal operator for the ticked tracks, and Next Bad Frame."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import time
from collections.abc import Iterator

import bpy
from bpy.props import BoolProperty

from ...lsr1_solver import FitState
from ..clip_take import TakeInProgress
from ..clips import check_tracks
from ..keypoint_store import frame_count
from ..tracks import used_tracks
from .common import is_idle, keypoints_free, keypoints_there, out_of_edit_modes, redraw, target
from .modal import InSlices

# Writing the keys of a long clip takes a while: not more often than after so many times its own.
_SHOWING = 3.0
SHOW_TIME = ("DOPESHEET_EDITOR", "GRAPH_EDITOR", "NLA_EDITOR")


class LSR1_OT_fit_clip(InSlices, bpy.types.Operator):
    """Fit the body to the keypoints of many frames at once, as an action of its own. Esc stops it"""

    bl_idname = "lsr1.fit_clip"
    bl_label = "Fit Clip"
    bl_options = {"REGISTER", "UNDO"}
    shown_in = SHOW_TIME
    cancelled = "Fit cancelled: everything is as it was"

    again: BoolProperty(
        name="Keep Contacts",
        description="Feet stand where the take says so: change its contacts first",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    _tracks: list[int]
    _takes: list[TakeInProgress]
    _states: Iterator[FitState]
    _last: FitState | None
    # Seconds that the solver took for this track, and the time before which nothing is shown again.
    _spent: float
    _shown_at: float
    # What came of each take, in words.
    _said: list[str]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With the keypoints of more than one frame, outside the modes that edit."""
        if not (is_idle(cls, context) and keypoints_there(cls, context) and out_of_edit_modes(cls, context)):
            return False
        if frame_count(context.scene) < 2:
            cls.poll_message_set("The keypoints are of one frame: press Fit Pose")
            return False
        return True

    def begin(self, context: bpy.types.Context) -> None:
        """No track is begun yet. FitError as ``check_tracks``."""
        self._tracks, self._takes = used_tracks(context.scene), []
        self._states, self._last, self._shown_at = iter(()), None, 0.0
        self._spent, self._said = 0.0, []
        check_tracks(context.scene, self._tracks)

    def step(self, context: bpy.types.Context) -> bool:
        """One state more, of the next track where one is done; False after the last."""
        began = time.perf_counter()
        state = next(self._states, None)
        self._spent += time.perf_counter() - began
        if state is not None:
            self._last = state
            return True
        self._accept(context)
        if len(self._takes) == len(self._tracks):
            return False
        track = self._tracks[len(self._takes)]
        self._takes.append(TakeInProgress(context, track, keep_contacts=self.again))
        self._states, self._last, self._spent = self._takes[-1].job.states(), None, 0.0
        return True

    def _accept(self, context: bpy.types.Context) -> None:
        if self._last is None:
            return
        quality = self._takes[-1].accept(context, self._last)
        context.scene.lsr1.clip.seconds_a_frame = self._spent / len(quality.badness)
        self._said.append(self._takes[-1].in_words(self._last, quality))

    def show(self, context: bpy.types.Context) -> None:
        """The frames as far as they have come, and how long it will go on."""
        if self._last is None:
            return
        now = time.perf_counter()
        if now > self._shown_at:
            self._takes[-1].show(context, self._last)
            done = time.perf_counter()
            self._shown_at = done + _SHOWING * (done - now)
        clip, frames = context.scene.lsr1.clip, len(self._takes[-1].job.frames)
        left = max(frames * clip.seconds_a_frame - self._spent, self._spent / 10)
        done, all_tracks = len(self._takes) - 1 + self._spent / (self._spent + left), len(self._tracks)
        left += (all_tracks - len(self._takes)) * (self._spent + left)
        clip.progress = done / all_tracks
        clip.progress_text = f"Step {self._last.iteration}, about {max(1, round(left))} s left"
        whom = f"track {len(self._takes)} of {all_tracks}, " if all_tracks > 1 else ""
        esc = "keep it so far" if clip.on_cancel == "KEEP" else "bring everything back"
        self.set_status(
            context, f"Fit Clip: {whom}{clip.progress_text[0].lower()}{clip.progress_text[1:]}    Esc: {esc}"
        )

    def interrupt(self, context: bpy.types.Context) -> set[str]:
        """Keep what is there, or bring everything back, as the panel says."""
        is_first = self._last is None and len(self._takes) < 2
        if context.scene.lsr1.clip.on_cancel != "KEEP" or is_first:
            return super().interrupt(context)
        if self._last is None:
            # Of a track that has but begun there is nothing yet.
            self._takes.pop().discard(context)
        self._accept(context)
        self._said.insert(0, "Stopped early")
        return self.end(context)

    def finish(self, context: bpy.types.Context) -> None:
        """The takes stay."""
        for take in self._takes:
            take.close(context)
        self.report({"INFO"}, ". ".join(self._said))

    def give_up(self, context: bpy.types.Context, scene: bpy.types.Scene | None) -> None:
        """Every track's body as it was."""
        for take in reversed(self._takes):
            take.discard(context)


class LSR1_OT_next_bad_frame(bpy.types.Operator):
    """Go to the next frame of the take that needs a look, the worst first, and say why"""

    bl_idname = "lsr1.next_bad_frame"
    bl_label = "Next Bad Frame"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a take in which something is doubtful, while nothing runs or is placed at this frame."""
        if not keypoints_free(cls, context):
            return False
        take = shown_take(context)
        if take is None:
            cls.poll_message_set("The body's action is no take: press Fit Clip")
            return False
        if not take.bad:
            cls.poll_message_set("No frame of this take needs a look")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Go there; after the last comes the worst again."""
        take = shown_take(context)
        take.shown = (take.shown + 1) % len(take.bad)
        bad = take.bad[take.shown]
        whole = int(bad.frame // 1)
        context.scene.frame_set(whole, subframe=bad.frame - whole)
        self.report({"INFO"}, f"{take.shown + 1} of {len(take.bad)}, frame {bad.frame:g}: {bad.name}")
        redraw(context, *SHOW_TIME)
        return {"FINISHED"}


def shown_take(context: bpy.types.Context) -> bpy.types.PropertyGroup | None:
    """What is remembered about the take that moves the body that is meant; None where its action is none."""
    body = target(context)
    data = body.animation_data if body is not None else None
    take = data.action.lsr1_take if data is not None and data.action is not None else None
    return take if take is not None and take.track else None
