"""BVH files: every joint stands where the pose has it, as other programs read the file."""

from pathlib import Path

import numpy as np
import pytest

from lsr1_solver.body_model import SMPL_JOINT_NAMES, BodyPose, posed_joints
from lsr1_solver.bvh import continuous_zxy, write_bvh
from lsr1_solver.errors import FitError
from lsr1_solver.rotation import axis_angle_to_matrix
from tests.solver.bodies import random_body

BODY = random_body()


def moving(count: int = 40, seed: int = 0) -> BodyPose:
    """A body that turns about itself twice and walks, its joints bent any way."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, count)
    root = np.stack([0 * t, 4 * np.pi * t, 0 * t], axis=1)
    swing = np.sin(2 * np.pi * t[:, None, None] + rng.uniform(0, 6, (1, 23, 3)))
    betas = np.tile(rng.normal(size=10), (count, 1))
    return BodyPose(root, swing, betas, np.stack([t, 0 * t, -4 - t], axis=1))


def rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    return axis_angle_to_matrix(angle[..., None] * np.eye(3)[axis])


def test_angles_are_those_of_the_rotations_and_make_no_jump() -> None:
    R = axis_angle_to_matrix(moving(400).body_pose)
    angles = continuous_zxy(R)
    made = rotation(2, angles[..., 0]) @ rotation(0, angles[..., 1]) @ rotation(1, angles[..., 2])
    np.testing.assert_allclose(made, R, atol=1e-7)
    turn = axis_angle_to_matrix(np.linspace(0, 6 * np.pi, 200)[:, None] * [[0.0, 0.0, 1.0]])
    assert np.abs(np.diff(continuous_zxy(turn), axis=0)).max() < 0.1


@pytest.mark.parametrize("x", [-np.pi / 2, np.pi / 2])
def test_gimbal_lock(x: float) -> None:
    R = rotation(2, np.array([0.3])) @ rotation(0, np.array([x])) @ rotation(1, np.array([0.4]))
    a = continuous_zxy(R)
    made = rotation(2, a[..., 0]) @ rotation(0, a[..., 1]) @ rotation(1, a[..., 2])
    np.testing.assert_allclose(made, R, atol=1e-7)


def read_back(path: Path) -> tuple[float, np.ndarray]:
    """Frame time and every joint's place [N, 24, 3], by a reader of a few lines that knows BVH's rules."""
    words = path.read_text().split()
    names, offsets, parents, channels, stack = [], [], [], [], []
    at, ended, opened = 0, False, -1
    while words[at] != "MOTION":
        match words[at]:
            case "ROOT" | "JOINT":
                names.append(words[at + 1])
                parents.append(stack[-1] if stack else -1)
                offsets.append(np.zeros(3))
                channels.append([])
                opened, at = len(names) - 1, at + 1
            case "End":
                opened, ended, at = -1, True, at + 1
            case "{":
                stack.append(opened)
            case "}":
                stack.pop()
                ended = False
            case "OFFSET" if not ended:
                offsets[stack[-1]] = np.array(words[at + 1 : at + 4], float)
            case "CHANNELS":
                channels[stack[-1]] = words[at + 2 : at + 2 + int(words[at + 1])]
        at += 1
    count, time = int(words[at + 2]), float(words[at + 5])
    values = np.array(words[at + 6 :], float).reshape(count, -1)
    return time, _places(names, offsets, parents, channels, values)


def _places(
    names: list[str],
    offsets: list[np.ndarray],
    parents: list[int],
    channels: list[list[str]],
    values: np.ndarray,
) -> np.ndarray:
    places, world, column = {}, [], 0
    for j, name in enumerate(names):
        local, move = np.eye(3), offsets[j]
        for channel in channels[j]:
            axis, value = "XYZ".index(channel[0]), values[:, column]
            column += 1
            if channel.endswith("position"):
                move = move + value[:, None] * np.eye(3)[axis]
            else:
                local = local @ rotation(axis, np.radians(value))
        above, at = (np.eye(3), np.zeros(3)) if parents[j] < 0 else world[parents[j]]
        place = at + (above @ np.broadcast_to(move, (len(values), 3))[..., None])[..., 0]
        world.append((above @ local, place))
        places[name] = place
    return np.stack([places[name] for name in SMPL_JOINT_NAMES], axis=1)


def test_every_joint_is_where_the_pose_has_it(tmp_path: Path) -> None:
    pose = moving()
    write_bvh(tmp_path / "walk.bvh", pose, body=BODY, frame_rate=30000 / 1001)
    time, joints = read_back(tmp_path / "walk.bvh")
    assert abs(1 / time - 30000 / 1001) < 1e-5
    np.testing.assert_allclose(joints, posed_joints(BODY, pose), atol=1e-5)


def test_bvhio_reads_the_same(tmp_path: Path) -> None:
    bvhio = pytest.importorskip("bvhio")
    pose = moving(12)
    write_bvh(tmp_path / "walk.bvh", pose, body=BODY, frame_rate=24)
    expected = posed_joints(BODY, pose)
    container = bvhio.readAsBvh(str(tmp_path / "walk.bvh"))
    assert abs(container.FrameTime - 1 / 24) < 1e-8
    root = bvhio.readAsHierarchy(str(tmp_path / "walk.bvh"))
    for frame in range(12):
        root.loadPose(frame)
        found = {joint.Name: np.array(joint.PositionWorld) for joint, _, _ in root.layout()}
        places = np.stack([found[name] for name in SMPL_JOINT_NAMES])
        np.testing.assert_allclose(places, expected[frame], atol=1e-4)


def test_shapes_that_differ_become_their_mean_and_the_pelvis_stays(tmp_path: Path) -> None:
    pose = moving(5)
    pose.betas[:] = np.random.default_rng(1).normal(size=(5, 10))
    write_bvh(tmp_path / "walk.bvh", pose, body=BODY, frame_rate=24)
    _, joints = read_back(tmp_path / "walk.bvh")
    np.testing.assert_allclose(joints[:, 0], posed_joints(BODY, pose)[:, 0], atol=1e-5)


def test_what_cannot_be_written_is_said_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "walk.bvh"
    path.write_text("before")
    broken = moving(3)
    broken.transl[1] = np.nan
    with pytest.raises(FitError, match="NaN"):
        write_bvh(path, broken, body=BODY, frame_rate=24)
    with pytest.raises(FitError, match="frame_rate"):
        write_bvh(path, moving(3), body=BODY, frame_rate=0)
    with pytest.raises(FitError, match="cannot be written"):
        write_bvh(tmp_path / "nowhere" / "walk.bvh", moving(3), body=BODY, frame_rate=24)
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 1
