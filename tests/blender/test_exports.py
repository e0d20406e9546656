"""What the add-on exports, read by programs that are not Blender."""

import os
from pathlib import Path

import numpy as np
import pytest

from lsr1_solver import SMPL_JOINT_NAMES
from lsr1_solver.rotation import axis_angle_to_matrix, quaternion_to_axis_angle
from tests.blender.environments import INSIDE, run_inside
from tests.shared import REPOSITORY
from tools import extension
from tools.environments import BLENDERS

TELEVISION = 30000 / 1001


def test_gltf_by_pygltflib(tmp_path: Path) -> None:
    pygltflib = pytest.importorskip("pygltflib")
    wheels = os.pathsep.join([str(REPOSITORY), *(str(path) for path in extension.wheels(None))])
    script = [str(INSIDE / "export_walk.py"), str(tmp_path)]
    run_inside(BLENDERS[-1], script, tmp_path / "resources", {"PYTHONPATH": wheels})
    document = pygltflib.GLTF2().load(str(tmp_path / "out.glb"))
    blob = document.binary_blob()

    def values(index: int) -> np.ndarray:
        accessor = document.accessors[index]
        view = document.bufferViews[accessor.bufferView]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor.type]
        start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
        return np.frombuffer(blob, "<f4", accessor.count * width, start).reshape(-1, width)

    (animation,) = document.animations
    expected = np.load(tmp_path / "joints.npy")
    count = len(expected)
    moves: dict[tuple[int, str], np.ndarray] = {}
    for channel in animation.channels:
        sampler = animation.samplers[channel.sampler]
        np.testing.assert_allclose(values(sampler.input)[:, 0], np.arange(count) / TELEVISION, atol=1e-5)
        moves[channel.target.node, channel.target.path] = values(sampler.output)
    parents = {child: n for n, node in enumerate(document.nodes) for child in node.children or ()}

    def world(n: int) -> np.ndarray:
        node, local = document.nodes[n], np.tile(np.eye(4), (count, 1, 1))
        q = moves.get((n, "rotation"), np.array([node.rotation or [0.0, 0.0, 0.0, 1.0]]))
        scale = moves.get((n, "scale"), np.array([node.scale or [1.0, 1.0, 1.0]]))
        turned = axis_angle_to_matrix(quaternion_to_axis_angle(q[:, [3, 0, 1, 2]].astype(float)))
        local[:, :3, :3] = turned * scale[:, None]
        local[:, :3, 3] = moves.get((n, "translation"), np.array([node.translation or [0.0, 0.0, 0.0]]))
        return world(parents[n]) @ local if n in parents else local

    nodes = {node.name: n for n, node in enumerate(document.nodes)}
    places = np.stack([world(nodes[name])[:, :3, 3] for name in SMPL_JOINT_NAMES], axis=1)
    x, y, z = np.moveaxis(places, -1, 0)
    assert np.abs(np.stack([x, -z, y], axis=-1) - expected).max() < 1e-4
