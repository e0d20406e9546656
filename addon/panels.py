"""The N-panel "LSR1": draws, computes nothing."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import bpy

from .body import mesh_of
from .body_mesh import shape_keys_of
from .footage import lens_in_words, moving_picture, render_size
from .keypoint_store import frame_count, has_keypoints
from .operators.common import target
from .operators.keypoints import outside
from .people_list import LSR1_UL_people, draw_people
from .rig_live import follows

_LISTED = 8


class _Panel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "LSR1"


class LSR1_PT_main(_Panel, bpy.types.Panel):
    """The way from a picture to a pose."""

    bl_idname = "LSR1_PT_main"
    bl_label = "LSR1 Body Fit"

    def draw(self, context: bpy.types.Context) -> None:
        """Body, picture and camera."""
        layout = self.layout
        column = layout.column(align=True)
        column.operator("lsr1.add_body", icon="OUTLINER_OB_ARMATURE")
        column.operator("lsr1.open_picture", icon="IMAGE_DATA")
        body, camera = target(context), context.scene.camera
        column = layout.column(align=True)
        column.label(text=body.name if body else "No body yet", icon="ARMATURE_DATA")
        if camera is None or camera.type != "CAMERA":
            column.label(text="No camera yet", icon="CAMERA_DATA")
            return
        width, height = render_size(context.scene)
        column.label(text=f"{camera.name}, {width} x {height} px", icon="CAMERA_DATA")
        column.label(text=lens_in_words(camera.data), icon="BLANK1")
        column.prop(camera.data, "lens", text="Lens")


class LSR1_PT_keypoints(_Panel, bpy.types.Panel):
    """Keypoints: import, choice, corrections."""

    bl_idname = "LSR1_PT_keypoints"
    bl_parent_id = "LSR1_PT_main"
    bl_label = "Keypoints"

    def draw(self, context: bpy.types.Context) -> None:
        """What is there and what can be done with it."""
        layout, scene = self.layout, context.scene
        held = scene.lsr1.keypoints
        _draw_detection(layout, scene)
        column = layout.column(align=True)
        column.operator("lsr1.import_keypoints", icon="IMPORT")
        column.operator("lsr1.place_keypoints", icon="PIVOT_CURSOR")
        layout.prop(scene.lsr1.settings, "show_overlay")
        if not has_keypoints(scene):
            return
        count = frame_count(scene)
        layout.label(text=f"{held.layout}, {count} frame{'s' if count > 1 else ''}")
        if len(held.people) > 1:
            draw_people(layout, scene, LSR1_UL_people)
        row = layout.row(align=True)
        row.label(text="Picture")
        row.prop(held, "size", text="")
        _draw_mismatch(layout, scene)
        row = layout.row(align=True)
        row.operator("lsr1.swap_sides", text="Swap Sides")
        row.operator("lsr1.clear_keypoints", text="Clear")


def _draw_detection(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """Where to look for people, the buttons, and how far it is."""
    detection = scene.lsr1.detection
    if scene.lsr1.result.is_running and detection.progress_text:
        layout.operator("lsr1.cancel_fit", icon="CANCEL")
        layout.progress(text=detection.progress_text, factor=detection.progress)
        return
    column = layout.column(align=True)
    column.operator("lsr1.detect_keypoints", icon="VIEWZOOM")
    column.operator("lsr1.detect_in_box", icon="SELECT_SET")
    if moving_picture(scene) is not None:
        column.prop(detection, "frames", text="")


def _draw_mismatch(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """What is wrong with the sizes, and the way out."""
    size, rendered = tuple(scene.lsr1.keypoints.size), render_size(scene)
    if outside(scene):
        box = layout.box()
        box.label(text="Keypoints lie outside the picture", icon="ERROR")
        box.operator("lsr1.scale_keypoints")
    elif scene.camera is None:
        box = layout.box()
        box.label(text="No camera yet", icon="ERROR")
        box.operator("lsr1.use_keypoints_size", text="Add Camera")
    elif size != rendered:
        box = layout.box()
        box.label(text=f"The render is {rendered[0]} x {rendered[1]}", icon="ERROR")
        box.operator("lsr1.use_keypoints_size")


class LSR1_PT_fit(_Panel, bpy.types.Panel):
    """The fit: options, progress, result."""

    bl_idname = "LSR1_PT_fit"
    bl_parent_id = "LSR1_PT_main"
    bl_label = "Fit"

    def draw(self, context: bpy.types.Context) -> None:
        """The button, its options and what came of it."""
        layout, data = self.layout, context.scene.lsr1
        settings, result = data.settings, data.result
        row = layout.row()
        row.scale_y = 1.4
        if result.is_running:
            row.operator("lsr1.cancel_fit", icon="CANCEL")
        else:
            row.operator("lsr1.fit_pose", icon="PLAY")
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "minimizer")
        column.prop(settings, "steps")
        for name in ("start_here", "keep_shape", "keep_root", "insert_key", "live"):
            column.prop(settings, name)
        layout.operator("lsr1.stand_on_floor", icon="VIEW_PERSPECTIVE")
        if result.iteration:
            _draw_result(layout, result)


def _draw_result(layout: bpy.types.UILayout, result: bpy.types.PropertyGroup) -> None:
    """Figures of the last fit, the worst joints first; the three worst can be pressed."""
    column = layout.column(align=True)
    column.label(text=f"Step {result.iteration}: {result.pixels:.1f} px, {result.percent:.2f} % of height")
    if result.is_running:
        return
    column.label(text=result.camera, icon="CAMERA_DATA")
    for rank, joint in enumerate(result.joints[:_LISTED]):
        row = column.row()
        if rank < 3:
            row.operator("lsr1.select_keypoint", text=joint.name, emboss=True).index = joint.index
        else:
            row.label(text=joint.name)
        row.label(text=f"{joint.pixels:.1f} px")


class LSR1_PT_shape(_Panel, bpy.types.Panel):
    """The body's shape."""

    bl_idname = "LSR1_PT_shape"
    bl_parent_id = "LSR1_PT_main"
    bl_label = "Shape"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a body that has shape keys."""
        body = target(context)
        mesh = mesh_of(body) if body else None
        return mesh is not None and mesh.data.shape_keys is not None

    def draw(self, context: bpy.types.Context) -> None:
        """A slider a component."""
        column = self.layout.column(align=True)
        for key in shape_keys_of(mesh_of(target(context))):
            if key is not None:
                column.prop(key, "value", text=key.name.replace("_", " ").capitalize(), slider=True)
        self.layout.operator("lsr1.joints_to_shape")


class LSR1_UL_joint_bones(bpy.types.UIList):
    """Joints and the bones of another rig."""

    bl_idname = "LSR1_UL_joint_bones"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.PropertyGroup,
        item: bpy.types.PropertyGroup,
        icon: int,
        active_data: bpy.types.PropertyGroup,
        active_property: str,
    ) -> None:
        """A joint and its bone, to be chosen among the rig's."""
        row = layout.split(factor=0.34)
        row.label(text=item.name.replace("_", " ").capitalize())
        row.prop_search(item, "bone", data.id_data.data, "bones", text="")


class LSR1_PT_copy(_Panel, bpy.types.Panel):
    """The body's motion for another rig."""

    bl_idname = "LSR1_PT_copy"
    bl_parent_id = "LSR1_PT_main"
    bl_label = "Copy to Another Rig"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """The rig, its bones, the frames, baked or live."""
        layout = self.layout
        layout.prop(context.scene.lsr1, "copy_target")
        rig = context.scene.lsr1.copy_target
        if rig is None:
            return
        held = rig.lsr1_copy
        found = sum(bool(row.bone) for row in held.joints)
        row = layout.row()
        row.label(text=f"{held.kind or 'Unknown rig'}: {found} joints")
        row.operator("lsr1.guess_bones", text="", icon="FILE_REFRESH")
        layout.template_list("LSR1_UL_joint_bones", "", held, "joints", held, "active", rows=6)
        if 0 <= held.active < len(held.joints):
            # Long names are cut in the list.
            layout.prop_search(held.joints[held.active], "bone", rig.data, "bones", text="")
        row = layout.row(align=True)
        row.prop(held, "first", text="First")
        row.prop(held, "last", text="Last")
        layout.operator("lsr1.copy_motion", icon="ACTION")
        if not follows(rig):
            layout.operator("lsr1.follow_live", icon="LINKED")
        else:
            layout.operator("lsr1.stop_live", icon="UNLINKED")
