"""LSR1 Body Fit: the extension's door.

Blender wants it at the root. It knocks at `addon` only when Blender asks, so that plain Python, which has no
`bpy`, can walk past it.
"""


def register() -> None:
    """Add the operators, panels and properties to Blender."""
    from . import addon

    addon.register()


def unregister() -> None:
    """Take away everything that `register` added."""
    from . import addon

    addon.unregister()
