"""Readers of motion capture, and retargeting: peers (the same motion in two formats) and invariants."""

from __future__ import annotations

import numpy as np
import pytest

from lsr1_solver.body_model import SMPL_JOINT_NAMES
from lsr1_solver.errors import FitError
from lsr1_solver.rotation import axis_angle_to_matrix, geodesic_angle, matrix_to_axis_angle
from lsr1_solver.training.asf_amc import read_asf_amc
from lsr1_solver.training.limb_twist import plausible_poses, twist_angle
from lsr1_solver.training.mocap import read_bvh
from lsr1_solver.training.retarget import (
    MIRRORED_JOINTS,
    Motion,
    load_motions,
    mirror,
    mirror_rotations,
    open_body_joints,
    retarget,
    world_joints,
)
from lsr1_solver.training.sources import SourceClip, read_sources, split_of
from tests.bench.retarget_strips import eased_pelves, foot_tilt, limb_errors
from tests.shared import SHARED, needs_shared

BVH = """HIERARCHY
ROOT hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT thigh
  {
    OFFSET 3 0 4
    CHANNELS 3 Zrotation Yrotation Xrotation
    JOINT shin
    {
      OFFSET 0 -10 0
      CHANNELS 1 Xrotation
      End Site
      {
        OFFSET 0 -8 0
      }
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.0083333
1 2 3 10 20 30 -40 25 5 50
1 2 4 11 21 31 -41 24 6 51
1 2 5 12 22 32 -42 23 7 52
"""
# The same bones and motion: the thigh's own frame is turned, which a turn about the file's axes must undo.
ASF = """:version 1.10
:units
  length 0.0254
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    name hip
    direction 0.6 0 0.8
    length 5
    axis 0 0 0 XYZ
  end
  begin
    name thigh
    direction 0 -1 0
    length 10
    axis 0 0 0 XYZ
    dof rx ry rz
  end
  begin
    name shin
    direction 0 -1 0
    length 8
    axis 0 90 0 XYZ
    dof rz
  end
:hierarchy
  begin
    root hip
    hip thigh
    thigh shin
  end
"""
AMC = """#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 30 20 10
thigh 5 25 -40
shin 50
2
root 1 2 4 31 21 11
thigh 6 24 -41
shin 51
3
root 1 2 5 32 22 12
thigh 7 23 -42
shin 52
"""

# One clip of every family, and of each of ACCAD's two actors.
CLIPS = {
    "accad female": "accad/Female1_B03_Walk1",
    "accad male": "accad/Male1_B3_Walk",
    "cmu": "cmu/35_01",
    "salsa": "cmu/60_12_scaled",
    "asf": "cmu/03_01",
}


def _joint(name: str) -> int:
    return SMPL_JOINT_NAMES.index(name)


@pytest.fixture(scope="module", params=CLIPS.values(), ids=list(CLIPS))
def source(request: pytest.FixtureRequest) -> SourceClip:
    return next(read_sources(SHARED / "mocap", rate=30.0, pattern=request.param))


def test_bvh_and_asf_amc_give_the_same_motion() -> None:
    bvh = read_bvh(BVH.encode(), "bvh", metres_per_unit=1.0)
    amc = read_asf_amc(ASF.encode(), AMC.encode(), "amc")
    for joint in ("thigh", "shin", "shin end"):
        expected = bvh.positions[:, bvh.index(joint)]
        np.testing.assert_allclose(amc.positions[:, amc.index(joint)], expected, atol=1e-9)
    assert bvh.frame_rate == pytest.approx(amc.frame_rate, rel=1e-4)


def test_bones_keep_their_lengths() -> None:
    clip = read_bvh(BVH.encode(), "bvh", metres_per_unit=0.01)
    bones = clip.positions[:, 1:] - clip.positions[:, list(clip.parents[1:])]
    lengths = np.linalg.norm(bones, axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to([0.05, 0.1, 0.08], lengths.shape), atol=1e-12)


def test_a_lower_rate_takes_frames_and_makes_none() -> None:
    every = read_bvh(BVH.encode(), "bvh", metres_per_unit=1.0)
    some = read_bvh(BVH.encode(), "bvh", metres_per_unit=1.0, rate=60.0)
    assert some.frames.tolist() == [0, 2]
    np.testing.assert_array_equal(some.positions, every.positions[[0, 2]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BVH.replace("MOTION", ""), "no MOTION"),
        (BVH.replace("1 2 5 12 22 32 -42 23 7 52\n", ""), "holds 2 frames of the 3"),
        (BVH.replace("51\n", "\n"), "frame 1 holds 9 numbers"),
        (BVH.replace("51\n", "nan\n"), "frame 1 holds a value that is not finite"),
        (BVH.replace("0.0083333", "0"), "Frame Time"),
        (BVH.replace("CHANNELS 1 Xrotation", "CHANNELS 1 Wrotation"), "shin"),
        (BVH.replace("OFFSET 0 -10 0", "OFFSET 0 -10 long"), "OFFSET of shin"),
        (BVH.replace("}\n}\nMOTION", "}\nMOTION"), "brace"),
    ],
)
def test_a_damaged_bvh_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(FitError, match=message) as error:
        read_bvh(text.encode(), "clip.bvh", metres_per_unit=1.0)
    assert "clip.bvh" in str(error.value)


@pytest.mark.parametrize(
    ("asf", "amc", "message"),
    [
        (ASF.replace(":hierarchy", ":other"), AMC, ":hierarchy"),
        (ASF.replace("    thigh shin\n", ""), AMC, "damaged"),
        (ASF, "#!OML:ASF\n", "no frame"),
        (ASF, AMC.replace("shin 51\n", ""), "frame 1: lacks the bone 'shin'"),
        (ASF, AMC.replace("shin 51", "tail 51"), "no moving bone 'tail'"),
        (ASF, AMC.replace("shin 51", "shin 51 2"), "frame 1, shin holds 2 numbers"),
    ],
)
def test_a_damaged_asf_or_amc_is_refused_with_its_place(asf: str, amc: str, message: str) -> None:
    with pytest.raises(FitError, match=message):
        read_asf_amc(asf.encode(), amc.encode(), "clip.amc")


def test_a_rate_above_the_recording_is_refused() -> None:
    with pytest.raises(FitError, match="120 Hz"):
        read_bvh(BVH.encode(), "bvh", metres_per_unit=1.0, rate=240.0)


def test_missing_motion_capture_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(FitError, match=r"accad\.zip is missing"):
        next(read_sources(tmp_path_factory.mktemp("empty")))


def test_whole_subjects_are_held_out() -> None:
    assert split_of("cmu/05_01") == ("test", "CMU 05")
    assert split_of("cmu/61_01_scaled") == ("test", "CMU 61")
    assert split_of("accad/Male1_C03_Run") == ("test", "ACCAD Male1_C")
    assert split_of("cmu/49_02") == ("validation", "CMU 49")
    assert [split_of(name)[0] for name in ("cmu/60_01_scaled", "accad/Male1_B3_Walk")] == ["train", "train"]


def test_twist_angle_is_the_turn_about_the_axis() -> None:
    axis = np.array([0.0, 1.0, 0.0])
    swing = axis_angle_to_matrix(np.array([0.7, 0.0, -0.4]))
    turns = np.linspace(-3, 3, 7)
    found = twist_angle(swing @ axis_angle_to_matrix(turns[:, None] * axis), axis)
    np.testing.assert_allclose(found, turns, atol=1e-12)


def test_mirroring_twice_is_nothing_and_once_a_mirror() -> None:
    random = np.random.default_rng(0)
    rotations = axis_angle_to_matrix(random.normal(0, 0.5, (5, 24, 3)))
    motion = Motion("cmu/05_01", "test", "CMU 05", rotations, random.normal(size=(5, 3)), 10.0)
    mirrored = mirror(motion)
    assert (mirrored.split, mirrored.group) == (motion.split, motion.group)
    np.testing.assert_allclose(mirror_rotations(mirrored.rotations), rotations, atol=1e-12)
    # On a body that is its own mirror image the joints are mirrored, side for side.
    joints = open_body_joints()
    joints = (joints + joints[list(MIRRORED_JOINTS)] * [-1, 1, 1]) / 2
    _, there = world_joints(motion.rotations, motion.root, joints)
    _, here = world_joints(mirrored.rotations, mirrored.root, joints)
    np.testing.assert_allclose(here, there[:, list(MIRRORED_JOINTS)] * [-1, 1, 1], atol=1e-12)


@needs_shared("mocap")
def test_limbs_point_where_the_source_points(source: SourceClip) -> None:
    joints = open_body_joints()
    motion = retarget(source, joints)
    _, positions = world_joints(motion.rotations, motion.root, joints)
    assert limb_errors(source, positions).max() < 2.0


@needs_shared("mocap")
@pytest.mark.parametrize("clips", ["cmu/05_*", "cmu/35_0*", "cmu/49_0*", "accad/Male1_B*"])
def test_the_pelvis_is_level_when_the_person_is_at_ease(clips: str) -> None:
    joints = open_body_joints()
    motions = load_motions(SHARED / "mocap", pattern=clips, rest_joints=joints)
    forward = np.concatenate([eased_pelves(*world_joints(m.rotations, m.root, joints)) for m in motions])
    assert len(forward) > 20
    assert abs(np.median(forward)) < 4


@needs_shared("mocap")
def test_the_body_stands_as_the_source_does(source: SourceClip) -> None:
    """Left is left, the soles are flat where the feet stand, the head is up, the feet are on the ground."""
    joints = open_body_joints()
    motion = retarget(source, joints)
    G, positions = world_joints(motion.rotations, motion.root, joints)
    across = positions[:, _joint("left_hip")] - positions[:, _joint("right_hip")]
    assert (np.einsum("ti,ti->t", across, G[:, 0, :, 0]) > 0.05).all()
    clip, family = source.clip, source.family
    left, right = (
        positions[:, _joint(f"{side}_wrist")]
        - clip.positions[:, clip.index(family.driver(f"{side}_wrist"))] * _scale(source, joints)
        for side in ("left", "right")
    )
    assert np.median(np.linalg.norm(left, axis=-1)) < 0.25
    assert np.median(np.linalg.norm(right, axis=-1)) < 0.25
    # CMU 03 walks on uneven ground and looks at it.
    uneven = source.name.startswith("cmu/03")
    assert foot_tilt(G, positions, motion.frame_rate) < (12 if uneven else 6)
    head = np.degrees(np.arccos(np.clip(G[:, _joint("head"), 1, 1], -1, 1)))
    assert np.median(head) < (45 if uneven else 20)


def _scale(source: SourceClip, joints: np.ndarray) -> float:
    def length(points: np.ndarray, hip: int, knee: int, ankle: int) -> float:
        return float(
            np.linalg.norm(points[knee] - points[hip]) + np.linalg.norm(points[ankle] - points[knee])
        )

    names = [f"left_{part}" for part in ("hip", "knee", "ankle")]
    there = [source.clip.index(source.family.driver(name)) for name in names]
    return length(joints, *map(_joint, names)) / length(source.clip.positions[0], *there)


@needs_shared("mocap")
def test_knees_and_elbows_bend_about_smpls_axes(source: SourceClip) -> None:
    motion = retarget(source, open_body_joints())
    hinges = {
        "left_knee": (1, 0, 0),
        "right_knee": (1, 0, 0),
        "left_elbow": (0, -1, 0),
        "right_elbow": (0, 1, 0),
    }
    for joint, axis in hinges.items():
        omega = matrix_to_axis_angle(motion.rotations[:, _joint(joint)])
        bent = omega[np.linalg.norm(omega, axis=-1) > np.radians(35)]
        if len(bent) > 10:
            mean = (bent / np.linalg.norm(bent, axis=-1, keepdims=True)).mean(axis=0)
            assert mean @ axis / np.linalg.norm(mean) > np.cos(np.radians(35)), joint


@needs_shared("mocap")
def test_walks_have_no_jumps_and_thighs_no_half_turns(source: SourceClip) -> None:
    motion = retarget(source, open_body_joints())
    speed = np.degrees(geodesic_angle(motion.rotations[:-1], motion.rotations[1:])) * motion.frame_rate
    assert np.percentile(speed, 99.5) < 900
    assert plausible_poses(motion.rotations).all()


@needs_shared("mocap")
def test_cmus_two_formats_have_the_same_rest_pose() -> None:
    bvh = next(read_sources(SHARED / "mocap", pattern="cmu/07_01"))
    asf = next(read_sources(SHARED / "mocap", pattern="cmu/01_01"))
    for joint in ("head", "left_hip", "right_hip", "left_ankle", "right_foot"):
        a, b = (s.rest[s.clip.index(s.family.driver(joint))] for s in (bvh, asf))
        assert np.degrees(geodesic_angle(a, b)) < 3, joint
