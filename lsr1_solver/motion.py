"""Motion files in AMASS's format (https://amass.is.tue.mpg.de), which the SMPL add-ons of Blender read.

A pose of the solver lives in camera axes: y up, the camera at the origin looking along -z. The files are z
up: everything turns by +90 degrees about x, so the camera stays at the origin and looks along +y.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Literal

import array_api_compat
import numpy as np

from .arrays import Array
from .body_model import BodyModel, BodyPose, rest_joints
from .errors import FitError
from .motion_files import read_motion
from .motion_files.amass import OPEN_BETAS
from .motion_files.records import OPEN_SHAPES, SHARED_ROTATIONS
from .rotation import axis_angle_to_matrix, continuous_axis_angle, matrix_to_axis_angle
from .whole_file import write_whole

GENDERS = ("neutral", "male", "female")
# SMPL-H's 52 joints, or SMPL-X's 55: with jaw and eyes before the fingers. Both begin with SMPL's 22.
_ROTATIONS = {"smplh": 52 * 3, "smplx": 55 * 3}
_AMASS_BETAS = 16
_Y_UP_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def write_amass(
    path: str | Path,
    pose: BodyPose,
    *,
    frame_rate: float,
    body: BodyModel,
    gender: str = "neutral",
    layout: Literal["smplh", "smplx"] = "smplh",
) -> None:
    """Write a motion as an AMASS ``.npz``: whole, or not at all.

    ``pose`` is in camera axes (y up), metres; ``frame_rate`` frames a second; ``body`` the one that was
    fitted: SMPL turns a body about its pelvis, whose rest position enters the translation. Keys: ``poses``
    (N, 156; N, 165 in the ``layout`` of SMPL-X, which the SMPL-X add-on and Meshcapade's ask for),
    ``betas`` (16), ``trans`` (N, 3), ``gender``, ``mocap_framerate`` and ``mocap_frame_rate``. The format has
    one shape a clip: the mean over the frames; every pelvis stays where it was. The open body's shape means
    nothing to SMPL: its betas are under ``open_body_betas``, and SMPL's are zero. The format has no place for
    SMPL's two hand joints (22, 23): their rotations are left out, and those of fingers and face are zero.

    Raises ``FitError`` where the pose is empty or not finite, or the file cannot be written.
    """
    if gender not in GENDERS:
        raise FitError(f"gender is {gender!r}; it should be one of {', '.join(GENDERS)}.")
    if not (math.isfinite(frame_rate) and frame_rate > 0):
        raise FitError(f"frame_rate is {frame_rate}; it should be a positive number of frames a second.")
    root, joints, betas, transl = map(
        _to_numpy, (pose.global_orient, pose.body_pose, pose.betas, pose.transl)
    )
    if len(transl) == 0 or not all(np.isfinite(a).all() for a in (root, joints, betas, transl)):
        raise FitError("The motion has no frames or holds NaN: fit it before writing it.")
    mean_betas = betas.mean(axis=0)
    pelvis = rest_joints(body, betas)[:, 0] + transl
    poses = np.zeros((len(transl), _ROTATIONS[layout]))
    poses[:, :3] = _turn_root(_Y_UP_TO_Z_UP, root)
    poses[:, 3:SHARED_ROTATIONS] = joints.reshape(len(joints), -1)[:, : SHARED_ROTATIONS - 3]
    padded = np.pad(mean_betas, (0, max(0, _AMASS_BETAS - len(mean_betas))))
    is_open = body.name == OPEN_SHAPES
    values = {
        "poses": poses,
        "betas": np.zeros(_AMASS_BETAS) if is_open else padded,
        **({OPEN_BETAS: mean_betas} if is_open else {}),
        "trans": pelvis @ _Y_UP_TO_Z_UP.T - rest_joints(body, mean_betas[None])[:, 0],
        "gender": np.array(gender),
        "mocap_framerate": np.array(float(frame_rate)),
        "mocap_frame_rate": np.array(float(frame_rate)),
    }
    write_whole(Path(path), lambda file: _save(file, values))


def read_amass(path: str | Path, *, body: BodyModel) -> tuple[BodyPose, float]:
    """Read a motion from an AMASS ``.npz`` (SMPL, SMPL-H or SMPL-X) into camera axes; the inverse of writing.

    As ``read_motion`` with z up. Returns the pose, y up, metres, and the frame rate.

    Raises ``FitError`` where the file is missing, damaged or no AMASS motion.
    """
    motion = read_motion(path, body=body, up="Z")[0]
    if motion.family != "AMASS":
        raise FitError(f"{Path(path).name} is a motion of {motion.family}, not of AMASS.")
    return motion.pose, motion.frame_rate


def _turn_root(turn: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Root rotations seen from turned axes. ``turn`` [3, 3], ``root`` [N, 3] axis-angle -> [N, 3]."""
    return continuous_axis_angle(matrix_to_axis_angle(turn @ axis_angle_to_matrix(root)))


def _save(file: IO[bytes], values: Mapping[str, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in values.items():
            # A fixed date: two runs give the same bytes.
            member = zipfile.ZipInfo(f"{key}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)


def _to_numpy(array: Array) -> np.ndarray:
    return np.asarray(array_api_compat.to_device(array, "cpu"), dtype=np.float64)
