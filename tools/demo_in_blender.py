"""Runs inside Blender, as a program: installs the zip, fits the sample walk, saves the scene.

Usage: demo_in_blender.py ZIP FOLDER, with BLENDER_USER_RESOURCES naming a folder for the installation.
"""

import shutil
import sys
import time
from pathlib import Path

import bpy
import numpy as np

MODULE = "bl_ext.user_default.lsr1_body_fit"
# The sample's camera: focal length and longer side in pixels, pictures a second.
FOCAL, LONGER_SIDE, RATE = 1674, 1920, 60
FORMAT = "BODY_25B"
# How much of the picture is covered by the body drawn over it.
OPACITY = 0.85


def install(archive: str) -> Path:
    """Install the extension as a user does; the folder of its sample."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
    if MODULE not in bpy.context.preferences.addons:
        sys.exit("Blender refused the extension: its reason is above")
    return Path(str(sys.modules[MODULE].__file__)).parent / "assets" / "samples" / "walk"


def set_up(sample: Path, folder: Path) -> None:
    """A body, the clip behind the camera, the keypoints of all its frames."""
    clip = folder / "walk.mp4"
    shutil.copy(sample / clip.name, clip)
    bpy.ops.lsr1.add_body()
    bpy.ops.lsr1.open_picture(filepath=str(clip))
    scene = bpy.context.scene
    scene.camera.data.lens = FOCAL * scene.camera.data.sensor_width / LONGER_SIDE
    bpy.ops.lsr1.import_keypoints(filepath=str(sample / "keypoints"), format=FORMAT)
    scene.render.fps, scene.render.fps_base, scene.frame_end = RATE, 1.0, 100
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.region_3d.view_perspective = "CAMERA"


def fit_clip(folder: Path) -> None:
    """Fit all frames as one problem, keyed as a take of its own, and write the motion."""
    bpy.ops.lsr1.fit_clip()
    bpy.ops.lsr1.export_amass(filepath=str(folder / "pose.npz"))


def draw(folder: Path) -> None:
    """The clip's first picture with the body over it, drawn by Workbench: no GPU is needed."""
    scene = bpy.context.scene
    scene.frame_set(scene.lsr1.keypoints.start_frame)
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.film_transparent = True
    scene.render.filepath = str(folder / "demo.png")
    bpy.ops.render.render(write_still=True)
    drawn, picture = pixels(folder / "demo.png"), pixels(folder / "walk.mp4")
    covered = OPACITY * drawn[..., 3:]
    picture[..., :3] += covered * (drawn[..., :3] - picture[..., :3])
    image = bpy.data.images.new("demo", drawn.shape[1], drawn.shape[0])
    image.pixels.foreach_set(picture.ravel())
    image.filepath_raw, image.file_format = str(folder / "demo.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)


def pixels(path: Path) -> np.ndarray:
    """[H, W, 4] red, green, blue and alpha of a picture or of a movie's first, from the bottom up."""
    image = bpy.data.images.load(str(path))
    values = np.empty(len(image.pixels), dtype=np.float32)
    image.pixels.foreach_get(values)
    shape = (image.size[1], image.size[0], 4)
    bpy.data.images.remove(image)
    return values.reshape(shape)


def main(archive: str, folder: Path) -> None:
    """Do it all, with a line for each step."""
    began = time.perf_counter()
    print(f"Blender {bpy.app.version_string}, without a window")
    sample = install(archive)
    set_up(sample, folder)
    bpy.ops.lsr1.fit_pose()
    fit_clip(folder)
    draw(folder)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "demo.blend"), relative_remap=True)
    print(f"Written to {folder}: demo.blend, demo.png, pose.npz ({time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
