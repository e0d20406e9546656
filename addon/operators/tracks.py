"""Cut and merge tracks, and the times of a video whose rate varies."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import bpy
from bpy.props import StringProperty

from ...lsr1_solver import FitError
from ..footage import frames_before
from ..keypoint_store import frame_count, row_at
from ..timing import clip_rate, set_clip_times
from ..timing_files import read_times
from ..tracks import cut_track, merge_tracks
from .common import keypoints_free, keypoints_there, redraw, told


class LSR1_OT_cut_track(bpy.types.Operator):
    """From this frame on the chosen track is somebody else: it becomes two"""

    bl_idname = "lsr1.cut_track"
    bl_label = "Cut Here"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With keypoints."""
        return keypoints_there(cls, context) and keypoints_free(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Cut before the frame that is shown."""
        scene = context.scene
        with told(self):
            row = row_at(scene, scene.frame_current_final)
            if row is None:
                raise FitError(
                    "There are no keypoints at this frame: go to a frame in the middle of the track"
                )
            new = cut_track(scene, row)
            self.report({"INFO"}, f"Track {new + 1} begins at frame {scene.frame_current_final:g}")
            redraw(context)
            return {"FINISHED"}
        return {"CANCELLED"}


class LSR1_OT_merge_tracks(bpy.types.Operator):
    """The ticked tracks are the same person as the chosen one: they become one track"""

    bl_idname = "lsr1.merge_tracks"
    bl_label = "Merge Ticked"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With keypoints."""
        return keypoints_there(cls, context) and keypoints_free(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Merge into the chosen one."""
        held = context.scene.lsr1.keypoints
        with told(self):
            merge_tracks(context.scene, [i for i, person in enumerate(held.people) if person.use])
            redraw(context)
            return {"FINISHED"}
        return {"CANCELLED"}


class LSR1_OT_import_timings(bpy.types.Operator):
    """Read when each frame of the video is shown, for phones' videos, whose rate varies: a list of seconds, \
a file of ffprobe (JSON) or of mkvextract (timestamps v2)"""

    bl_idname = "lsr1.import_timings"
    bl_label = "Import Frame Times"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With keypoints."""
        return keypoints_there(cls, context) and keypoints_free(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file."""
        if self.filepath:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Read it; keys and overlay follow in Real Time."""
        scene = context.scene
        with told(self):
            path, count = bpy.path.abspath(self.filepath), frame_count(scene)
            times = read_times(path, count, before=frames_before(scene, scene.lsr1.keypoints.first_number))
            set_clip_times(scene, times)
            scene.lsr1.keypoints.keys_at = "TIME"
            self.report(
                {"INFO"},
                f"{clip_rate(scene):.3f} frames a second on average, from {times[0]:.3f} s to "
                f"{times[-1]:.3f} s of the video; keys are in real time",
            )
            redraw(context)
            return {"FINISHED"}
        return {"CANCELLED"}
