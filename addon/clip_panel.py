"""The panel "Clip": draws, computes nothing."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import bpy

from .footage import moving_picture
from .keypoint_store import frame_count
from .operators.clip import shown_take
from .people_list import LSR1_UL_tracks, draw_people
from .rig import target
from .takes import CONTACTS, figures_at
from .timing import clip_rate, scene_rate

_BAD = 5


class LSR1_PT_clip(bpy.types.Panel):
    """Many frames at once: tracks, frames and keys, the fit, its doubtful places."""

    bl_idname = "LSR1_PT_clip"
    bl_parent_id = "LSR1_PT_main"
    bl_label = "Clip"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "LSR1"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With the keypoints of more than one frame."""
        return frame_count(context.scene) > 1

    def draw(self, context: bpy.types.Context) -> None:
        """From top to bottom the way of a clip."""
        layout, scene = self.layout, context.scene
        clip = scene.lsr1.clip
        row = layout.row()
        row.scale_y = 1.4
        if scene.lsr1.result.is_running:
            row.operator("lsr1.cancel_fit", icon="CANCEL")
            if clip.progress_text:
                layout.progress(text=clip.progress_text, factor=clip.progress)
        else:
            row.operator("lsr1.fit_clip", icon="RENDER_ANIMATION")
        _draw_take(layout, context)


class _ClipPart:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "LSR1"
    bl_parent_id = "LSR1_PT_clip"


class LSR1_PT_clip_frames(_ClipPart, bpy.types.Panel):
    """Which frame of the video is which frame of the scene."""

    bl_idname = "LSR1_PT_clip_frames"
    bl_label = "Frames"

    def draw(self, context: bpy.types.Context) -> None:
        """Range, first frame, step, offset and rates."""
        scene = context.scene
        held, clip = scene.lsr1.keypoints, scene.lsr1.clip
        column = _properties(self.layout)
        column.prop(clip, "frame_range")
        if clip.frame_range == "CUSTOM":
            column.prop(clip, "first")
            column.prop(clip, "last")
        column.prop(held, "keys_at")
        column.prop(held, "start_frame")
        if held.keys_at == "FRAMES":
            column.prop(held, "step")
        column.prop(held, "offset")
        row = column.row(align=True)
        row.prop(held, "frame_rate")
        row.operator("lsr1.import_timings", text="", icon="TIME")
        if "times" in held:
            column.label(text=f"{clip_rate(scene):.3f} on average, frame by frame from a file")
        if held.keys_at == "FRAMES":
            column.prop(clip, "set_rate")
        _draw_rates(column, scene)


class LSR1_PT_clip_tracks(_ClipPart, bpy.types.Panel):
    """Several people."""

    bl_idname = "LSR1_PT_clip_tracks"
    bl_label = "Tracks"

    def draw(self, context: bpy.types.Context) -> None:
        """A row a track: fitted or not, chosen or not, its frames and its body."""
        layout = self.layout
        draw_people(layout, context.scene, LSR1_UL_tracks)
        row = layout.row(align=True)
        row.operator("lsr1.cut_track")
        row.operator("lsr1.merge_tracks")


class LSR1_PT_clip_options(_ClipPart, bpy.types.Panel):
    """How a clip is fitted and keyed."""

    bl_idname = "LSR1_PT_clip_options"
    bl_label = "Motion and Keys"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Options."""
        clip = context.scene.lsr1.clip
        column = _properties(self.layout)
        for name in ("smoothness", "feet", "gaps", "interpolation", "reduce"):
            column.prop(clip, name)
        if clip.reduce:
            column.prop(clip, "error")
        column.prop(clip, "on_cancel")


def _properties(layout: bpy.types.UILayout) -> bpy.types.UILayout:
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    return column


def _draw_rates(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """What the two rates mean for the speed of the motion and for the picture behind it."""
    video, own = clip_rate(scene), scene_rate(scene)
    if scene.lsr1.keypoints.keys_at == "FRAMES":
        video *= scene.lsr1.keypoints.step
    if abs(video - own) < 1e-3:
        return
    if scene.lsr1.keypoints.keys_at == "TIME":
        layout.label(text="Keys lie between frames", icon="INFO")
        if moving_picture(scene) is not None:
            layout.label(text="The picture keeps its own pace", icon="ERROR")
    elif not scene.lsr1.clip.set_rate:
        layout.label(text=f"Plays {own / video:.2f} times as fast", icon="INFO")


def _draw_take(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The take that is shown: this frame's figures, its contacts, and what needs a look."""
    take, scene = shown_take(context), context.scene
    if take is None or scene.lsr1.result.is_running:
        return
    body = target(context)
    figures = figures_at(take.id_data, scene.frame_current_final)
    if figures is not None:
        percent, sure, slide = figures
        seen = f"{percent:.1f} % of height, {sure:.0%} sure" if percent >= 0 else "no keypoints"
        layout.label(text=f"{seen}, slide {slide:.1f} mm")
    row = layout.row(align=True)
    row.operator("lsr1.next_bad_frame", icon="ERROR", text=f"Next Bad Frame ({len(take.bad)})")
    if 0 <= take.shown < len(take.bad):
        column = layout.column(align=True)
        for reason in take.bad[take.shown].name.split("; "):
            column.label(text=reason)
    layout.label(text="Standing Still")
    grid = layout.grid_flow(row_major=True, columns=2, align=True)
    for name in CONTACTS:
        grid.prop(body.lsr1_body, name)
    layout.operator("lsr1.fit_clip", text="Solve Again", icon="FILE_REFRESH").again = True
