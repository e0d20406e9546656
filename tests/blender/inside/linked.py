"""Runs inside a Blender, as a program, with a working tree linked by `build.py dev`: an edit can be seen.

Usage: linked.py TREE, with BLENDER_USER_RESOURCES naming the Blender's folder.
"""

import sys
from pathlib import Path

import bpy

MODULE = "bl_ext.user_default.lsr1_body_fit"
LABEL = 'bl_label = "LSR1 Body Fit"'


def main(tree: Path) -> None:
    """Enable, edit, disable and enable, uninstall."""
    bpy.ops.preferences.addon_enable(module=MODULE)
    assert MODULE in bpy.context.preferences.addons, "the linked extension was refused"
    assert bpy.ops.lsr1.add_body() == {"FINISHED"}

    panels = tree / "addon" / "panels.py"
    text = panels.read_text(encoding="utf-8")
    assert text.count(LABEL) == 1
    panels.write_text(text.replace(LABEL, 'bl_label = "Edited"'), encoding="utf-8")
    bpy.ops.preferences.addon_disable(module=MODULE)
    bpy.ops.preferences.addon_enable(module=MODULE)
    assert bpy.types.LSR1_PT_main.bl_label == "Edited", "the edit cannot be seen"
    # Blender 4.2 as a module crashes at its end after a reload, with or without extensions.
    if bpy.app.version >= (4, 3):
        bpy.ops.script.reload()
    assert MODULE in bpy.context.preferences.addons
    assert bpy.ops.lsr1.add_body() == {"FINISHED"}
    print("the edit was seen")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
