"""How far the initializer is from the truth on people it was not trained on: what whitens a fit."""

from __future__ import annotations

import numpy as np

from ..body_model import JOINT_COUNT, BodyModel
from ..camera import Camera, image_plane, virtual_view
from ..initializer import ERROR_SIZE, SHAPE_COUNT, Initializer
from ..initializer_input import INPUT_LANDMARKS, arrange_input
from ..kinematics import BETAS_START, PELVIS, ROTATION_SIZE, keypoint_chain, pose_chain
from ..rotation import matrix_to_axis_angle
from ..starts import closed_form_place
from .problems import SyntheticProblems
from .retarget import MIRRORED_JOINTS

_TILE = 512
# Added to every variance as a share of it, and at least so much: rad^2, metres^2 and betas^2 alike.
_RIDGE, _FLOOR = 0.02, 0.01**2


def virtual_problems(problems: SyntheticProblems) -> tuple[np.ndarray, np.ndarray]:
    """The virtual cameras' turns [B, 3, 3] and the keypoints on their image planes [B, K, 2]."""
    centre = np.array(problems.image_size) / 2
    camera = Camera(problems.focal_length, centre, problems.image_size)
    return virtual_view(image_plane(camera, problems.xy), problems.confidence)


def predict_joints(
    initializer: Initializer, problems: SyntheticProblems, body: BodyModel
) -> tuple[np.ndarray, np.ndarray]:
    """The joints that the initializer predicts, in camera axes about the pelvis, and the errors.

    -> [B, 24, 3] metres; [B, P] errors as `Initializer.covariance` orders them.
    """
    chain = keypoint_chain(body, INPUT_LANDMARKS, shape_count=SHAPE_COUNT)
    turns, targets = virtual_problems(problems)
    joints = np.empty((len(problems), JOINT_COUNT, 3))
    errors = np.empty((len(problems), ERROR_SIZE))
    for start in range(0, len(problems), _TILE):
        rows = slice(start, start + _TILE)
        turn = turns[rows]
        target, confidence = arrange_input(problems.landmarks, targets[rows], problems.confidence[rows])
        rotations, betas = initializer.predict(target, confidence)
        x = np.zeros((len(betas), chain.size))
        x[:, BETAS_START:] = betas
        posed = pose_chain(chain, rotations, x)
        joints[rows] = posed.positions @ turn
        place, _ = closed_form_place(posed.points, target, confidence)
        truth = problems.rotations[rows].copy()
        truth[:, 0] = turn @ truth[:, 0]
        omega = matrix_to_axis_angle(truth @ np.swapaxes(rotations, -1, -2))
        errors[rows, :ROTATION_SIZE] = omega.reshape(len(omega), -1)
        off = (turn @ problems.pelvis[rows, :, None])[..., 0] - place
        off[:, 2] /= np.maximum(-place[:, 2], 0.3)
        errors[rows, PELVIS] = off
        errors[rows, BETAS_START:] = problems.betas[rows] - betas
    return joints, errors


def error_covariance(errors: np.ndarray) -> np.ndarray:
    """The regularised covariance of errors [N, P] and of their mirror images. -> [P, P]."""
    both = np.concatenate([errors, mirror_errors(errors)])
    # A person placed by a handful of points may be anywhere: such errors would swamp the rest.
    limit = 6 * np.median(np.abs(both), axis=0) / 0.6745
    both = np.clip(both, -np.maximum(limit, 1e-6), np.maximum(limit, 1e-6))
    covariance = both.T @ both / len(both)
    variance = np.diag(covariance)
    return covariance + np.diag(_RIDGE * variance + _FLOOR)


def mirror_errors(errors: np.ndarray) -> np.ndarray:
    """Errors [N, P] seen in a mirror (x -> -x)."""
    mirrored = errors.copy()
    omega = errors[:, :ROTATION_SIZE].reshape(-1, JOINT_COUNT, 3)[:, list(MIRRORED_JOINTS)]
    mirrored[:, :ROTATION_SIZE] = (omega * [1.0, -1.0, -1.0]).reshape(len(errors), -1)
    mirrored[:, PELVIS.start] *= -1
    return mirrored
