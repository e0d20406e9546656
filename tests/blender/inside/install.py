"""Runs inside a Blender, as a program: installs the zip, uses it, and takes it away again.

Usage: install.py ZIP, with BLENDER_USER_RESOURCES naming an empty folder. A Blender that refuses an
extension goes on as if nothing were wrong, so that every step is looked at.
"""

import importlib
import os
import sys
from pathlib import Path

import bpy

IDENTIFIER = "lsr1_body_fit"
MODULE = f"bl_ext.user_default.{IDENTIFIER}"
RESOURCES = Path(os.environ["BLENDER_USER_RESOURCES"])


def traces() -> dict[str, set[str]]:
    """Everything that an add-on can leave in a Blender and that can be listed."""
    holders = (bpy.types.Scene, bpy.types.Object, bpy.types.WindowManager, bpy.types.Camera)
    properties = {f"{t.__name__}.{name}" for t in holders for name in t.bl_rna.properties.keys()}  # noqa: SIM118
    lists = {n: getattr(bpy.app.handlers, n) for n in dir(bpy.app.handlers)}
    menus = [getattr(bpy.types, name) for name in dir(bpy.types) if "_MT_" in name]
    drawn = {m.__name__: getattr(m.draw, "_draw_funcs", []) for m in menus if hasattr(m, "draw")}
    return {
        "classes": {name for name in dir(bpy.types) if "LSR1" in name.upper()},
        "operators": {str(name) for name in dir(bpy.ops.lsr1)},
        "properties": properties,
        "handlers": {f"{n}: {f!r}" for n, fs in lists.items() if isinstance(fs, list) for f in fs},
        "menus": {f"{n}: {f!r}" for n, fs in drawn.items() for f in fs if "lsr1" in f.__module__},
        "modules": {name for name in sys.modules if name.startswith(MODULE)},
        "files": {str(path) for path in RESOURCES.rglob("*") if is_ours(path)},
    }


def is_ours(path: Path) -> bool:
    """Whether the extension brought this file."""
    return any(name in str(path) for name in (IDENTIFIER, "array_api", "cv2", "opencv"))


def enabled() -> bool:
    """Whether Blender has the extension switched on."""
    return MODULE in bpy.context.preferences.addons and MODULE in sys.modules


def install(archive: str) -> None:
    """Install the zip from its file and switch it on."""
    bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
    assert enabled(), "the extension was refused"
    for name in ("array_api_compat", "threadpoolctl", "cv2"):
        bundled = importlib.import_module(name)
        assert str(RESOURCES) in str(bundled.__file__), f"the solver runs on somebody else's {name}"


def uninstall() -> None:
    """Remove the extension as the preferences' button does."""
    repositories = [repository.module for repository in bpy.context.preferences.extensions.repos]
    bpy.ops.extensions.package_uninstall(repo_index=repositories.index("user_default"), pkg_id=IDENTIFIER)
    assert not enabled(), "the extension is still there"


def assert_nothing_left(before: dict[str, set[str]], *kinds: str) -> None:
    """Compare with what was there before, kind by kind."""
    now = traces()
    for kind in kinds or now:
        assert now[kind] <= before[kind], f"{kind} left behind: {sorted(now[kind] - before[kind])[:5]}"


def main_job() -> None:
    """From an empty file to a fitted body, with the sample that comes with the extension."""
    sample = RESOURCES / "extensions" / "user_default" / IDENTIFIER / "assets" / "samples" / "walk"
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.lsr1.add_body()
    bpy.ops.lsr1.open_picture(filepath=str(sample / "walk.mp4"))
    bpy.context.scene.camera.data.lens = 1674 * 36 / 1920  # focal length and longer side in pixels
    bpy.ops.lsr1.import_keypoints(filepath=str(sample / "keypoints" / "cam02.0000.json"), format="BODY_25B")
    bpy.ops.lsr1.fit_pose()
    assert 0 < bpy.context.scene.lsr1.result.percent < 3, "the fit is off by 3 % of the height or more"


def vertices() -> list[float]:
    """The coordinates of the body's skin as it is posed."""
    mesh = next(thing for thing in bpy.data.objects if thing.type == "MESH")
    posed = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    coordinates = [0.0] * (3 * len(posed.vertices))
    posed.vertices.foreach_get("co", coordinates)
    return coordinates


def assert_same_skin(before: list[float]) -> None:
    """Compare with the skin as it was; the numbers in a file are the same numbers."""
    assert vertices() == before, "the body changed"


def main(archive: str) -> None:
    """Install, use, save, open without the extension and with it again, uninstall."""
    before = traces()
    install(archive)
    main_job()
    skin = vertices()
    saved = str(RESOURCES / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=saved)

    bpy.ops.preferences.addon_disable(module=MODULE)
    assert_nothing_left(before, "classes", "operators", "properties", "handlers", "menus")
    bpy.ops.wm.open_mainfile(filepath=saved)
    assert_same_skin(skin)
    bpy.ops.wm.save_mainfile()

    bpy.ops.preferences.addon_enable(module=MODULE)
    assert enabled(), "the extension could not be enabled a second time"
    bpy.ops.wm.open_mainfile(filepath=saved)
    assert_same_skin(skin)
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}, "the keypoints were lost without the extension"
    uninstall()
    assert_nothing_left(before)
    print("installed, used and uninstalled")


if __name__ == "__main__":
    main(sys.argv[-1])
