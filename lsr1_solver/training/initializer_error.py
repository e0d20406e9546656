"""How far the initializer is from the truth on people it was not trained on: what whitens a fit."""

from __future__ import annotations

import numpy as np

from ..body_model import JOINT_COUNT, BodyModel
from ..camera import Camera, image_plane, virtual_view
from ..clip_initializer import ClipInitializer
from ..initializer import ERROR_SIZE, SHAPE_COUNT, Initializer
from ..initializer_input import INPUT_LANDMARKS, arrange_input
from ..kinematics import BETAS_START, PELVIS, ROTATION_SIZE, KeypointChain, keypoint_chain, pose_chain
from ..rotation import matrix_to_axis_angle
from ..starts import closed_form_place
from .clip_problems import SyntheticClip
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
        joints[rows], errors[rows] = _measured(
            chain,
            initializer.predict(target, confidence),
            (target, confidence, turn),
            (problems.rotations[rows], problems.pelvis[rows], problems.betas[rows]),
        )
    return joints, errors


def predict_clip_joints(
    initializer: ClipInitializer, clip: SyntheticClip, body: BodyModel
) -> tuple[np.ndarray, np.ndarray]:
    """As `predict_joints`, of the T frames of a clip. -> [T, 24, 3] metres, [T, P]."""
    chain = keypoint_chain(body, INPUT_LANDMARKS, shape_count=SHAPE_COUNT)
    camera = Camera(np.array([clip.focal_length]), np.array(clip.image_size) / 2, clip.image_size)
    turn, target = virtual_view(image_plane(camera, clip.xy), clip.confidence)
    target, confidence = arrange_input(clip.landmarks, target, clip.confidence)
    answer = initializer.predict(target, confidence, turn, clip.frame_rate)
    betas = np.broadcast_to(clip.betas, (len(clip), SHAPE_COUNT))
    return _measured(chain, answer, (target, confidence, turn), (clip.rotations, clip.pelvis, betas))


def _measured(
    chain: KeypointChain,
    answer: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray, np.ndarray],
    truth: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Joints and errors of an ``answer`` (rotations, betas) to what was ``seen`` (target, confidence, turn).

    ``truth`` rotations, pelvis and betas in camera axes.
    """
    (rotations, betas), (target, confidence, turn) = answer, seen
    x = np.zeros((len(betas), chain.size))
    x[:, BETAS_START:] = betas
    posed = pose_chain(chain, rotations, x)
    place, _ = closed_form_place(posed.points, target, confidence)
    true_rotations = truth[0].copy()
    true_rotations[:, 0] = turn @ true_rotations[:, 0]
    omega = matrix_to_axis_angle(true_rotations @ np.swapaxes(rotations, -1, -2))
    off = (turn @ truth[1][..., None])[..., 0] - place
    off[:, 2] /= np.maximum(-place[:, 2], 0.3)
    errors = np.concatenate([omega.reshape(len(omega), -1), off, truth[2] - betas], axis=1)
    return posed.positions @ turn, errors


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
