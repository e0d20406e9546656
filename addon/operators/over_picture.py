"""What tools over the camera's picture share: where the mouse is, and what the header says."""

import bpy
import numpy as np

from ..footage import camera_frame
from ..overlay_data import Frame
from .common import keypoints_free, over_panel, redraw
from .own_scene import InOwnScene

# The view may be moved and zoomed meanwhile.
PASSED_ON = {"MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE", "TRACKPADPAN", "TRACKPADZOOM"}


def in_camera_view(cls: type[bpy.types.Operator], context: bpy.types.Context, what: str) -> bool:
    """Whether there are a 3D view and a camera, and nothing is being fitted; says what is missing."""
    if context.area is None or context.area.type != "VIEW_3D":
        cls.poll_message_set(f"{what} in a 3D view")
        return False
    if context.scene.camera is None:
        cls.poll_message_set("There is no camera: add one, or press Open Picture")
        return False
    return keypoints_free(cls, context)


class OverPicture(InOwnScene):
    """What a modal operator over one 3D view inherits beside Blender's own class.

    It keeps to the scene in which it began, and to its view. Every event begins with ``lost``.
    """

    # Good for one event: Blender frees a region with its area, whoever still holds it. Its address stays.
    _region: bpy.types.Region
    _address: int

    def look(self, context: bpy.types.Context) -> None:
        """Look through the camera in the view that the tool was started in."""
        self.begin_here(context)
        # Of a quad view's four the last has the camera.
        *_, self._region = (region for region in context.area.regions if region.type == "WINDOW")
        self._address = self._region.as_pointer()
        context.space_data.region_3d.view_perspective = "CAMERA"

    def lost(self, context: bpy.types.Context) -> str:
        """Find scene and view again. What is lost by now, as half a sentence; "" where the tool can go on."""
        lost = self.scene_lost(context)
        if lost:
            return lost
        areas = (area for area in context.window.screen.areas if area.type == "VIEW_3D")
        regions = (region for area in areas for region in area.regions)
        found = next((region for region in regions if region.as_pointer() == self._address), None)
        if found is None:
            return "its 3D view is no longer shown"
        self._region = found
        return ""

    def leave(self, context: bpy.types.Context, lost: str) -> set[str]:
        """End the tool, for what it lacks."""
        self.cancel(context)
        self.report({"INFO"}, f"Cancelled, for {lost}")
        return {"CANCELLED"}

    def is_inside(self, context: bpy.types.Context, event: bpy.types.Event) -> bool:
        """Whether keys and clicks are the tool's: over its view, and not over the sidebar."""
        x, y = self.mouse(event)
        inside = 0 <= x < self._region.width and 0 <= y < self._region.height
        return bool(inside) and not over_panel(context, event)

    def mouse(self, event: bpy.types.Event) -> np.ndarray:
        """Where the mouse is in the view [2], pixels from its bottom left."""
        return np.array([event.mouse_x - self._region.x, event.mouse_y - self._region.y], dtype=float)

    def frame(self, context: bpy.types.Context, size: tuple[int, int]) -> Frame | None:
        """Where the camera's picture of this size is in the view; None outside the camera view."""
        return camera_frame(context.scene, self._region, self._region.data, size)

    def say(self, context: bpy.types.Context, what: str, keys: str) -> None:
        """What to do now and the keys, in the header; the keys in the status bar."""
        for area in context.window.screen.areas:
            if area.type == "VIEW_3D":
                area.header_text_set(f"{what}    {keys}")
        self.set_status(context, keys)
        redraw(context)

    def fall_silent(self, context: bpy.types.Context) -> None:
        """Header and status bar are Blender's again."""
        self.clear_status(context)
        for area in context.window.screen.areas:
            if area.type == "VIEW_3D":
                area.header_text_set(None)
        redraw(context)
