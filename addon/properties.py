"""What the scene and the objects remember."""
# ruff: noqa: N801 - Blender reads the kind of a class from its name

import bpy
from bpy.props import BoolProperty, FloatVectorProperty, StringProperty

from .body_files import SHAPE_COUNT


class LSR1_PG_body(bpy.types.PropertyGroup):
    """Of an armature: which body it is."""

    is_ours: BoolProperty(options={"HIDDEN"})
    model_file: StringProperty(
        name="Body File",
        description="The SMPL file of this body; empty: the open body that comes with the add-on",
        subtype="FILE_PATH",
    )
    betas: FloatVectorProperty(size=SHAPE_COUNT, options={"HIDDEN"})
