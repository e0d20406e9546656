"""Runs inside pip's bpy: a walking body exported to the folder given, and where its joints were."""

import sys
from pathlib import Path

import bpy
import numpy as np

from tests.blender.inside.addon.conftest import addon_package

folder = Path(sys.argv[1])
addon_package().register()
bpy.ops.wm.read_factory_settings(use_empty=True)

from tests.blender.inside.addon import test_motion_files as walk  # noqa: E402 - needs the add-on

armature = walk.scene_with_walk(folder)
np.save(folder / "joints.npy", walk.export(bpy.ops.lsr1.export_gltf, armature, folder / "out.glb"))
