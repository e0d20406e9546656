"""Runs inside a Blender, as a program: looks at the file that `build.py demo` wrote.

Usage: look.py BLEND
"""

import sys

import bpy
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector


def pelvis() -> tuple[float, ...]:
    """Where the body is in the world."""
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    return tuple(body.matrix_world @ body.pose.bones[0].head)


def main(path: str) -> None:
    """Camera, picture, the take and the view, as somebody finds them who opens the file."""
    bpy.ops.wm.open_mainfile(filepath=path)
    scene = bpy.context.scene
    background = scene.camera.data.background_images[0]
    assert background.clip.filepath == "//walk.mp4", background.clip.filepath
    assert scene.camera.data.show_background_images
    assert (
        tuple(background.clip.size) == (scene.render.resolution_x, scene.render.resolution_y) == (1080, 1920)
    )
    areas = [area for screen in bpy.data.screens for area in screen.areas if area.type == "VIEW_3D"]
    assert {area.spaces.active.region_3d.view_perspective for area in areas} == {"CAMERA"}
    body = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    assert tuple(body.animation_data.action.frame_range) == (1, 100) == (scene.frame_start, scene.frame_end)
    assert (scene.render.fps, scene.frame_current) == (60, 1)
    places = []
    for frame in (1, 50, 100):
        scene.frame_set(frame)
        places.append(pelvis())
    assert len(set(places)) == 3, "the body does not move"
    for place in places:
        x, y, depth = world_to_camera_view(scene, scene.camera, Vector(place))
        assert 0.3 < x < 0.7 and 0.4 < y < 0.8 and 2 < depth < 10, "the body is not where the person is"
    print("the demo is as described")


if __name__ == "__main__":
    main(sys.argv[1])
