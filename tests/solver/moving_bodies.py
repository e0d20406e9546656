"""People who move: smooth motions with known answers, for the tests of clips."""

import numpy as np

from lsr1_solver import (
    BodyPose,
    Camera,
    FitProblem,
    Weights,
    camera_from_focal,
    keypoints_2d,
    load_body_model,
)
from lsr1_solver.body_model import rest_joints
from lsr1_solver.keypoints import BODY_25
from lsr1_solver.kinematics import BETAS_START, PELVIS, keypoint_chain, pose_chain
from lsr1_solver.pose_prior import load_pose_prior
from lsr1_solver.rotation import axis_angle_to_matrix, matrix_to_axis_angle

BODY = load_body_model()
CAMERA = camera_from_focal(1500, (1280, 720))
CHAIN = keypoint_chain(BODY, [name for name in BODY_25.joints if name])


def motion(frames: int, *, seed: int = 0, rate: float = 30.0) -> tuple[BodyPose, np.ndarray]:
    """Somebody who sways, waves and drifts four metres away: the pose and the keypoints, camera axes."""
    rng = np.random.default_rng(seed)
    prior = load_pose_prior()
    t = np.arange(frames) / rate
    factor = np.linalg.cholesky(prior.covariance)
    slow, fast = (factor @ rng.normal(size=69) for _ in range(2))
    omega = 0.5 * (np.sin(1.5 * t)[:, None] * slow + np.sin(3 * t + 1)[:, None] * 0.5 * fast)
    body = axis_angle_to_matrix(omega.reshape(frames, 23, 3)) @ prior.mean_rotations
    yaw = np.zeros((frames, 3))
    yaw[:, 1] = 0.6 * np.sin(0.8 * t)
    centre = np.concatenate([axis_angle_to_matrix(yaw)[:, None], body], axis=1)
    x = np.zeros((frames, CHAIN.size))
    x[:, PELVIS] = np.stack([0.3 * np.sin(t), 0.02 * np.sin(4 * t), -4 + 0.2 * np.cos(0.7 * t)], axis=1)
    betas = rng.normal(size=10)
    x[:, BETAS_START:] = betas
    turned = matrix_to_axis_angle(centre)
    pose = BodyPose(
        turned[:, 0],
        turned[:, 1:],
        x[:, BETAS_START:],
        x[:, PELVIS] - rest_joints(BODY, x[:, BETAS_START:])[:, 0],
    )
    return pose, pose_chain(CHAIN, centre, x).points


def pixels(points: np.ndarray, camera: Camera = CAMERA, *, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Where the camera sees points, with noise in pixels."""
    depth = -points[..., 2:]
    plane = points[..., :2] / depth * [1.0, -1.0]
    xy = np.asarray(camera.principal_point) + float(np.ravel(camera.focal_length)[0]) * plane
    return xy + noise * np.random.default_rng(seed).normal(size=xy.shape)


def clip(
    points: np.ndarray,
    *,
    rate: float = 30.0,
    noise: float = 0.0,
    confidence: np.ndarray | None = None,
    weights: Weights | None = None,
) -> FitProblem:
    """The keypoints as one clip; this person's feet hang in the air, so none are held."""
    xy = pixels(points, noise=noise)
    return FitProblem(
        BODY,
        CAMERA,
        keypoints_2d(xy, confidence, BODY_25),
        weights=weights or Weights(feet=0.0),
        frame_rate=rate,
    )
