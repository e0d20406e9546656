"""Import Keypoints, the choice among people, and corrections of all points at once."""
# ruff: noqa: N801, RUF012 - Blender's way of naming and describing classes

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
from bpy.props import BoolProperty, EnumProperty, IntProperty, IntVectorProperty, StringProperty

from ...lsr1_solver import FitError, Keypoints2D, read_keypoints
from ..footage import render_size
from ..keypoint_store import clear, middle, reach, scale, store, swap_sides
from ..pictures import start_with_picture
from ..properties import FORMAT_ITEMS
from ..timing import first_scene_frame, set_clip_times
from ..tracks import choose_track, list_people
from .common import is_idle, keypoints_free, keypoints_there, redraw, told

# People listed for the choice: a crowd has more, but nobody looks for the hundredth by number.
_MOST_LISTED = 50
# Points of people at the border lie a little outside the picture.
_OUTSIDE = 1.1
_LARGEST_NUMBER = 2**31 - 1


class LSR1_OT_import_keypoints(bpy.types.Operator):
    """Read keypoints of OpenPose, MediaPipe, COCO, AlphaPose, MMPose, DeepLabCut and others: a file, \
or a folder with a file a frame"""

    bl_idname = "lsr1.import_keypoints"
    bl_label = "Import Keypoints"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    format: EnumProperty(name="Format", description="The order of the points", items=FORMAT_ITEMS)
    person: IntProperty(
        name="Person", description="Which of the people, the most prominent first", default=1, min=1
    )
    whole_folder: BoolProperty(
        name="All Files of the Folder",
        description="The file is one frame of a clip, whose other frames lie beside it",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """While nothing is being fitted."""
        return keypoints_free(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file."""
        if self.filepath:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Read the people and take one."""
        if self.whole_folder and not Path(bpy.path.abspath(self.filepath)).is_dir():
            self.filepath = str(Path(self.filepath).parent)
        with told(self):
            people, are_fractions = _people(context.scene, self.filepath, self.format)
            chosen = min(self.person, len(people)) - 1
            held = context.scene.lsr1.keypoints
            clear(context.scene)
            held.source, held.read_as = self.filepath, self.format
            _take(context.scene, people[chosen], chosen)
            held.are_fractions = are_fractions
            list_people(context.scene, people[: max(_MOST_LISTED, chosen + 1)], chosen)
            _begin_where_the_file_does(context.scene, people[chosen])
            self.report(*_what_was_read(context.scene, people, chosen))
            redraw(context)
            return {"FINISHED"}
        return {"CANCELLED"}


class LSR1_OT_choose_person(bpy.types.Operator):
    """Take the keypoints of this person of the file"""

    bl_idname = "lsr1.choose_person"
    bl_label = "Choose Person"
    bl_options = {"REGISTER", "UNDO"}

    person: IntProperty(min=1, default=1)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With people to choose among."""
        if not context.scene.lsr1.keypoints.people:
            cls.poll_message_set("There is nobody to choose: press Detect Keypoints or Import Keypoints")
            return False
        return keypoints_free(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make it the scene's keypoints."""
        held = context.scene.lsr1.keypoints
        with told(self):
            if self.person > len(held.people):
                raise FitError(
                    f"There are {len(held.people)} people in the list: import the keypoints again, "
                    f"with Person {self.person}"
                )
            choose_track(context.scene, self.person - 1)
            redraw(context)
            return {"FINISHED"}
        return {"CANCELLED"}


class LSR1_OT_scale_keypoints(bpy.types.Operator):
    """Scale the keypoints from the size of the picture that they were detected in to the render size"""

    bl_idname = "lsr1.scale_keypoints"
    bl_label = "Scale Keypoints to Render"
    bl_options = {"REGISTER", "UNDO"}

    size: IntVectorProperty(
        name="Detected in",
        description="Width and height in pixels of the picture that the detector saw",
        size=2,
        min=1,
        default=(1920, 1080),
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With keypoints."""
        return keypoints_there(cls, context) and keypoints_free(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the size, with a guess."""
        self.size = _likely_size(context.scene)
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Scale all frames."""
        context.scene.lsr1.keypoints.size = self.size
        scale(context.scene, render_size(context.scene))
        redraw(context)
        return {"FINISHED"}


class LSR1_OT_swap_sides(bpy.types.Operator):
    """Exchange left and right of all keypoints at this frame"""

    bl_idname = "lsr1.swap_sides"
    bl_label = "Swap Left and Right"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With keypoints."""
        return keypoints_there(cls, context) and is_idle(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Swap."""
        swap_sides(context.scene, context.scene.frame_current_final)
        redraw(context)
        return {"FINISHED"}


class LSR1_OT_clear_keypoints(bpy.types.Operator):
    """Take all keypoints out of the scene"""

    bl_idname = "lsr1.clear_keypoints"
    bl_label = "Clear Keypoints"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With keypoints."""
        return keypoints_there(cls, context) and keypoints_free(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Clear."""
        clear(context.scene)
        redraw(context)
        return {"FINISHED"}


class LSR1_OT_select_keypoint(bpy.types.Operator):
    """Point at this keypoint in the view"""

    bl_idname = "lsr1.select_keypoint"
    bl_label = "Select Keypoint"
    bl_options = {"INTERNAL", "UNDO"}

    index: IntProperty()

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With keypoints."""
        return keypoints_there(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Mark it."""
        context.scene.lsr1.keypoints.active = self.index
        redraw(context)
        return {"FINISHED"}


def _people(scene: bpy.types.Scene, path: str, format: str) -> tuple[list[Keypoints2D], bool]:
    """The people of a file; fractions of a picture become pixels of the render, and whether they were some.

    Their ``image_size`` is None where the file doesn't say of which picture they are.
    """
    file, known = bpy.path.abspath(path), None if format in ("AUTO", "") else format
    try:
        return read_keypoints(file, format=known), False
    except FitError as error:
        if "size" not in str(error):
            raise
        people = read_keypoints(file, format=known, image_size=render_size(scene))
        return [replace(person, image_size=None) for person in people], True


def _take(scene: bpy.types.Scene, person: Keypoints2D, number: int) -> None:
    store(scene, person, person.image_size or render_size(scene))
    held = scene.lsr1.keypoints
    held.person, held.size_is_assumed = number + 1, person.image_size is None


def _begin_where_the_file_does(scene: bpy.types.Scene, person: Keypoints2D) -> None:
    """A clip's first picture is at frame 1, also where its files are counted from 0, or where the picture
    behind the camera is.
    """
    held, number = scene.lsr1.keypoints, int(person.numbers[0])
    # A time stamp in place of a number may be longer than Blender's integers.
    held.first_number = number if number <= _LARGEST_NUMBER else 0
    held.start_frame, held.offset = first_scene_frame(number, len(person)), 0
    set_clip_times(scene, None)
    start_with_picture(scene)


def _what_was_read(scene: bpy.types.Scene, people: list[Keypoints2D], chosen: int) -> tuple[set[str], str]:
    """The kind and the text of the operator's report."""
    person, held = people[chosen], scene.lsr1.keypoints
    text = f"{person.format.name}, person {chosen + 1} of {len(people)}, {len(person)} frames"
    size = tuple(held.size)
    if min(middle(scene)) < 0:
        return {"WARNING"}, (
            f"{text}. They lie left of the picture or above it: right are pixels from its top left corner"
        )
    if outside(scene):
        right, low = reach(scene)
        return {"WARNING"}, (
            f"{text}. They reach {right:.0f} x {low:.0f}, the picture is {size[0]} x {size[1]}: "
            "open the right picture or press Scale Keypoints"
        )
    if size != render_size(scene):
        rendered = render_size(scene)
        return {"WARNING"}, (
            f"{text}. Their picture is {size[0]} x {size[1]}, the render {rendered[0]} x {rendered[1]}: "
            "press Use Keypoints' Size"
        )
    return {"INFO"}, text


def outside(scene: bpy.types.Scene) -> bool:
    """Whether keypoints lie outside the picture that they should belong to."""
    size = scene.lsr1.keypoints.size
    return any(far > _OUTSIDE * side for far, side in zip(reach(scene), size, strict=True))


def _likely_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """A usual size with the render's proportions that holds all keypoints."""
    rendered = np.array(render_size(scene))
    need = max(far / side for far, side in zip(reach(scene), rendered, strict=True))
    usual = (640, 960, 1280, 1920, 2560, 3840, 4096, 7680)
    longer = next((size for size in usual if size >= need * rendered.max()), usual[-1])
    width, height = np.round(rendered * longer / rendered.max()).astype(int).tolist()
    return width, height
