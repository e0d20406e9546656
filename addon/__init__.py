"""The add-on: Blender's face on the solver."""

import bpy

from . import properties

CLASSES = (properties.LSR1_PG_body,)


def register() -> None:
    """Tell Blender of every class, in order, and hang the settings on scenes and objects."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.lsr1_body = bpy.props.PointerProperty(type=properties.LSR1_PG_body)


def unregister() -> None:
    """The mirror of ``register``."""
    del bpy.types.Object.lsr1_body
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
