"""The scene's camera is the solver's camera; pictures open the right way up."""

import struct
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from lsr1_body_fit.addon import body as bodies
from lsr1_body_fit.addon import footage, pictures
from lsr1_body_fit.addon.exif import read_exif
from lsr1_body_fit.lsr1_solver import FitError
from mathutils import Vector

from tests.blender.inside.addon.rigs import world_vertices

LENSES: dict[str, dict[str, object]] = {
    "plain": {},
    "tele": {"lens": 200.0},
    "vertical": {"sensor_fit": "VERTICAL", "sensor_height": 18.0},
    "horizontal": {"sensor_fit": "HORIZONTAL", "sensor_width": 22.0},
    "shifted": {"shift_x": 0.12, "shift_y": -0.3},
}
SIZES = {"wide": (1920, 1080, 1, 1), "tall": (1080, 1920, 1, 1), "anamorphic": (1440, 1080, 1.3333, 1.0),
         "tall pixels": (720, 576, 1.0, 1.5)}  # fmt: skip


def camera_with(lens: dict[str, object], size: tuple[float, ...], percentage: int = 100) -> bpy.types.Object:
    scene = bpy.context.scene
    camera = pictures.add_camera(bpy.context)
    for name, value in lens.items():
        setattr(camera.data, name, value)
    camera.rotation_euler = (1.3, 0.2, 0.5)
    camera.scale = (2.0, 2.0, 2.0)
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = (
        int(size[0]),
        int(size[1]),
        percentage,
    )
    render.pixel_aspect_x, render.pixel_aspect_y = size[2:]
    bpy.context.view_layer.update()
    return camera


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("percentage", [100, 37])
def test_pixels_are_blenders(lens: str, size: str, percentage: int) -> None:
    camera = camera_with(LENSES[lens], SIZES[size], percentage)
    scene = bpy.context.scene
    view = footage.scene_view(scene, bpy.context.evaluated_depsgraph_get())
    rng = np.random.default_rng(0)
    reach = 75 / camera.data.lens
    inside = rng.uniform(-1, 1, size=(200, 3)) * [reach, reach, 1] - [0, 0, 5]
    world = np.array([camera.matrix_world @ Vector(p) for p in inside])
    width, height = footage.render_size(scene)
    wanted = []
    for point in world:
        x, y, _ = world_to_camera_view(scene, camera, Vector(point))
        wanted.append((x * width, (1 - y) * height))
    off = np.abs(footage.project_world(view, world) - wanted).max(axis=1)
    seen = np.all((np.array(wanted) > 0) & (np.array(wanted) < [width, height]), axis=1)
    assert seen.sum() > 20 and off[seen].max() < 0.5


def test_a_picture_of_twice_the_size_has_twice_the_pixels() -> None:
    camera_with({"shift_x": 0.1}, SIZES["wide"])
    depsgraph = bpy.context.evaluated_depsgraph_get()
    one = footage.scene_view(bpy.context.scene, depsgraph, (960, 540))
    two = footage.scene_view(bpy.context.scene, depsgraph, (1920, 1080))
    points = np.array([[0.3, 0.5, 1.0]])
    assert np.allclose(2 * footage.project_world(one, points), footage.project_world(two, points))


def test_cameras_that_do_not_serve_say_so() -> None:
    scene, depsgraph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
    with pytest.raises(FitError, match="no camera"):
        footage.scene_view(scene, depsgraph)
    camera = pictures.add_camera(bpy.context)
    camera.data.type = "ORTHO"
    with pytest.raises(FitError, match="perspective"):
        footage.scene_view(scene, depsgraph)


def exif_jpeg(path: Path, pixels: np.ndarray, tags: dict[int, tuple[str, object]], order: str = "<") -> None:
    """A JPEG with an EXIF block, written by Blender and patched."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("out", width, height)
    rgba = np.ones((height, width, 4), dtype=np.float32)
    rgba[..., :3] = pixels
    image.pixels.foreach_set(rgba[::-1].ravel())
    image.filepath_raw, image.file_format = str(path), "JPEG"
    image.save()
    bpy.data.images.remove(image)
    entries = b""
    for tag, (kind, value) in sorted(tags.items()):
        number = {"H": 3, "I": 4}[kind]
        entries += struct.pack(f"{order}HHI", tag, number, 1) + struct.pack(f"{order}{kind}", value).ljust(
            4, b"\0"
        )
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    block = b"Exif\0\0" + head + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:])


def corner_picture() -> np.ndarray:
    """64 x 48, the top left corner red, the top right one green."""
    pixels = np.full((48, 64, 3), 0.2)
    pixels[:16, :16] = 1, 0, 0
    pixels[:16, -16:] = 0, 1, 0
    return pixels


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_photos_stand_upright(tmp_path: Path, orientation: int, order: str) -> None:
    """Stored turned, tagged with the way back: every orientation shows the same picture."""
    upright = corner_picture()
    # The inverse of what a viewer does for the tag (Exif 2.3, table 6).
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright), 7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    path = tmp_path / "photo.jpg"
    exif_jpeg(path, stored, {0x0112: ("H", orientation), 0xA405: ("H", 28)}, order)
    assert read_exif(path).orientation == orientation
    pictures.open_picture(bpy.context, str(path))
    scene = bpy.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (64, 48)
    image = scene.camera.data.background_images[0].image
    shown = np.empty(64 * 48 * 4, dtype=np.float32)
    image.pixels.foreach_get(shown)
    shown = shown.reshape(48, 64, 4)[::-1]
    assert shown[4, 4, 0] > 0.7 > shown[4, 4, 1] and shown[4, -4, 1] > 0.7 > shown[4, -4, 0]
    assert scene.camera.data.sensor_fit == "AUTO"


def test_the_lens_comes_from_the_photo_or_stays(tmp_path: Path) -> None:
    camera = pictures.add_camera(bpy.context)
    camera.data.lens = 77
    exif_jpeg(tmp_path / "no.jpg", corner_picture(), {0x0112: ("H", 1)})
    said = pictures.open_picture(bpy.context, str(tmp_path / "no.jpg"))
    assert camera.data.lens == 77 and "as it was" in said and "64 x 48" in said
    exif_jpeg(tmp_path / "lens.jpg", corner_picture(), {0x0112: ("H", 1), 0xA405: ("H", 28)})
    said = pictures.open_picture(bpy.context, str(tmp_path / "lens.jpg"))
    assert camera.data.lens == 28 and camera.data.sensor_width == 36 and "from the photo" in said
    assert len(camera.data.background_images) == 1


def test_what_is_no_picture_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"nothing")
    for path in (tmp_path / "x.png", tmp_path / "absent.png"):
        with pytest.raises(FitError, match=path.name):
            pictures.open_picture(bpy.context, str(path))


def test_stand_on_floor_keeps_the_picture() -> None:
    scene = bpy.context.scene
    armature = bodies.add_body(bpy.context)
    camera_with({}, SIZES["wide"])
    # The whole set is tilted and off the ground.
    armature.location, armature.rotation_euler = (0.3, 1.0, 0.7), (0.2, -0.3, 0.4)
    bpy.context.view_layer.update()
    mesh = bodies.mesh_of(armature)

    def picture() -> np.ndarray:
        view = footage.scene_view(scene, bpy.context.evaluated_depsgraph_get())
        return footage.project_world(view, world_vertices(mesh)[::50])

    before = picture()
    assert bpy.ops.lsr1.stand_on_floor() == {"FINISHED"}
    assert np.nanmax(np.abs(picture() - before)) < 0.05
    vertices = world_vertices(mesh)
    assert abs(vertices[:, 2].min()) < 1e-4
    # Upright: as tall as at rest.
    assert abs(np.ptp(vertices[:, 2]) - 1.715) < 0.02
