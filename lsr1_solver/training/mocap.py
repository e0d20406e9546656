"""Motion capture as it is in the files: the `Clip`, and the reader of BVH (`asf_amc` has that of ASF/AMC).

A clip is one tree of joints whose bones turn with their *upper* joint: world rotations and positions in
metres, y up, from a rest pose (all angles zero) whose world rotations are the identity. The files are text;
only the frames that are asked for are parsed.

BVH: Biovision's hierarchy, described in Meredith and Maddock, *Motion Capture File Formats Explained*, 2001.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import FitError
from ..rotation import axis_angle_to_matrix

AXES = {"x": 0, "y": 1, "z": 2}
TURNS = 3  # rotation channels a joint, padded with turns about nothing
# The end of a bone without a child: the point where a BVH file says End Site.
END = " end"


@dataclass(frozen=True, eq=False)
class Clip:
    """A motion of T frames on its own skeleton of J joints (bone ends included).

    ``offsets`` [J, 3] the rest pose, each joint from its parent; ``rotations`` [T, J, 3, 3] from the rest
    pose to the world; ``positions`` [T, J, 3]; ``frames`` [T] the numbers of the frames in the file, from 0.
    Metres, y up; ``frame_rate`` in hertz, that of the frames kept.
    """

    name: str
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    rotations: np.ndarray
    positions: np.ndarray
    frames: np.ndarray
    frame_rate: float

    def index(self, joint: str) -> int:
        """The number of a joint. Raises FitError where the skeleton has none of that name."""
        if joint not in self.joint_names:
            raise FitError(f"{self.name}: the skeleton has no joint {joint!r}; it has {self.joint_names}")
        return self.joint_names.index(joint)


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A tree of joints and the meaning of the numbers that move it.

    A frame of motion is a row of numbers. ``turn_axes`` [J, 3, 3] unit axes in the rest pose, the first
    turn outermost, zero where a joint has fewer turns; ``turn_columns`` and ``shift_columns`` [J, 3] the
    column of each turn and of each coordinate of the joint's place (which replaces its offset), -1: none.
    ``offsets`` [J, 3] in the file's units.
    """

    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    turn_axes: np.ndarray
    turn_columns: np.ndarray
    shift_columns: np.ndarray
    column_count: int


def read_bvh(data: bytes, name: str, *, metres_per_unit: float, rate: float | None = None) -> Clip:
    """The motion of a BVH file.

    ``data`` the file's bytes; ``name`` what errors call it; ``rate`` in hertz keeps the first frame and
    those nearest to that rate (None: every frame).
    Raises FitError where the file is damaged, or slower than ``rate``.
    """
    head, mark, tail = data.decode("latin-1").partition("MOTION")
    if not mark:
        raise FitError(f"{name}: no MOTION section; a BVH file has HIERARCHY and MOTION")
    skeleton = _bvh_skeleton(head, name)
    timing = re.match(r"\s*Frames:\s*(\d+)\s+Frame Time:\s*(\S+)[^\S\n]*\n?", tail)
    if timing is None:
        raise FitError(f"{name}: MOTION must go on with 'Frames: N' and 'Frame Time: SECONDS'")
    seconds = parse_number(timing[2], f"{name}: Frame Time")
    if seconds <= 0:
        raise FitError(f"{name}: Frame Time is {timing[2]}; it must be a positive number of seconds")
    lines = [line for line in tail[timing.end() :].splitlines() if line.strip()]
    if len(lines) < int(timing[1]):
        raise FitError(
            f"{name}: holds {len(lines)} frames of the {timing[1]} that it announces; it is cut off"
        )
    frames, kept_rate = choose_frames(int(timing[1]), 1 / seconds, rate, name)
    width = skeleton.column_count
    values = np.stack([parse_row(lines[f].split(), width, f"{name}: frame {f}") for f in frames])
    return pose(name, skeleton, values, frames, kept_rate, metres_per_unit, np.pi / 180)


def choose_frames(count: int, frame_rate: float, rate: float | None, name: str) -> tuple[np.ndarray, float]:
    """The frames nearest to ``rate`` hertz, from the first on, and the rate they have.

    Raises FitError where there is no frame, or where ``rate`` is above the file's ``frame_rate``.
    """
    if count < 1:
        raise FitError(f"{name}: holds no frame of motion")
    if rate is None:
        return np.arange(count), frame_rate
    # Frame times are rounded in the files: 0.0333333 s is meant as 30 Hz.
    if not 0 < rate <= frame_rate * 1.001:
        raise FitError(
            f"{name}: is recorded at {frame_rate:.4g} Hz; a rate of {rate:g} Hz cannot be taken from it"
        )
    step = max(frame_rate / rate, 1.0)
    frames = np.rint(np.arange(count) * step).astype(int)
    return frames[frames < count], rate


def pose(
    name: str,
    skeleton: Skeleton,
    values: np.ndarray,
    frames: np.ndarray,
    frame_rate: float,
    metres: float,
    radians: float,
) -> Clip:
    """The clip that a skeleton makes of its rows of numbers.

    ``values`` [T, column_count], one row a frame of ``frames`` [T]; ``metres`` and ``radians`` the size of
    the file's units.
    """
    # A last column of zeros serves the joints with fewer channels.
    values = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
    turns = axis_angle_to_matrix(values[:, skeleton.turn_columns, None] * radians * skeleton.turn_axes)
    local = turns[:, :, 0] @ turns[:, :, 1] @ turns[:, :, 2]
    shifts = (
        np.where(skeleton.shift_columns < 0, skeleton.offsets, values[:, skeleton.shift_columns]) * metres
    )
    rotations, positions = np.empty_like(local), np.empty_like(shifts)
    for j, parent in enumerate(skeleton.parents):
        if parent < 0:
            rotations[:, j], positions[:, j] = local[:, j], shifts[:, j]
        else:
            rotations[:, j] = rotations[:, parent] @ local[:, j]
            positions[:, j] = positions[:, parent] + (rotations[:, parent] @ shifts[:, j, :, None])[..., 0]
    return Clip(
        name,
        skeleton.joint_names,
        skeleton.parents,
        skeleton.offsets * metres,
        rotations,
        positions,
        frames,
        frame_rate,
    )


def parse_number(text: str, place: str) -> float:
    """A finite number. Raises FitError, naming ``place``, for anything else."""
    try:
        value = float(text)
    except ValueError:
        raise FitError(f"{place}: {text!r} is no number") from None
    if not np.isfinite(value):
        raise FitError(f"{place}: {text!r} is not finite")
    return value


def parse_row(words: Sequence[str], width: int, place: str) -> np.ndarray:
    """``width`` finite numbers. -> [width]. Raises FitError, naming ``place``, for anything else."""
    if len(words) != width:
        raise FitError(f"{place} holds {len(words)} numbers; the skeleton has {width} channels")
    try:
        row = np.array(words, dtype=np.float64)
    except ValueError:
        return np.array([parse_number(word, place) for word in words])
    if not np.isfinite(row).all():
        raise FitError(f"{place} holds a value that is not finite")
    return row


def _bvh_skeleton(text: str, name: str) -> Skeleton:
    words = iter(text.split())
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[list[str]] = []
    open_joints = [-1]
    for word in words:
        try:
            if word in ("ROOT", "JOINT", "End"):
                label = next(words)
                names.append(names[open_joints[-1]] + END if word == "End" else label)
                parents.append(open_joints[-1])
                offsets.append([0.0, 0.0, 0.0])
                channels.append([])
                open_joints.append(len(names) - 1)
            elif word == "OFFSET":
                offsets[open_joints[-1]] = [
                    parse_number(next(words), f"{name}: OFFSET of {names[-1]}") for _ in "xyz"
                ]
            elif word == "CHANNELS":
                channels[open_joints[-1]] = [next(words) for _ in range(int(next(words)))]
            elif word == "}":
                open_joints.pop()
        except (StopIteration, IndexError, ValueError):
            raise FitError(f"{name}: the HIERARCHY breaks off at {word!r} after joint {names[-1:]}") from None
    if not names or open_joints != [-1]:
        raise FitError(f"{name}: the HIERARCHY holds no ROOT, or a brace is missing")
    return _bvh_channels(names, parents, np.array(offsets), channels, name)


def _bvh_channels(
    names: list[str], parents: list[int], offsets: np.ndarray, channels: list[list[str]], name: str
) -> Skeleton:
    turn_axes = np.zeros((len(names), TURNS, 3))
    turn_columns = np.full((len(names), TURNS), -1)
    shift_columns = np.full((len(names), 3), -1)
    column = 0
    for j, joint_channels in enumerate(channels):
        turn = 0
        for channel in joint_channels:
            axis, kind = AXES.get(channel[:1].lower(), -1), channel[1:].lower()
            if axis < 0 or kind not in ("rotation", "position") or (kind == "rotation" and turn == TURNS):
                raise FitError(
                    f"{name}: joint {names[j]} has the channels {joint_channels}; "
                    "known are Xposition to Zposition and at most three of Xrotation to Zrotation"
                )
            if kind == "rotation":
                turn_axes[j, turn, axis], turn_columns[j, turn] = 1, column
                turn += 1
            else:
                shift_columns[j, axis] = column
            column += 1
    return Skeleton(tuple(names), tuple(parents), offsets, turn_axes, turn_columns, shift_columns, column)
