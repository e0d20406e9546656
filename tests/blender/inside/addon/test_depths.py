"""How sure depths are, without a window: where it is known, what is sure, and what is drawn of it."""

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from lsr1_body_fit.addon import depths, fits, footage, holding, overlay_data, reprojection
from lsr1_body_fit.lsr1_solver import depth_uncertainty
from lsr1_body_fit.lsr1_solver.body_model import SMPL_JOINT_NAMES
from mathutils import Vector

from tests.blender.inside.addon.test_clip import fit_clip
from tests.blender.inside.addon.test_clip import scene_of_walk as clip_of_walk
from tests.blender.inside.addon.test_operators import says, scene_of_walk

WRIST, ELBOW = (SMPL_JOINT_NAMES.index(name) for name in ("left_wrist", "left_elbow"))


def test_a_fit_says_how_sure_its_depths_are() -> None:
    armature = scene_of_walk()
    scene = bpy.context.scene
    assert depths.depths_at(scene, armature) is None
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    found = depths.depths_at(scene, armature)
    job = fits.scene_fit(bpy.context, armature)
    np.testing.assert_allclose(found, depth_uncertainty(job.problem, job.start)[0], rtol=0.02, atol=1e-4)
    assert found[0] == 0 and 0.005 < found[WRIST] < 0.3
    limbs = depths.worst_limbs(found)
    assert [unsure for _, _, unsure in limbs] == sorted((unsure for _, _, unsure in limbs), reverse=True)
    assert len(limbs) == 3 and limbs[0][2] == found.max()
    # What is locked is known.
    holding.lock(armature, ["left_shoulder", "left_elbow", "left_collar"], 30, 30)
    assert bpy.ops.lsr1.find_depths() == {"FINISHED"}
    assert depths.depths_at(scene, armature)[WRIST] < 0.8 * found[WRIST]


def test_in_a_take_it_is_known_at_its_frame_alone() -> None:
    scene = clip_of_walk(last=12)
    armature = fit_clip()
    scene.frame_set(5)
    assert depths.depths_at(scene, armature) is None
    assert bpy.ops.lsr1.find_depths() == {"FINISHED"}
    assert depths.depths_at(scene, armature) is not None
    scene.frame_set(6)
    assert depths.depths_at(scene, armature) is None
    scene.frame_set(5)
    assert depths.depths_at(scene, armature) is not None
    scene.frame_set(300)
    says(bpy.ops.lsr1.find_depths, "no keypoints from frame 300")


def test_ribbons_are_as_wide_as_depths_are_unsure() -> None:
    armature = scene_of_walk()
    scene = bpy.context.scene
    scene.render.pixel_aspect_y = 1.1
    assert bpy.ops.lsr1.fit_pose() == {"FINISHED"}
    bpy.context.view_layer.update()
    view = footage.scene_view(scene, bpy.context.evaluated_depsgraph_get())
    xy, metre = reprojection.joints_seen(armature, view)
    width, height = footage.render_size(scene)
    for joint in (WRIST, ELBOW):
        place = armature.matrix_world @ armature.pose.bones[SMPL_JOINT_NAMES[joint]].head
        across = scene.camera.matrix_world.to_3x3() @ Vector((1, 0, 0))
        a, b = (world_to_camera_view(scene, scene.camera, place + s * across) for s in (0.0, 0.01))
        np.testing.assert_allclose(xy[joint], (a.x * width, (1 - a.y) * height), atol=0.1)
        assert abs(metre[joint] - (b.x - a.x) * width / 0.01) < 0.01 * metre[joint]
    frame = overlay_data.Frame(0.0, 0.0, 0.5, 0.5)
    sigma = np.full(24, 0.1)
    made = overlay_data.depth_shapes(xy, metre, sigma, frame)
    assert len(made.triangles) == len(made.triangle_colours) == 23 * 6
    sides = np.linalg.norm(made.triangles[0::6] - made.triangles[1::6], axis=1)
    parents = [p for p in overlay_data.SMPL_PARENTS if p >= 0]
    np.testing.assert_allclose(sides, 0.1 * 0.5 * metre[parents], rtol=1e-6)
    assert not len(overlay_data.depth_shapes(np.full((24, 2), np.nan), metre, sigma, frame).triangles)
    assert [overlay_data.depth_band(s) for s in (0.0, 0.05, 0.06, 0.15, 0.5)] == [0, 0, 1, 2, 3]
