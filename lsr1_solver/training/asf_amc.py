"""The reader of Acclaim's motion capture: ASF (skeleton) and AMC (motion), as written by CMU.

http://mocap.cs.cmu.edu; the format: http://research.cs.wisc.edu/graphics/Courses/cs-838-1999/Jeff/ASF-AMC.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import FitError
from ..rotation import axis_angle_to_matrix
from .mocap import AXES, END, TURNS, Clip, Skeleton, choose_frames, parse_number, parse_row, pose


@dataclass(frozen=True, eq=False)
class _Bone:
    """``vector`` [3] from its beginning to its end, in the file's units; ``frame`` [3, 3] its axes' frame."""

    name: str
    vector: np.ndarray
    dofs: tuple[str, ...]
    frame: np.ndarray
    turn_order: tuple[int, ...]


def read_asf_amc(
    asf: bytes, amc: bytes, name: str, *, frame_rate: float = 120.0, rate: float | None = None
) -> Clip:
    """The motion of an AMC file on the skeleton of its ASF file; the ASF file says the units.

    ``frame_rate`` in hertz is that of the recording: the files do not say it. ``rate`` as in `read_bvh`.
    Raises FitError where a file is damaged.
    """
    sections = _asf_sections(asf.decode("latin-1"))
    missing = {"units", "root", "bonedata", "hierarchy"} - set(sections)
    if missing:
        raise FitError(f"{name}: the ASF skeleton has no section :{min(missing)}")
    units = {words[0]: words[-1] for words in sections["units"]}
    # CMU's lengths are inches once divided by the stated unit (0.45).
    metres = 0.0254 / parse_number(units.get("length", "1"), f"{name}: :units length")
    radians = 1.0 if units.get("angle", "deg").startswith("rad") else np.pi / 180
    skeleton, slots = _asf_skeleton(sections, radians, name)
    lines = [
        line for line in amc.decode("latin-1").splitlines() if line.strip() and line.strip()[0] not in "#:"
    ]
    starts = [i for i, line in enumerate(lines) if line.strip().isdigit()]
    if not starts:
        raise FitError(f"{name}: the AMC file holds no frame; a frame begins with its number on a line")
    frames, kept_rate = choose_frames(len(starts), frame_rate, rate, name)
    starts.append(len(lines))
    values = np.stack(
        [_amc_frame(lines[starts[f] + 1 : starts[f + 1]], slots, f"{name}: frame {f}") for f in frames]
    )
    return pose(name, skeleton, values, frames, kept_rate, metres, radians)


def _asf_sections(text: str) -> dict[str, list[list[str]]]:
    """The words of every line, by section; a section begins with a colon."""
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words and words[0].startswith(":"):
            current = sections.setdefault(words[0][1:], [])
        elif words:
            current.append(words)
    return sections


def _asf_bones(lines: list[list[str]], radians: float, name: str) -> Iterator[_Bone]:
    entries: dict[str, list[str]] = {}
    for words in lines:
        if words[0] == "begin":
            entries = {}
        elif words[0] != "end":
            entries[words[0]] = words[1:]
        else:
            bone = entries["name"][0]
            direction = parse_row(entries["direction"], 3, f"{name}: direction of {bone}")
            length = parse_number(entries["length"][0], f"{name}: length of {bone}")
            *angles, order = entries["axis"]
            yield _Bone(
                bone,
                direction * length,
                tuple(dof.lower() for dof in entries.get("dof", [])),
                *_axis_frame(angles, order, radians, f"{name}: axis of {bone}"),
            )


def _axis_frame(
    angles: Sequence[str], order: str, radians: float, place: str
) -> tuple[np.ndarray, tuple[int, ...]]:
    """The frame [3, 3] of a bone's axes, and their numbers, the outermost turn first."""
    # Angles apply in the listed order, the first innermost: Rz Ry Rx for XYZ.
    turn_order = tuple(AXES[axis] for axis in reversed(order.lower()))
    values = parse_row(angles, 3, place) * radians
    frame = np.eye(3)
    for axis in turn_order:
        frame = frame @ axis_angle_to_matrix(np.eye(3)[axis] * values[axis])
    return frame, turn_order


def _asf_skeleton(
    sections: dict[str, list[list[str]]], radians: float, name: str
) -> tuple[Skeleton, dict[str, list[int]]]:
    """The skeleton, and for every name in the AMC file the columns that its numbers fill.

    An ASF bone turns itself; here a bone turns with its upper joint, so that a bone's joint stands at its
    beginning and carries its name, and every bone without a child gets an end.
    """
    try:
        root = {words[0]: words[1:] for words in sections["root"]}
        dofs = tuple(word.lower() for word in root["order"])
        frame = _axis_frame(root["orientation"], root["axis"][0], radians, f"{name}: axis of the root")
        bones = [_Bone("root", np.zeros(3), dofs, *frame), *_asf_bones(sections["bonedata"], radians, name)]
        parent_of = {child: words[0] for words in sections["hierarchy"] for child in words[1:]}
        names = [bone.name for bone in bones]
        parents = [-1, *(names.index(parent_of[bone]) for bone in names[1:])]
        columns = {bone.name: _slots(bone) for bone in bones}
    except (KeyError, ValueError, IndexError) as error:
        raise FitError(f"{name}: the ASF skeleton is damaged or has an unknown word: {error}") from None
    if any(parent >= j for j, parent in enumerate(parents)):
        raise FitError(f"{name}: the ASF skeleton lists a bone before its parent")
    childless = [j for j in range(len(bones)) if j not in parents]
    parents += childless
    names += [names[j] + END for j in childless]
    offsets = np.array([np.zeros(3), *(bones[parent].vector for parent in parents[1:])])
    return _with_columns(names, parents, offsets, bones, columns)


def _slots(bone: _Bone) -> list[tuple[str, int, int]]:
    """For each number of a bone's line: 'r' or 't', the place among the turns (or the axis), the axis."""
    slots = []
    for dof in bone.dofs:
        axis = AXES[dof[1:]]
        slots.append((dof[0], bone.turn_order.index(axis) if dof[0] == "r" else axis, axis))
    return slots


def _with_columns(
    names: list[str],
    parents: list[int],
    offsets: np.ndarray,
    bones: list[_Bone],
    slots: dict[str, list[tuple[str, int, int]]],
) -> tuple[Skeleton, dict[str, list[int]]]:
    turn_axes = np.zeros((len(names), TURNS, 3))
    turn_columns = np.full((len(names), TURNS), -1)
    shift_columns = np.full((len(names), 3), -1)
    columns: dict[str, list[int]] = {}
    count = 0
    for j, bone in enumerate(bones):
        for kind, place, axis in slots[bone.name]:
            if kind == "r":
                turn_axes[j, place], turn_columns[j, place] = bone.frame[:, axis], count
            elif kind == "t":
                shift_columns[j, place] = count
            columns.setdefault(bone.name, []).append(count)
            count += 1
    skeleton = Skeleton(tuple(names), tuple(parents), offsets, turn_axes, turn_columns, shift_columns, count)
    return skeleton, columns


def _amc_frame(lines: list[str], slots: dict[str, list[int]], place: str) -> np.ndarray:
    values = np.full(1 + max(c for columns in slots.values() for c in columns), np.nan)
    for words in map(str.split, lines):
        columns = slots.get(words[0])
        if columns is None:
            raise FitError(f"{place}: the ASF skeleton has no moving bone {words[0]!r}")
        values[columns] = parse_row(words[1:], len(columns), f"{place}, {words[0]}")
    if np.isnan(values).any():
        lost = [joint for joint, columns in slots.items() if np.isnan(values[columns]).any()]
        raise FitError(
            f"{place}: lacks the bone {lost[0]!r}; the file is cut off or belongs to another skeleton"
        )
    return values
