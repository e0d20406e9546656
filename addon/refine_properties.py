"""What the scene remembers about refining a fit by hand, and a body about its locks and pins."""
# ruff: noqa: N801 - Blender reads the kind of a class from its name

from typing import NamedTuple

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

# What a body of another file may have otherwise here: without it Blender lets nothing be added, and forgets.
OVERRIDABLE, GROWS = {"LIBRARY_OVERRIDABLE"}, {"LIBRARY_OVERRIDABLE", "USE_INSERTION"}
# Custom properties of poses to choose from.
WORDS, ENERGIES = "words", "energies"
SPAN_ITEMS = [
    ("FRAME", "This Frame", "The current frame alone"),
    ("AROUND", "Around This Frame", "The frames around the current one, the less the farther away they are"),
    ("RANGE", "First and Last", "From one scene frame to another"),
]
EDIT_ITEMS = [
    ("LOCK", "Keep Exactly", "Bones that were changed by hand since the last fit stay exactly as they are"),
    ("HINT", "Strong Hint", "The fit may correct bones that were changed by hand, a little"),
]
LIMB_ITEMS = [
    ("left_arm", "Left Arm", "From the shoulder to the hand", 1),
    ("right_arm", "Right Arm", "From the shoulder to the hand", 2),
    ("left_leg", "Left Leg", "From the hip to the foot", 4),
    ("right_leg", "Right Leg", "From the hip to the foot", 8),
    ("torso", "Torso", "The pelvis' direction, spine, collars, neck and head", 16),
    ("transl", "Place", "Where the pelvis is", 32),
]
PIN_ITEMS = [
    ("OBJECT", "Object", "Follow the object that is selected beside the body"),
    ("FLOOR", "Floor", "Stay here, on the floor: world height 0"),
    ("CURSOR", "3D Cursor", "Stay where the 3D cursor is now"),
]


class LSR1_PG_lock(bpy.types.PropertyGroup):
    """Of a body: a part that fits leave as it is; its name is the part's."""

    first: FloatProperty(name="First", description="The first scene frame of the lock", override=OVERRIDABLE)
    last: FloatProperty(name="Last", description="The last scene frame of the lock", override=OVERRIDABLE)


class LSR1_PG_pin(bpy.types.PropertyGroup):
    """Of a body: a joint that is drawn to a place; its name is the joint's."""

    first: FloatProperty(name="First", description="The first scene frame of the pin", override=OVERRIDABLE)
    last: FloatProperty(name="Last", description="The last scene frame of the pin", override=OVERRIDABLE)
    thing: PointerProperty(
        name="Object",
        description="The joint follows this object's origin",
        type=bpy.types.Object,
        override=OVERRIDABLE,
    )
    place: FloatVectorProperty(
        name="Place",
        description="Where the joint shall be in the world",
        subtype="XYZ",
        unit="LENGTH",
        override=OVERRIDABLE,
    )
    sigma: FloatProperty(
        name="Within",
        description="How near the joint is drawn to its place: one standard deviation",
        default=0.005,
        min=0.0005,
        soft_max=0.1,
        precision=4,
        unit="LENGTH",
        override=OVERRIDABLE,
    )


class Found(NamedTuple):
    """One of the poses to choose from: where it comes from, and its energy."""

    name: str
    energy: float


class LSR1_PG_solutions(bpy.types.PropertyGroup):
    """Of a body: poses to choose from. The numbers are in custom properties: see ``solution_store``.

    All are of one file: an override has its own until it is saved, and then the other file's again.
    """

    # The limb whose flips they are; empty: all solutions of a frame.
    limb: StringProperty()
    # What they depend on: keypoints, camera, locks and settings.
    key: StringProperty()
    # Which one the bones show, and which one was there before the search.
    shown: IntProperty()
    first: IntProperty()

    @property
    def found(self) -> list[Found]:
        """The poses, in the order of the clicks."""
        words, energies = self.get(WORDS, ""), self.get(ENERGIES, ())
        return [Found(*own) for own in zip(words.split("\n"), energies, strict=True)] if words else []


class LSR1_PG_refine(bpy.types.PropertyGroup):
    """How to refine."""

    span: EnumProperty(name="Frames", description="Which frames may change", items=SPAN_ITEMS)
    first: IntProperty(name="First", description="The first scene frame that may change", default=1)
    last: IntProperty(name="Last", description="The last scene frame that may change", default=250)
    falloff: IntProperty(
        name="Falloff",
        description="So many frames away the correction has died away",
        default=8,
        min=1,
        soft_max=60,
    )
    edits: EnumProperty(
        name="By Hand", description="What becomes of bones that were changed by hand", items=EDIT_ITEMS
    )
    limbs: EnumProperty(
        name="May Change",
        description="Which parts of the body may change. Shift-click for several",
        items=LIMB_ITEMS,
        options={"ENUM_FLAG"},
        default={item[0] for item in LIMB_ITEMS},
    )
    show_depths: BoolProperty(
        name="Show in View",
        description="Draw the body's limbs over the camera view, as wide as their depth is unsure",
    )
    pin_to: EnumProperty(name="Pin to", description="What the joint is drawn to", items=PIN_ITEMS)
