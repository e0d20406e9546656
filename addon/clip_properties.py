"""What the scene remembers about fitting clips, and an action about the take that it is."""
# ruff: noqa: N801 - Blender reads the kind of a class from its name

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    StringProperty,
)

RANGE_ITEMS = [
    ("KEYPOINTS", "All Keypoints", "From the first keypoints to the last"),
    ("SCENE", "Scene Range", "The scene's frame range, or the preview range where it is on"),
    ("CUSTOM", "First and Last", "From one scene frame to another"),
]
GAP_ITEMS = [
    ("BRIDGE", "Interpolated", "Frames without keypoints get keys, too, from the motion around them"),
    ("NO_KEYS", "Left Unkeyed", "Frames without keypoints get no keys"),
]
INTERPOLATION_ITEMS = [
    ("BEZIER", "Bezier", "Smooth between keys, without overshooting them"),
    ("LINEAR", "Linear", "Straight from key to key"),
]
CANCEL_ITEMS = [
    ("RESTORE", "Restore", "Esc brings everything back to how it was"),
    ("KEEP", "Keep So Far", "Esc keeps the motion as far as it has come"),
]


class LSR1_PG_bad_frame(bpy.types.PropertyGroup):
    """A frame of a take that needs a look; its name is the reason."""

    frame: FloatProperty()


class LSR1_PG_take(bpy.types.PropertyGroup):
    """Of an action that Fit Clip wrote: whose motion, and where it is doubtful, the worst first.

    Figures of every row are arrays in custom properties: see ``takes``.
    """

    track: StringProperty()
    bad: CollectionProperty(type=LSR1_PG_bad_frame)
    shown: IntProperty(default=-1)


class LSR1_PG_clip(bpy.types.PropertyGroup):
    """How to fit a clip."""

    frame_range: EnumProperty(name="Range", description="Which frames are fitted", items=RANGE_ITEMS)
    first: IntProperty(name="First", description="The first scene frame to fit", default=1)
    last: IntProperty(name="Last", description="The last scene frame to fit", default=250)
    smoothness: FloatProperty(
        name="Smoothness",
        description="How much the frames are tied to one another: 0 fits each on its own",
        default=1.0,
        min=0.0,
        soft_max=4.0,
    )
    feet: FloatProperty(
        name="Foot Lock",
        description="How firmly feet that stand are held in their place: 0 lets them slide",
        default=1.0,
        min=0.0,
        soft_max=4.0,
    )
    gaps: EnumProperty(name="Gaps", description="What becomes of frames without keypoints", items=GAP_ITEMS)
    interpolation: EnumProperty(
        name="Interpolation", description="The motion between two keys", items=INTERPOLATION_ITEMS
    )
    set_rate: BoolProperty(
        name="Scene at Clip Rate",
        description="Play the scene at the video's frames a second. Other animation changes its speed",
    )
    reduce: BoolProperty(
        name="Fewer Keys", description="Leave out keys that the motion between the others does without"
    )
    error: FloatProperty(
        name="Within",
        description="How far any bone may turn from the motion with all keys, degrees",
        default=1.0,
        min=0.01,
        soft_max=10.0,
        precision=2,
    )
    on_cancel: EnumProperty(name="Esc", description="What Esc leaves", items=CANCEL_ITEMS)
    progress: FloatProperty(options={"HIDDEN", "SKIP_SAVE"})
    progress_text: StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    # Of the last clip, for the time that the next one will take.
    seconds_a_frame: FloatProperty(default=0.005, options={"HIDDEN"})
