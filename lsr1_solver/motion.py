"""Motion files in AMASS's format (https://amass.is.tue.mpg.de), which the SMPL add-ons of Blender read.

A pose of the solver lives in camera axes: y up, the camera at the origin looking along -z. The files are z
up: everything turns by +90 degrees about x, so the camera stays at the origin and looks along +y.
"""

from __future__ import annotations

import logging
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import array_api_compat
import numpy as np

from .arrays import Array
from .body_model import JOINT_COUNT, BodyModel, BodyPose, rest_joints
from .errors import FitError
from .rotation import axis_angle_to_matrix, continuous_axis_angle, matrix_to_axis_angle

_log = logging.getLogger(__name__)

GENDERS = ("neutral", "male", "female")
_RATE_KEYS = ("mocap_framerate", "mocap_frame_rate", "fps")
# SMPL-H's 52 joints: AMASS writes all of them; SMPL shares the root and the 21 joints of the body.
_AMASS_ROTATIONS = 52 * 3
_SHARED_ROTATIONS = 22 * 3
_SMPL_ROTATIONS = JOINT_COUNT * 3
_AMASS_BETAS = 16
_Y_UP_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def write_amass(
    path: str | Path,
    pose: BodyPose,
    *,
    frame_rate: float,
    body: BodyModel,
    gender: str = "neutral",
) -> None:
    """Write a motion as an AMASS ``.npz``: whole, or not at all.

    ``pose`` is in camera axes (y up), metres; ``frame_rate`` frames a second; ``body`` the one that was
    fitted: SMPL turns a body about its pelvis, whose rest position enters the translation. Keys: ``poses``
    (N, 156), ``betas`` (16), ``trans`` (N, 3), ``gender``, ``mocap_framerate`` and ``mocap_frame_rate``. The
    format has one shape a clip: the mean over the frames; every pelvis stays where it was. It has no place
    for SMPL's two hand joints (22, 23): their rotations are left out, and the fingers' are zero.

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
    poses = np.zeros((len(transl), _AMASS_ROTATIONS))
    poses[:, :3] = _turn_root(_Y_UP_TO_Z_UP, root)
    poses[:, 3:_SHARED_ROTATIONS] = joints.reshape(len(joints), -1)[:, : _SHARED_ROTATIONS - 3]
    values = {
        "poses": poses,
        "betas": np.pad(mean_betas, (0, max(0, _AMASS_BETAS - len(mean_betas)))),
        "trans": pelvis @ _Y_UP_TO_Z_UP.T - rest_joints(body, mean_betas[None])[:, 0],
        "gender": np.array(gender),
        "mocap_framerate": np.array(float(frame_rate)),
        "mocap_frame_rate": np.array(float(frame_rate)),
    }
    _write_npz(Path(path), values)


def read_amass(path: str | Path, *, body: BodyModel) -> tuple[BodyPose, float]:
    """Read a motion from an AMASS ``.npz`` (SMPL, SMPL-H or SMPL-X) into camera axes; the inverse of writing.

    ``body`` is the one that will be posed; the file's shape is cut or padded to its components. Returns the
    pose, y up, metres, and the frame rate. SMPL's hand joints are those of the file where it is SMPL's (72
    values a frame), else zero; fingers and face are dropped.

    Raises ``FitError`` where the file is missing, damaged or no AMASS motion.
    """
    path = Path(path)
    values = _read_npz(path, {"poses", "trans", "betas", *_RATE_KEYS})
    trans = _numbers(path, values, "trans")
    if trans.ndim != 2 or trans.shape[1] != 3 or len(trans) == 0:
        raise FitError(f"{path.name}: trans has the shape {trans.shape}; it should be (frames, 3).")
    N = len(trans)
    poses = _numbers(path, values, "poses")
    poses = poses.reshape(len(poses), -1) if poses.ndim > 1 else poses
    if poses.ndim != 2 or len(poses) != N or poses.shape[1] < _SHARED_ROTATIONS:
        raise FitError(
            f"{path.name}: poses has the shape {poses.shape}; it should be ({N}, 156), or at least "
            f"{_SHARED_ROTATIONS} rotation values for each of the {N} frames of trans."
        )
    joints = np.zeros((N, _SMPL_ROTATIONS))
    kept = _SMPL_ROTATIONS if poses.shape[1] == _SMPL_ROTATIONS else _SHARED_ROTATIONS
    joints[:, :kept] = poses[:, :kept]
    betas = _shape_for(body, _numbers(path, values, "betas").ravel(), path.name)
    rest_pelvis = rest_joints(body, betas[None])[:, 0]
    pose = BodyPose(
        global_orient=_turn_root(_Y_UP_TO_Z_UP.T, joints[:, :3]),
        body_pose=joints[:, 3:].reshape(N, JOINT_COUNT - 1, 3),
        betas=np.tile(betas, (N, 1)),
        transl=(rest_pelvis + trans) @ _Y_UP_TO_Z_UP - rest_pelvis,
    )
    return pose, _frame_rate(path, values)


def _turn_root(turn: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Root rotations seen from turned axes. ``turn`` [3, 3], ``root`` [N, 3] axis-angle -> [N, 3]."""
    return continuous_axis_angle(matrix_to_axis_angle(turn @ axis_angle_to_matrix(root)))


def _shape_for(body: BodyModel, betas: np.ndarray, name: str) -> np.ndarray:
    """The shape cut or padded with zeros to the body's components. -> [S]."""
    S = body.shape_count
    if np.any(betas[S:]):
        _log.warning("%s has %d shape components, the body %d: the rest is dropped", name, len(betas), S)
    return np.pad(betas[:S], (0, max(0, S - len(betas))))


def _frame_rate(path: Path, values: Mapping[str, np.ndarray]) -> float:
    key = next((k for k in _RATE_KEYS if k in values), None)
    if key is None:
        raise FitError(f"{path.name} has no frame rate; one of {', '.join(_RATE_KEYS)} is expected.")
    rate = _numbers(path, values, key)
    if rate.size != 1 or rate.item() <= 0:
        raise FitError(f"{path.name}: {key} is {rate}; it should be a positive number of frames a second.")
    return float(rate.item())


def _numbers(path: Path, values: Mapping[str, np.ndarray], key: str) -> np.ndarray:
    if key not in values:
        raise FitError(
            f"{path.name} has no {key}, so it is no AMASS motion. It has: {', '.join(sorted(values))}."
        )
    array = values[key]
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise FitError(f"{path.name}: {key} should hold finite numbers.")
    return array.astype(np.float64)


def _read_npz(path: Path, keys: set[str]) -> dict[str, np.ndarray]:
    """Those of the keys that the file has; nothing that would need unpickling."""
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise FitError(f"{path.name} is no whole .npz file; an AMASS motion is one.")
            file.seek(0)
            with np.load(file, allow_pickle=False) as data:
                return {key: data[key] for key in data.files if key in keys}
    except OSError as error:
        raise FitError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (EOFError, NotImplementedError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise FitError(f"{path.name} is no whole .npz of plain arrays ({error}).") from error


def _write_npz(path: Path, values: Mapping[str, np.ndarray]) -> None:
    """Write beside the target and move into place, so that nobody finds half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                _save(file, values)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise FitError(f"{path} cannot be written: {error.strerror or error}.") from error


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
