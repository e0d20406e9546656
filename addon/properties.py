"""What the scene, the objects and the preferences remember: saved in the file, undone and copied with it."""
# ruff: noqa: N801 - Blender reads the kind of a class from its name

from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    IntVectorProperty,
    PointerProperty,
    StringProperty,
)

from ..lsr1_solver import FORMATS, MINIMIZERS, SMPL_JOINT_NAMES
from .body_files import SHAPE_COUNT
from .clip_properties import LSR1_PG_clip
from .refine_properties import (
    GROWS,
    OVERRIDABLE,
    LSR1_PG_lock,
    LSR1_PG_pin,
    LSR1_PG_refine,
    LSR1_PG_solutions,
)
from .rig_mapping import guess_mapping
from .timing import KEYS_AT_ITEMS

ROOT_PACKAGE = __package__.rpartition(".")[0]
_MINIMIZER_WORDS = {
    "lm": ("Levenberg-Marquardt", "Second order: few steps, each solves a small linear system"),
    "lbfgs": ("L-BFGS", "Quasi-Newton with limited memory: cheap steps, more of them"),
    "sr1": ("SR1", "The classical symmetric rank-one quasi-Newton method"),
    "adam": ("Adam", "First order: many small steps, for comparison"),
    "lsr1": ("L-SR1", "The learned symmetric rank-one method"),
}
MINIMIZER_ITEMS = [
    (key, *_MINIMIZER_WORDS.get(key.replace("-", "").lower(), (key, "A minimizer of the solver")))
    for key in MINIMIZERS
]
FORMAT_ITEMS = [
    ("AUTO", "From the File", "What the file says or its number of points tells"),
    *((name, name, f"{len(layout)} points") for name, layout in FORMATS.items()),
]
DETECT_ITEMS = [
    ("CLIP", "Whole Clip", "In all frames of the movie or the image sequence behind the camera"),
    ("SCENE", "Scene Range", "In the scene's frame range, or the preview range where it is on"),
    ("FRAME", "This Frame", "In the frame that is shown"),
]


class LSR1_PG_body(bpy.types.PropertyGroup):
    """Of an armature: which body it is."""

    is_ours: BoolProperty(options={"HIDDEN"}, override=OVERRIDABLE)
    model_file: StringProperty(
        name="Body File",
        description="The SMPL file of this body; empty: the open body that comes with the add-on",
        subtype="FILE_PATH",
        override=OVERRIDABLE,
    )
    # The shape for which the rest bones stand.
    betas: FloatVectorProperty(size=SHAPE_COUNT, options={"HIDDEN"}, override=OVERRIDABLE)
    # What stands still. Keyed by Fit Clip, changed by the animator, held by Solve Again.
    left_heel: BoolProperty(
        name="Left Heel", description="The left heel stands still here", override=OVERRIDABLE
    )
    left_big_toe: BoolProperty(
        name="Left Toes", description="The left toes stand still here", override=OVERRIDABLE
    )
    right_heel: BoolProperty(
        name="Right Heel", description="The right heel stands still here", override=OVERRIDABLE
    )
    right_big_toe: BoolProperty(
        name="Right Toes", description="The right toes stand still here", override=OVERRIDABLE
    )
    # One standard deviation of each joint's depth about the pelvis', metres; see ``depths``.
    has_depths: BoolProperty(options={"HIDDEN"}, override=OVERRIDABLE)
    depths: FloatVectorProperty(size=len(SMPL_JOINT_NAMES), options={"HIDDEN"}, override=OVERRIDABLE)
    depths_frame: FloatProperty(options={"HIDDEN"}, override=OVERRIDABLE)
    locks: CollectionProperty(type=LSR1_PG_lock, override=GROWS)
    pins: CollectionProperty(type=LSR1_PG_pin, override=GROWS)
    solutions: PointerProperty(type=LSR1_PG_solutions)


class LSR1_PG_person(bpy.types.PropertyGroup):
    """One of the people in the keypoint file: its track, kept in custom properties (see ``tracks``)."""

    summary: StringProperty()
    # Rows of the keypoints, the first and the last in which the person is seen.
    first: IntProperty()
    last: IntProperty()
    use: BoolProperty(name="Fit", description="Fit Clip fits this track, too, with a body of its own")
    body: PointerProperty(
        name="Body",
        description="The body that this track moves; empty: the one that is selected, else a new one",
        type=bpy.types.Object,
    )


def _chosen_line(held: bpy.types.PropertyGroup) -> int:
    return held.person - 1


def _leave_line(held: bpy.types.PropertyGroup, line: int) -> None:
    pass


class LSR1_PG_keypoints(bpy.types.PropertyGroup):
    """The keypoints of the scene. The numbers are arrays in custom properties: see ``keypoint_store``."""

    layout: StringProperty()
    names: StringProperty()
    source: StringProperty(name="File", description="Where the keypoints come from", subtype="FILE_PATH")
    read_as: StringProperty()
    person: IntProperty()
    people: CollectionProperty(type=LSR1_PG_person)
    # The line of the lists that is lit: the chosen person's. A click on one chooses by its operator.
    listed: IntProperty(get=_chosen_line, set=_leave_line, options={"HIDDEN", "SKIP_SAVE"})
    size: IntVectorProperty(
        name="Picture Size",
        description="Width and height in pixels of the picture that the keypoints belong to",
        size=2,
        min=1,
    )
    # The file did not say the picture's size: the next picture that is opened does.
    size_is_assumed: BoolProperty(options={"HIDDEN"})
    # The file gave fractions of its picture.
    are_fractions: BoolProperty(options={"HIDDEN"})
    start_frame: IntProperty(
        name="Start Frame",
        description="The scene frame at which the first keypoints are shown",
        default=1,
    )
    keys_at: EnumProperty(
        name="Keys", description="Which scene frame belongs to a frame of the video", items=KEYS_AT_ITEMS
    )
    frame_rate: FloatProperty(
        name="Clip Rate",
        description="Frames a second of the video; 29.97 and 23.976 stand for 30000/1001 and 24000/1001",
        default=30.0,
        min=0.1,
        soft_max=240.0,
        precision=3,
    )
    step: IntProperty(
        name="Step", description="Scene frames from one frame of the video to the next", default=1, min=1
    )
    offset: IntProperty(
        name="Offset", description="Frames of the video by which the keypoints are moved, later or earlier"
    )
    # The number that the file gives the first frame.
    first_number: IntProperty(options={"HIDDEN"})
    active: IntProperty(default=-1)


class LSR1_PG_joint(bpy.types.PropertyGroup):
    """One keypoint's reprojection after a fit."""

    index: IntProperty()
    pixels: FloatProperty()


class LSR1_PG_result(bpy.types.PropertyGroup):
    """What the last fit has to say."""

    is_running: BoolProperty(options={"SKIP_SAVE"})
    # A tool over the picture has the keypoints in hand.
    is_placing: BoolProperty(options={"SKIP_SAVE"})
    # The mesh shows a shape that the rest bones do not stand for yet.
    is_preview: BoolProperty(options={"SKIP_SAVE"})
    iteration: IntProperty()
    pixels: FloatProperty()
    percent: FloatProperty()
    words: StringProperty()
    camera: StringProperty()
    joints: CollectionProperty(type=LSR1_PG_joint)


class LSR1_PG_joint_bone(bpy.types.PropertyGroup):
    """Of another rig: a joint, by its name, and the bone that stands for it."""

    bone: StringProperty(
        name="Bone", description="The bone that moves as this joint does; empty: none", override=OVERRIDABLE
    )


class LSR1_PG_copy(bpy.types.PropertyGroup):
    """Of another rig: what the copy of a body's motion to it needs to know."""

    kind: StringProperty(override=OVERRIDABLE)
    joints: CollectionProperty(type=LSR1_PG_joint_bone, override=GROWS)
    active: IntProperty(override=OVERRIDABLE)
    first: IntProperty(
        name="First Frame",
        description="The first scene frame that is copied",
        default=1,
        override=OVERRIDABLE,
    )
    last: IntProperty(
        name="Last Frame",
        description="The last scene frame that is copied",
        default=250,
        override=OVERRIDABLE,
    )
    # While it follows live: the hidden armature that it copies, and how its switches were before.
    helper: PointerProperty(type=bpy.types.Object, override=OVERRIDABLE)
    before: StringProperty(override=OVERRIDABLE)


class LSR1_PG_detection(bpy.types.PropertyGroup):
    """What is detected, and how far it is."""

    frames: EnumProperty(name="Frames", description="Where people are looked for", items=DETECT_ITEMS)
    progress: FloatProperty(options={"HIDDEN", "SKIP_SAVE"})
    progress_text: StringProperty(options={"HIDDEN", "SKIP_SAVE"})


class LSR1_PG_settings(bpy.types.PropertyGroup):
    """How to fit and what to show."""

    minimizer: EnumProperty(
        name="Minimizer", description="How the fit looks for the pose", items=MINIMIZER_ITEMS
    )
    steps: IntProperty(
        name="Steps", description="The most steps that a fit takes", default=60, min=1, soft_max=500
    )
    start_here: BoolProperty(
        name="From This Pose",
        description="Begin at the pose that the body has, not upright at eight directions",
    )
    keep_shape: BoolProperty(
        name="Keep Shape", description="Fit the pose alone; stature and build stay as they are"
    )
    keep_root: BoolProperty(
        name="Keep Root",
        description="The pelvis stays where it is, turned as it is; only the joints are fitted",
    )
    insert_key: BoolProperty(name="Insert Keyframe", description="Key the fitted pose at the current frame")
    live: BoolProperty(name="Live", description="While a keypoint is dragged, the pose follows")
    show_overlay: BoolProperty(
        name="Keypoints in View",
        description="Draw keypoints, the body's own points and their differences over the camera view",
        default=True,
    )


def _is_armature(_scene: bpy.types.PropertyGroup, obj: bpy.types.Object) -> bool:
    return obj.type == "ARMATURE"


def _target_chosen(data: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """A rig that is chosen for the first time gets its bones guessed and the scene's frames."""
    rig = data.copy_target
    if rig is not None and not rig.lsr1_copy.joints:
        guess_mapping(rig)
        rig.lsr1_copy.first, rig.lsr1_copy.last = context.scene.frame_start, context.scene.frame_end


class LSR1_PG_scene(bpy.types.PropertyGroup):
    """All that the scene remembers."""

    picture: StringProperty()
    copy_target: PointerProperty(
        name="Rig",
        description="The rig to which the body's motion is copied",
        type=bpy.types.Object,
        poll=_is_armature,
        update=_target_chosen,
    )
    keypoints: PointerProperty(type=LSR1_PG_keypoints)
    detection: PointerProperty(type=LSR1_PG_detection)
    result: PointerProperty(type=LSR1_PG_result)
    settings: PointerProperty(type=LSR1_PG_settings)
    clip: PointerProperty(type=LSR1_PG_clip)
    refine: PointerProperty(type=LSR1_PG_refine)


class LSR1_AP_preferences(bpy.types.AddonPreferences):
    """Of the add-on: the user's own files."""

    bl_idname = ROOT_PACKAGE

    model_file: StringProperty(
        name="SMPL File",
        description="Your own SMPL body (.pkl or .npz, 24 joints) for Add Body; empty: the open body",
        subtype="FILE_PATH",
    )

    landmark_model: StringProperty(
        name="Landmark Model",
        description="A larger model for Detect Keypoints (.onnx, made by assets/detector/make_detector.py); "
        "empty: the one that comes with the add-on",
        subtype="FILE_PATH",
    )

    def draw(self, context: bpy.types.Context) -> None:
        """The preferences' panel."""
        self.layout.prop(self, "model_file")
        self.layout.prop(self, "landmark_model")


def preferred_model_file(context: bpy.types.Context) -> str:
    """The user's SMPL file, or "" for the open body."""
    chosen = _preferences(context)
    return chosen.model_file if chosen else ""


def preferred_landmark_model(context: bpy.types.Context) -> Path | None:
    """The user's model for detection, or None for the add-on's own."""
    chosen = _preferences(context)
    return Path(bpy.path.abspath(chosen.landmark_model)) if chosen and chosen.landmark_model else None


def _preferences(context: bpy.types.Context) -> bpy.types.AddonPreferences | None:
    addon = context.preferences.addons.get(ROOT_PACKAGE)
    return addon.preferences if addon else None
