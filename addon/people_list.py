"""The people of the scene's keypoints, as lists that scroll: for the choice, and as tracks of a clip."""
# ruff: noqa: N801 - Blender's way of naming classes

import bpy

from .keypoint_store import frame_count
from .timing import row_frames

_ROWS = 5


class LSR1_UL_people(bpy.types.UIList):
    """Who they are: where in the picture, how sure."""

    bl_idname = "LSR1_UL_people"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.PropertyGroup,
        item: bpy.types.PropertyGroup,
        icon: int,
        active_data: bpy.types.PropertyGroup,
        active_property: str,
        index: int,
    ) -> None:
        """A click chooses the person."""
        _draw_choice(layout, data, index, item.summary)


class LSR1_UL_tracks(bpy.types.UIList):
    """Tracks: fitted or not, chosen or not, their frames and their bodies."""

    bl_idname = "LSR1_UL_tracks"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.PropertyGroup,
        item: bpy.types.PropertyGroup,
        icon: int,
        active_data: bpy.types.PropertyGroup,
        active_property: str,
        index: int,
    ) -> None:
        """A click on the frames chooses the track."""
        scene = context.scene
        frames = row_frames(scene, frame_count(scene))
        row = layout.row(align=True)
        row.prop(item, "use", text="")
        _draw_choice(row, data, index, f"{index + 1}: {frames[item.first]:.0f} to {frames[item.last]:.0f}")
        row.prop(item, "body", text="")


def draw_people(layout: bpy.types.UILayout, scene: bpy.types.Scene, kind: type[bpy.types.UIList]) -> None:
    """All people, in a list of this kind."""
    held = scene.lsr1.keypoints
    rows = min(len(held.people), _ROWS)
    layout.template_list(kind.bl_idname, "", held, "people", held, "listed", rows=rows)


def _draw_choice(layout: bpy.types.UILayout, held: bpy.types.PropertyGroup, index: int, text: str) -> None:
    chosen = index == held.person - 1
    icon = "RADIOBUT_ON" if chosen else "RADIOBUT_OFF"
    layout.operator("lsr1.choose_person", text=text, icon=icon, emboss=False).person = index + 1
