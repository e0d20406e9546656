"""The motion capture that the project learns from: its zip files, their skeletons, and the split.

Four families of skeletons, each a table: which joint of the source drives which joint of SMPL, and the
pose that stands for SMPL's rest pose (upright, facing +z, feet flat).
"""

from __future__ import annotations

import fnmatch
import logging
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..body_model import SMPL_JOINT_NAMES
from ..errors import FitError
from ..rotation import axis_angle_to_matrix
from .asf_amc import read_asf_amc
from .mocap import END, Clip, read_bvh

SPLITS = ("train", "validation", "test")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Family:
    """A kind of skeleton.

    ``drivers`` names for each SMPL joint, without its side, the source's joint, with {} for the side;
    ``foot_tip`` the far end of the bone that says where a foot points; ``elbow_twist`` in degrees turns the
    arms about their bones until the elbow's hinge is SMPL's (measured on the clips, left side);
    ``rest`` world rotations of the rest pose, axis-angle in degrees, left side, where they are not zero.
    """

    drivers: Mapping[str, str]
    sides: tuple[str, str]
    foot_tip: str
    elbow_twist: float
    rest: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def driver(self, smpl_joint: str) -> str:
        """The source's joint that drives an SMPL joint such as "left_knee"."""
        side, _, part = smpl_joint.rpartition("_")
        return self.drivers[part].format(self.side(side))

    def side(self, side: str) -> str:
        """The source's word for "left" or "right" ("" for neither)."""
        return self.sides[side == "right"] if side else ""


@dataclass(frozen=True)
class Archive:
    """A zip file of clips; ``first_frame_is_rest`` where an added T-pose opens every clip."""

    file: str
    subject_prefix: str
    family: str
    metres_per_unit: float
    opening_frames: int
    pattern: str = "*.bvh"
    first_frame_is_rest: bool = False


@dataclass(frozen=True, eq=False)
class SourceClip:
    """A clip with all that retargeting asks for.

    ``rest`` [J, 3, 3] world rotations of the skeleton when it stands as SMPL's rest pose does, except for
    the limbs, whose bones may point elsewhere.
    """

    name: str
    split: str
    group: str
    clip: Clip
    family: Family
    rest: np.ndarray


# fmt: off
FAMILIES: Mapping[str, Family] = {
    "accad": Family(
        {"pelvis": "Hips", "spine1": "ToSpine", "spine2": "Spine", "spine3": "Spine1", "neck": "Neck",
         "head": "Head", "hip": "{}UpLeg", "knee": "{}Leg", "ankle": "{}Foot", "foot": "{}ToeBase",
         "collar": "{}Shoulder", "shoulder": "{}Arm", "elbow": "{}ForeArm", "wrist": "{}Hand",
         "hand": "{}Hand"},
        ("Left", "Right"), "{}ToeBase", elbow_twist=0.0,
    ),
    "cmu": Family(
        {"pelvis": "Hips", "spine1": "LowerBack", "spine2": "Spine", "spine3": "Spine1", "neck": "Neck1",
         "head": "Head", "hip": "{}UpLeg", "knee": "{}Leg", "ankle": "{}Foot", "foot": "{}ToeBase",
         "collar": "{}Shoulder", "shoulder": "{}Arm", "elbow": "{}ForeArm", "wrist": "{}FingerBase",
         "hand": "{}FingerBase"},
        ("Left", "Right"), "{}ToeBase", elbow_twist=-28.0,
    ),
    "salsa": Family(
        {"pelvis": "hip", "spine1": "abdomen", "spine2": "abdomen", "spine3": "chest", "neck": "neck",
         "head": "head", "hip": "{}Thigh", "knee": "{}Shin", "ankle": "{}Foot", "foot": "{}Foot",
         "collar": "{}Collar", "shoulder": "{}Shldr", "elbow": "{}ForeArm", "wrist": "{}Hand",
         "hand": "{}Hand"},
        ("l", "r"), "{}Foot" + END, elbow_twist=-28.0,
    ),
    "asf": Family(
        {"pelvis": "root", "spine1": "lowerback", "spine2": "upperback", "spine3": "thorax",
         "neck": "upperneck", "head": "head", "hip": "{}femur", "knee": "{}tibia", "ankle": "{}foot",
         "foot": "{}toes", "collar": "{}clavicle", "shoulder": "{}humerus", "elbow": "{}radius",
         "wrist": "{}hand", "hand": "{}hand"},
        ("l", "r"), "{}toes", elbow_twist=-28.0,
        # The T-pose that opens CMU's BVH files, which come from such ASF files.
        rest={"neck": (5, 0, 0), "head": (16, 0, 0), "hip": (0, 0, -20), "knee": (0, 0, -20),
              "ankle": (0, 0, -20), "foot": (0, 0, -20)},
    ),
}

ARCHIVES = (
    Archive("accad.zip", "accad", "accad", 0.01, 0),
    Archive("cmu_bvh.zip", "cmu", "cmu", 0.056444, 1, first_frame_is_rest=True),
    Archive("cmu_salsa_bvh.zip", "cmu", "salsa", 1.0, 1),
    Archive("cmu_asfamc.zip", "cmu", "asf", 1.0, 0, "*.amc"),
)

# Whole subjects are held out: name pattern -> split, group. The rest is for training.
HELD_OUT = (
    ("cmu/05_*", "test", "CMU 05"),
    ("cmu/61_*", "test", "CMU 61"),
    ("accad/Male1_C*", "test", "ACCAD Male1_C"),
    ("cmu/49_*", "validation", "CMU 49"),
)
# How the soles of a subject's standing feet stand off the ground without a correction, in degrees: (toes up,
# left edge up) of the left foot and of the right, the median over the clips (tests/bench/retarget_strips.py
# --soles prints what remains). Subjects that stand on tiptoe or on no flat ground are left out.
SOLES: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "accad/Female1": ((-0.3, -2.9), (-3.1, 8.5)),
    "accad/Male1": ((-8.5, 0.0), (-0.8, 0.8)),
    "cmu/02": ((-3.1, -4.8), (-1.8, 7.2)),
    "cmu/06": ((-4.4, 0.6), (-3.9, 1.8)),
    "cmu/07": ((-0.9, 2.4), (-0.7, -5.2)),
    "cmu/08": ((-0.8, 2.9), (-0.4, -6.9)),
    "cmu/10": ((-6.5, 2.2), (-6.0, -1.0)),
    "cmu/12": ((-4.0, 2.8), (-1.3, -1.9)),
    "cmu/16": ((-3.4, 2.5), (-5.0, -2.6)),
    "cmu/26": ((-1.2, 4.4), (-0.8, -4.2)),
    "cmu/35": ((-3.1, 3.4), (-2.9, -3.3)),
    "cmu/60": ((4.6, -3.0), (3.8, 1.7)),
    "cmu/61": ((2.6, 1.3), (4.7, 1.4)),
}
# How far a subject's pelvis tips forward without a correction, in degrees, when the person stands or walks at
# ease: where the markers sit on a pelvis, and so what a source calls level, differs by 25 degrees among
# subjects. The median over the clips (retarget_strips.py --pelves prints what remains).
PELVES: Mapping[str, float] = {
    "accad/Female1": -4.3, "accad/Male1": -3.4, "cmu/01": 1.5, "cmu/02": -4.0, "cmu/03": 7.1,
    "cmu/05": 20.5, "cmu/06": -3.2, "cmu/07": 5.9, "cmu/08": 6.0, "cmu/10": 3.3, "cmu/12": 1.3,
    "cmu/16": 0.9, "cmu/26": 10.9, "cmu/27": 0.8, "cmu/29": 4.7, "cmu/32": -0.6, "cmu/35": -1.6,
    "cmu/49": 15.9, "cmu/60": 8.7, "cmu/61": 4.7,
}
# fmt: on

# The zero pose of ACCAD's Male1 is no T-pose: the middle of this clip stands upright instead.
_MALE1 = "Male1_"
_MALE1_STANDS = "Male1_A1_Stand.bvh"


def subject_of(name: str) -> str:
    """The subject of a clip: "cmu/05" of "cmu/05_01"."""
    return name.split("_")[0]


def split_of(name: str) -> tuple[str, str]:
    """The split and the group of a clip such as "cmu/05_01"; the group of a training clip is its source."""
    for pattern, split, group in HELD_OUT:
        if fnmatch.fnmatchcase(name, pattern):
            return split, group
    return "train", name.split("/")[0]


def read_sources(
    mocap_folder: Path, *, rate: float | None = 10.0, splits: Collection[str] = SPLITS, pattern: str = "*"
) -> Iterator[SourceClip]:
    """Every clip of the wanted splits whose name matches ``pattern``, archive after archive, in name order.

    ``rate`` in hertz, None for every frame. Raises FitError where a zip file is missing or damaged.
    """
    unknown = set(splits) - set(SPLITS)
    if unknown:
        raise FitError(f"no split {min(unknown)!r}; the splits are {', '.join(SPLITS)}")
    for archive in ARCHIVES:
        try:
            with zipfile.ZipFile(mocap_folder / archive.file) as file:
                yield from _read_archive(file, archive, rate, splits, pattern)
        except FileNotFoundError:
            raise FitError(
                f"{mocap_folder / archive.file} is missing: motion capture is read from it"
            ) from None
        except zipfile.BadZipFile as error:
            raise FitError(f"{mocap_folder / archive.file} is no whole zip file: {error}") from None


def _read_archive(
    file: zipfile.ZipFile, archive: Archive, rate: float | None, splits: Collection[str], pattern: str
) -> Iterator[SourceClip]:
    family = FAMILIES[archive.family]
    standing: np.ndarray | None = None
    for member in sorted(fnmatch.filter(file.namelist(), archive.pattern)):
        name = f"{archive.subject_prefix}/{Path(member).stem}"
        split, group = split_of(name)
        if split not in splits or not fnmatch.fnmatchcase(name, pattern):
            continue
        clip = _read_clip(file, archive, member, rate)
        rest = _rest_rotations(clip, family)
        if archive.first_frame_is_rest:
            rest = clip.rotations[0]
        if Path(member).name.startswith(_MALE1):
            if standing is None:
                standing = _standing(_read_clip(file, archive, _MALE1_STANDS, None), family)
            rest = standing
        yield SourceClip(name, split, group, _without_opening(clip, archive.opening_frames), family, rest)
    _log.info("read %s", archive.file)


def _read_clip(file: zipfile.ZipFile, archive: Archive, member: str, rate: float | None) -> Clip:
    place = f"{archive.file}:{member}"
    if member.endswith(".bvh"):
        return read_bvh(file.read(member), place, metres_per_unit=archive.metres_per_unit, rate=rate)
    skeleton = f"{Path(member).stem.split('_')[0]}.asf"
    if skeleton not in file.namelist():
        raise FitError(f"{place}: its skeleton {skeleton} is not in the archive")
    return read_asf_amc(file.read(skeleton), file.read(member), place, rate=rate)


def _without_opening(clip: Clip, count: int) -> Clip:
    return replace(
        clip, rotations=clip.rotations[count:], positions=clip.positions[count:], frames=clip.frames[count:]
    )


def _rest_rotations(clip: Clip, family: Family) -> np.ndarray:
    rest = np.broadcast_to(np.eye(3), (len(clip.joint_names), 3, 3)).copy()
    for joint in SMPL_JOINT_NAMES:
        side, _, part = joint.rpartition("_")
        degrees = np.array(family.rest.get(part, (0, 0, 0)), dtype=np.float64)
        if side == "right":
            degrees[1:] *= -1
        if degrees.any():
            rest[clip.index(family.driver(joint))] = axis_angle_to_matrix(np.radians(degrees))
    return rest


def _standing(clip: Clip, family: Family) -> np.ndarray:
    """World rotations [J, 3, 3] of the middle frame, turned about the vertical to face +z."""
    middle = len(clip.frames) // 2
    left, right = (
        clip.positions[middle, clip.index(family.driver(f"{side}_hip"))] for side in ("left", "right")
    )
    across = left - right
    yaw = np.arctan2(-across[2], across[0])
    return axis_angle_to_matrix(np.array([0.0, -yaw, 0.0])) @ clip.rotations[middle]
