"""Open Picture, and a camera or render size for the keypoints."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

import bpy
from bpy.props import BoolProperty, StringProperty

from ..pictures import add_camera, open_picture, set_render_size
from .common import is_idle, keypoints_there, told


class LSR1_OT_open_picture(bpy.types.Operator):
    """Show a photo or a movie behind the camera and render in its size. The lens is taken from the photo \
where it tells, and otherwise stays"""

    bl_idname = "lsr1.open_picture"
    bl_label = "Open Picture"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    sequence: BoolProperty(
        name="Image Sequence",
        description="The file is one of a clip's numbered images",
        options={"SKIP_SAVE"},
    )
    filter_image: BoolProperty(default=True, options={"HIDDEN"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """While nothing is being fitted."""
        return is_idle(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file."""
        if self.filepath:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Open it, and say what was changed."""
        with told(self):
            self.report({"INFO"}, open_picture(context, self.filepath, sequence=self.sequence))
            return {"FINISHED"}
        return {"CANCELLED"}


class LSR1_OT_use_keypoints_size(bpy.types.Operator):
    """Render in the size of the picture that the keypoints belong to; a scene without a camera gets one"""

    bl_idname = "lsr1.use_keypoints_size"
    bl_label = "Use Keypoints' Size"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With keypoints."""
        return keypoints_there(cls, context) and is_idle(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Set the render size."""
        size = tuple(context.scene.lsr1.keypoints.size)
        if context.scene.camera is None:
            add_camera(context)
        set_render_size(context.scene, size)
        self.report({"INFO"}, f"The render size is {size[0]} x {size[1]}")
        return {"FINISHED"}
