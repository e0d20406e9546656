"""LSR1 Body Fit: the extension's door.

Blender wants it at the root. It knocks at `addon` only when Blender asks, so that plain Python, which has no
`bpy`, can walk past it.
"""

import sys


def register() -> None:
    """Add the operators, panels and properties to Blender."""
    from . import addon

    addon.register()


def unregister() -> None:
    """Take away everything that `register` added."""
    from . import addon

    addon.unregister()
    # Without its modules, enabling the extension again reads the files as they are by then.
    package = __name__ + "."
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]
        globals().pop(name.removeprefix(package), None)
