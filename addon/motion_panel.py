"""The panel "In and Out": draws, computes nothing."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import bpy

from .motion_in import SOURCE
from .motion_out import scene_frames
from .rig import target
from .timing import scene_rate


class LSR1_PT_in_out(bpy.types.Panel):
    """Motions from other programs and for them."""

    bl_idname = "LSR1_PT_in_out"
    bl_parent_id = "LSR1_PT_main"
    bl_label = "In and Out"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "LSR1"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Import, what the body's motion is from, exports."""
        layout, scene, body = self.layout, context.scene, target(context)
        layout.operator("lsr1.import_motion", icon="IMPORT")
        data = body.animation_data if body else None
        if data is not None and data.action is not None and SOURCE in data.action:
            box = layout.box().column(align=True)
            box.label(text=data.action.name, icon="ACTION")
            kind, person, *rest = data.action[SOURCE].split(", ")
            box.label(text=f"{kind}, {person}", icon="BLANK1")
            box.label(text=", ".join(rest), icon="BLANK1")
        frames = scene_frames(scene)
        layout.label(text=f"Export frames {frames[0]} to {frames[-1]}, {scene_rate(scene):.6g} a second")
        column = layout.column(align=True)
        for name in ("export_amass", "export_bvh", "export_fbx", "export_gltf"):
            column.operator(f"lsr1.{name}", icon="EXPORT")
