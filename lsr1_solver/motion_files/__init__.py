"""Motion files of all kinds, told apart by what is in them. ``read_motion`` is the door."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..body_model import BodyModel, BodyPose, rest_joints
from ..errors import FitError
from ..rotation import axis_angle_to_matrix, continuous_axis_angle, matrix_to_axis_angle
from .files import read_recording
from .records import OPEN_SHAPES, TURNS, Recording, Space, Track, Up

__all__ = ["Motion", "read_motion"]

# A body whose mean back points this much along an axis stands along it.
_CLEARLY = 0.7
_AXES: tuple[tuple[Up, tuple[int, float]], ...] = (("Z", (2, 1.0)), ("Y", (1, 1.0)), ("-Y", (1, -1.0)))


@dataclass(frozen=True, eq=False)
class Motion:
    """One person of a motion file, in the solver's axes.

    ``pose`` [N], y up, metres, one shape for all frames; ``frames`` [N] counted from the clip's first;
    ``frame_rate`` frames a second, ``rate_is_assumed`` where the file does not say; ``up`` the way up that
    the file was read with. ``in_camera``: the axes are those of a camera at the origin that looks along -z.
    ``has_shape``: the file has a shape, and one of the body's; else the shape is the body's mean.
    """

    family: str
    person: str
    pose: BodyPose
    frames: np.ndarray
    frame_rate: float
    rate_is_assumed: bool
    up: Up
    in_camera: bool
    has_shape: bool

    def __str__(self) -> str:
        assumed = " (assumed)" if self.rate_is_assumed else ""
        axes = "camera axes" if self.in_camera else f"{self.up} up"
        count = len(self.frames)
        rate = f"{self.frame_rate:.6g} frames/s{assumed}"
        return f"{self.family}, {self.person}, {count} frame{'s' * (count > 1)}, {rate}, {axes}"


def read_motion(
    path: str | Path,
    *,
    body: BodyModel,
    up: Up | None = None,
    frame_rate: float | None = None,
    space: Literal["world", "camera"] | None = None,
) -> list[Motion]:
    """The people of a motion file, those with the most frames first.

    Reads AMASS's ``.npz``, SMPL and AIST++ ``.pkl``, ROMP's ``.npz`` (a folder with a file a frame, too),
    GVHMR's ``.pt``, WHAM's and 4D-Humans' (PHALP's) ``.pkl``; nothing that is in them is run, and neither
    torch nor joblib is needed. ``body`` is the one that will be posed: SMPL turns a body about its pelvis,
    whose rest position enters the translation. Betas are cut or padded to its components; SMPL's mean nothing
    to the open body, and the other way round, so there they are left out. A shape a frame becomes their mean;
    every pelvis stays where it was.

    ``up`` and ``frame_rate`` go before what the file says or its kind uses; where the kind does not tell
    which way is up, the bodies' backs do. ``space`` chooses between the world and the camera's axes for files
    that have both (default: the world).

    Raises FitError, naming the file and the place, for what cannot be read.
    """
    if frame_rate is not None and not (math.isfinite(frame_rate) and frame_rate > 0):
        raise FitError(f"The frame rate is {frame_rate}; a positive number of frames a second is right.")
    path = Path(path)
    recording = read_recording(path)
    chosen = _space(recording, space, path.name)
    in_camera = chosen is recording.camera
    way_up = up or (chosen.up if chosen.up_is_sure else _seen_up(chosen))
    # One clock for everybody: the clip begins with the first person.
    first = min(int(track.numbers[0]) for track in chosen.tracks)
    tracks = sorted(chosen.tracks, key=lambda track: -len(track.numbers))
    motions = []
    for track in tracks:
        same_shapes = (track.shapes == OPEN_SHAPES) == (body.name == OPEN_SHAPES)
        has_shape = same_shapes and track.betas.shape[1] > 0
        motions.append(
            Motion(
                family=recording.family,
                person=track.name,
                pose=_pose(track, TURNS[way_up], body, has_shape),
                frames=track.numbers - first,
                frame_rate=frame_rate or recording.frame_rate or recording.usual_rate,
                rate_is_assumed=frame_rate is None and recording.frame_rate is None,
                up=way_up,
                in_camera=in_camera,
                has_shape=has_shape,
            )
        )
    return motions


def _space(recording: Recording, wanted: str | None, name: str) -> Space:
    if wanted is None:
        found = recording.world or recording.camera
    else:
        found = recording.world if wanted == "world" else recording.camera
    if found is None:
        other = "the camera's axes" if wanted == "world" else "the world"
        raise FitError(f"{name} is a file of {recording.family} and has people only in {other}.")
    return found


def _seen_up(space: Space) -> Up:
    """Which way the bodies' backs point in the mean, where that is clear; else what is usual."""
    root = np.concatenate([track.rotations[:, 0] for track in space.tracks])
    back = axis_angle_to_matrix(root)[:, :, 1].mean(axis=0)
    found: list[Up] = [up for up, (axis, sign) in _AXES if sign * back[axis] > _CLEARLY]
    return found[0] if found else space.up


def _pose(track: Track, turn: np.ndarray, body: BodyModel, has_shape: bool) -> BodyPose:
    S, N = body.shape_count, len(track.trans)
    betas = np.zeros((N, S))
    if has_shape:
        known = min(S, track.betas.shape[1])
        betas[:, :known] = track.betas[:, :known]
    mean = np.tile(betas.mean(axis=0), (N, 1))
    rest, rest_of_mean = rest_joints(body, betas)[:, 0], rest_joints(body, mean)[:, 0]
    return BodyPose(
        global_orient=continuous_axis_angle(
            matrix_to_axis_angle(turn @ axis_angle_to_matrix(track.rotations[:, 0]))
        ),
        body_pose=track.rotations[:, 1:],
        betas=mean,
        transl=(rest + track.trans) @ turn.T - rest_of_mean,
    )
