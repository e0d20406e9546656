"""The panel "Refine": draws, computes nothing."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import bpy

from ..lsr1_solver.refine import LIMBS
from .depths import depths_at, worst_limbs
from .holding import holding, parts_in_words
from .operators.common import target
from .overlay_data import DEPTH_BANDS, depth_band
from .refine_properties import LIMB_ITEMS
from .solution_store import in_words, stands

_LISTED, _NAMED = 8, 2


class LSR1_PT_refine(bpy.types.Panel):
    """The fit and the animator in turns."""

    bl_idname = "LSR1_PT_refine"
    bl_parent_id = "LSR1_PT_main"
    bl_label = "Refine"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "LSR1"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body."""
        return target(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        """What may change, the re-fit, locks and pins."""
        layout, data, body = self.layout, context.scene.lsr1, target(context)
        refine = data.refine
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(refine, "span")
        if refine.span == "RANGE":
            column.prop(refine, "first")
            column.prop(refine, "last")
        elif refine.span == "AROUND":
            column.prop(refine, "falloff")
        column.prop(refine, "edits")
        layout.label(text="May Change:")
        layout.grid_flow(row_major=True, columns=2, align=True).prop(refine, "limbs")
        row = layout.row()
        row.scale_y = 1.4
        if data.result.is_running:
            row.operator("lsr1.cancel_fit", icon="CANCEL")
        else:
            row.operator("lsr1.refit", icon="FILE_REFRESH")
        layout.operator("lsr1.reach", icon="VIEW_PAN")
        _draw_choices(layout, context, body)
        row = layout.row(align=True)
        row.operator("lsr1.lock_bones", icon="LOCKED")
        row.operator("lsr1.unlock_bones", icon="UNLOCKED")
        _draw_held(layout, body.lsr1_body.locks, "LOCKED")
        layout.prop(data.settings, "keep_shape", text="Lock Shape")
        row = layout.row(align=True)
        row.prop(refine, "pin_to", text="")
        row.operator("lsr1.pin_joint", icon="PINNED")
        row.operator("lsr1.unpin_joint", icon="UNPINNED")
        _draw_held(layout, body.lsr1_body.pins, "PINNED")
        _draw_depths(layout.box(), context, body)


def _draw_choices(layout: bpy.types.UILayout, context: bpy.types.Context, body: bpy.types.Object) -> None:
    """Flips and other solutions; below, which of them the bones show."""
    layout.label(text="Flip Limb Depth:")
    grid = layout.grid_flow(row_major=True, columns=2, align=True)
    for limb, name, *_ in LIMB_ITEMS:
        if limb in LIMBS:
            grid.operator("lsr1.flip_limb", text=name).limb = limb
    row = layout.row(align=True)
    row.operator("lsr1.other_solutions", text="", icon="TRIA_LEFT").turn_to = "PREVIOUS"
    row.operator("lsr1.other_solutions", icon="MOD_ARMATURE").turn_to = "NEXT"
    row.operator("lsr1.other_solutions", text="", icon="TRIA_RIGHT").turn_to = "NEXT"
    if not stands(context.scene, body):
        return
    which, words = in_words(body)
    row = layout.row()
    column = row.column(align=True)
    column.label(text=which)
    column.label(text=f"{words[:1].upper()}{words[1:]}")
    held = body.lsr1_body.solutions
    if not held.limb and held.shown != held.first:
        row.operator("lsr1.other_solutions", text="", icon="LOOP_BACK").turn_to = "FIT"


def _draw_depths(layout: bpy.types.UILayout, context: bpy.types.Context, body: bpy.types.Object) -> None:
    """The limbs whose depth is least sure, and what the colours in the view mean."""
    row = layout.row()
    row.operator("lsr1.find_depths", icon="MOD_LENGTH")
    sigma, refine = depths_at(context.scene, body), context.scene.lsr1.refine
    if sigma is None:
        return
    row.prop(refine, "show_depths", text="", icon="HIDE_OFF" if refine.show_depths else "HIDE_ON")
    column = layout.column(align=True)
    for limb, joint, unsure in worst_limbs(sigma):
        icon = DEPTH_BANDS[depth_band(unsure)][2]
        text = f"{limb.replace('_', ' ').capitalize()}: {100 * unsure:.0f} cm at the {joint.split('_')[-1]}"
        column.label(text=text, icon=icon)
    if refine.show_depths:
        row = layout.row(align=True)
        for limit, _, icon in DEPTH_BANDS:
            row.label(text=f"{100 * limit:.0f}" if limit < 1 else "more", icon=icon)


def _draw_held(layout: bpy.types.UILayout, items: bpy.types.bpy_prop_collection, icon: str) -> None:
    """A line for every span of frames, with the parts that are held there."""
    spans: dict[tuple[float, float], list[str]] = {}
    for item in holding(items):
        spans.setdefault((item.first, item.last), []).append(item.name)
    column = layout.column(align=True)
    for (first, last), names in sorted(spans.items())[:_LISTED]:
        frames = f"Frame {first:g}" if first == last else f"{first:g} to {last:g}"
        words = parts_in_words(names)
        more = f", {len(words) - _NAMED} more" if len(words) > _NAMED else ""
        column.label(text=f"{frames}: {', '.join(words[:_NAMED])}{more}", icon=icon)
    if len(spans) > _LISTED:
        column.label(text=f"{len(spans) - _LISTED} more")
