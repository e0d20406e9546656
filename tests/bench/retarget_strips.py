"""What retargeting keeps: strips of SMPL's joints below the source skeleton, and a table of measures.

``-o FOLDER`` draws the strips; ``--soles`` and ``--pelves`` correct the tables of the sources.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lsr1_solver.body_model import SMPL_JOINT_NAMES, SMPL_PARENTS
from lsr1_solver.errors import FitError
from lsr1_solver.rotation import geodesic_angle
from lsr1_solver.training.retarget import (
    LIMBS,
    Motion,
    load_motions,
    open_body_joints,
    retarget,
    world_joints,
)
from lsr1_solver.training.sources import SourceClip, read_sources, subject_of
from tests.bench.table import Row, parser, show
from tests.shared import SHARED

STRIPS = (
    "cmu/35_01",
    "accad/Female1_A07_Crouch",
    "accad/Female1_D6_CartWheel",
    "accad/Male1_B3_Walk",
    "cmu/60_01_scaled",
    "cmu/61_05_scaled",
    "cmu/01_01",
    "cmu/03_01",
    "cmu/49_06",
    "cmu/05_10",
)
QUICK = STRIPS[:4]
_CELL, _ROW, _FIGURES = 150, 260, 12
_PIXELS_PER_METRE = 110
_FEW = 40  # standing frames that a subject needs
_COLOURS = {"left": (30, 90, 220), "right": (215, 60, 40), "": (60, 60, 60), "front": (20, 150, 60)}


def limb_errors(source: SourceClip, positions: np.ndarray) -> np.ndarray:
    """Angles between the limb bones of the body and of the source, degrees. -> [T, 8]."""
    angles = []
    for side in ("left", "right"):
        for upper, lower in LIMBS:
            a, b = (SMPL_JOINT_NAMES.index(f"{side}_{part}") for part in (upper, lower))
            bone = positions[:, b] - positions[:, a]
            upper_driver, lower_driver = (
                source.clip.index(source.family.driver(f"{side}_{part}")) for part in (upper, lower)
            )
            target = source.clip.positions[:, lower_driver] - source.clip.positions[:, upper_driver]
            sine = np.linalg.norm(np.cross(bone, target), axis=-1)
            angles.append(np.degrees(np.arctan2(sine, (bone * target).sum(axis=-1))))
    return np.stack(angles, axis=1)


def standing_soles(G: np.ndarray, positions: np.ndarray, frame_rate: float) -> list[np.ndarray]:
    """The vertical in the frames of the feet that stand (at rest, low, near flat). -> [N, 3] left, right."""
    toes = [SMPL_JOINT_NAMES.index(f"{side}_foot") for side in ("left", "right")]
    ground = np.percentile(positions[:, toes, 1].min(axis=1), 5)
    soles = []
    for ankle, toe in zip((7, 8), toes, strict=True):
        moved = np.linalg.norm(np.gradient(positions[:, [ankle, toe]], axis=0), axis=-1).max(axis=1)
        up = G[:, ankle, 1]
        stands = (moved * frame_rate < 0.15) & (positions[:, toe, 1] < ground + 0.05)
        soles.append(up[stands & (up[:, 1] > np.cos(np.radians(25)))])
    return soles


def foot_tilt(G: np.ndarray, positions: np.ndarray, frame_rate: float) -> float:
    """The median angle of the standing soles with the ground, degrees."""
    up = np.concatenate(standing_soles(G, positions, frame_rate))
    return float(np.degrees(np.median(np.arccos(np.clip(up[:, 1], -1, 1))))) if len(up) else float("nan")


def print_soles(mocap_folder: Path) -> None:
    """What remains of the soles' tilt, subject by subject: corrects the table SOLES of the sources."""
    rest_joints = open_body_joints()
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    for motion in load_motions(mocap_folder, rate=30.0, rest_joints=rest_joints):
        soles = standing_soles(*world_joints(motion.rotations, motion.root, rest_joints), motion.frame_rate)
        for side, up in enumerate(soles):
            found.setdefault((subject_of(motion.name), side), []).append(up)
    for (subject, side), parts in found.items():
        up = np.concatenate(parts)
        if len(up) < _FEW:
            continue
        x, y, z = np.median(up, axis=0)
        toes, edge = np.degrees([np.arctan2(z, y), np.arctan2(-x, y)])
        print(f"{subject} {('left', 'right')[side]}: toes up {toes:.1f}, left edge up {edge:.1f} degrees")


# Degrees from hanging straight within which a person at ease has thighs, shins and upper arms.
_AT_EASE = (("hip", "knee", 30.0), ("knee", "ankle", 45.0), ("shoulder", "elbow", 40.0))


def eased_pelves(G: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """How far the pelvis tips forward, degrees, where the person stands or walks at ease. -> [N].

    G [T, 24, 3, 3] and positions [T, 24, 3] in the world.
    """
    eased = np.ones(len(G), dtype=bool)
    for upper, lower, most in _AT_EASE:
        for side in ("left", "right"):
            a, b = (SMPL_JOINT_NAMES.index(f"{side}_{part}") for part in (upper, lower))
            bone = positions[:, a] - positions[:, b]
            eased &= bone[:, 1] > np.cos(np.radians(most)) * np.linalg.norm(bone, axis=1)
    up, front = G[eased, 0, :, 1], G[eased, 0, :, 2] * [1.0, 0.0, 1.0]
    ahead = (up * front).sum(axis=1) / np.linalg.norm(front, axis=1)
    return np.degrees(np.arctan2(ahead, up[:, 1]))


def print_pelves(mocap_folder: Path) -> None:
    """What remains of the pelvis' tip, subject by subject: corrects the table PELVES of the sources."""
    rest_joints = open_body_joints()
    found: dict[str, list[np.ndarray]] = {}
    for motion in load_motions(mocap_folder, rate=30.0, rest_joints=rest_joints):
        posed = world_joints(motion.rotations, motion.root, rest_joints)
        found.setdefault(subject_of(motion.name), []).append(eased_pelves(*posed))
    for subject, parts in found.items():
        forward = np.concatenate(parts)
        if len(forward) >= _FEW:
            print(f"{subject}: {np.median(forward):.1f} degrees forward in {len(forward)} frames")


def measure(source: SourceClip, motion: Motion, G: np.ndarray, positions: np.ndarray) -> Row:
    """One row of the table."""
    head = SMPL_JOINT_NAMES.index("head")
    turn = geodesic_angle(motion.rotations[:-1], motion.rotations[1:]) * motion.frame_rate
    joint_of_fastest = int(np.argmax(turn.max(axis=0)))
    return {
        "clip": motion.name,
        "frames": len(motion.root),
        "limb_degrees_max": float(limb_errors(source, positions).max()),
        "sole_tilt_degrees": foot_tilt(G, positions, motion.frame_rate),
        "head_tilt_degrees": float(np.median(np.degrees(np.arccos(np.clip(G[:, head, 1, 1], -1, 1))))),
        "lowest_joint_m": float(np.percentile(positions[..., 1].min(axis=1), 5)),
        "fastest_degrees_per_s": float(np.degrees(turn.max())),
        "fastest_joint": SMPL_JOINT_NAMES[joint_of_fastest],
    }


def _view(rotation: np.ndarray) -> np.ndarray:
    """The picture's axes (right, up) [2, 3] for a look at the body from its front left."""
    yaw = np.arctan2(rotation[0, 2], rotation[2, 2]) + np.radians(40)
    right = np.array([np.cos(yaw), 0.0, -np.sin(yaw)])
    towards = np.array([np.sin(yaw), 0.0, np.cos(yaw)])
    up = np.array([0.0, 1.0, 0.0]) * np.cos(np.radians(12)) - towards * np.sin(np.radians(12))
    return np.stack([right, up])


def _side_of(name: str) -> str:
    if name.startswith(("left", "Left", "LHip", "LThumb")) or (name[0] == "l" and name[:5] != "lower"):
        return "left"
    if name.startswith(("right", "Right", "RHip", "RThumb")) or (name[0] == "r" and name != "root"):
        return "right"
    return ""


def _figure(
    draw: ImageDraw.ImageDraw, points: np.ndarray, names: tuple[str, ...], parents: tuple[int, ...]
) -> None:
    for j, parent in enumerate(parents):
        if parent >= 0:
            ends = [tuple(points[parent]), tuple(points[j])]
            draw.line(ends, fill=_COLOURS[_side_of(names[j])], width=3)


def draw_strip(source: SourceClip, motion: Motion, G: np.ndarray, positions: np.ndarray) -> Image.Image:
    """Twelve moments: the source above, SMPL's joints below; blue is left, red right, green the front."""
    clip = source.clip
    picture = Image.new("RGB", (_CELL * _FIGURES, 2 * _ROW + 20), "white")
    draw = ImageDraw.Draw(picture)
    draw.text(
        (4, 2), f"{motion.name}: above the source, below SMPL; blue left, red right, green front", "black"
    )
    scale = np.ptp(positions[0, :, 1]) / max(np.ptp(clip.positions[0, :, 1]), 1e-6)
    axes = _view(G[0, 0])
    for column, t in enumerate(np.linspace(0, len(positions) - 1, _FIGURES).astype(int)):
        for row, (points, names, parents) in enumerate(
            (
                (clip.positions[t] * scale, clip.joint_names, clip.parents),
                (positions[t], SMPL_JOINT_NAMES, SMPL_PARENTS),
            )
        ):
            ground = 20 + row * _ROW + _ROW - 30
            origin = points[0] * [1.0, 0.0, 1.0]

            def pixels(
                p: np.ndarray, ground: int = ground, origin: np.ndarray = origin, x: int = column
            ) -> np.ndarray:
                q = (p - origin) @ axes.T * _PIXELS_PER_METRE
                return np.stack([_CELL * (x + 0.5) + q[..., 0], ground - q[..., 1]], axis=-1)

            draw.line([(_CELL * column, ground), (_CELL * (column + 1), ground)], fill=(200, 200, 200))
            _figure(draw, pixels(points), names, parents)
            if row:
                for j in (9, 15):
                    tick = pixels(np.stack([points[j], points[j] + 0.15 * G[t, j, :, 2]]))
                    draw.line([tuple(p) for p in tick], fill=_COLOURS["front"], width=2)
    return picture


def main() -> int:
    """The command line; returns the exit code."""
    asking = parser(__doc__)
    asking.add_argument("--mocap", type=Path, default=SHARED / "mocap", help="the folder of motion capture")
    asking.add_argument("-o", "--output", type=Path, help="folder for the pictures")
    asking.add_argument("--clip", action="append", help="clip names instead of the usual ones")
    asking.add_argument("--soles", action="store_true", help="print how the soles stand, nothing else")
    asking.add_argument("--pelves", action="store_true", help="print how level the pelvis is, nothing else")
    arguments = asking.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for wanted, table in ((arguments.soles, print_soles), (arguments.pelves, print_pelves)):
        if wanted:
            table(arguments.mocap)
            return 0
    rest_joints = open_body_joints()
    rows: list[Row] = []
    for name in arguments.clip or (QUICK if arguments.quick else STRIPS):
        for source in read_sources(arguments.mocap, rate=30.0, pattern=name):
            motion = retarget(source, rest_joints)
            G, positions = world_joints(motion.rotations, motion.root, rest_joints)
            rows.append(measure(source, motion, G, positions))
            if arguments.output:
                arguments.output.mkdir(parents=True, exist_ok=True)
                picture = draw_strip(source, motion, G, positions)
                picture.save(arguments.output / f"{motion.name.replace('/', '_')}.png")
    show(rows, arguments.json)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FitError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
