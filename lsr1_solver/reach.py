"""Reach: drag a joint in the picture, and the body follows as bodies do.

Inverse kinematics with the pose prior as its notion of effort: of all poses whose joint is seen at the wanted
pixel, the one least improbable as a change of the pose at the drag's beginning, within the joint limits.
A drag may hold the joint's depth as well: then it moves in a plane parallel to the picture.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from .body_model import (
    JOINT_COUNT,
    SMPL_JOINT_NAMES,
    BodyModel,
    BodyPose,
    local_rotations,
    posed_joints,
    rest_joints,
)
from .camera import Camera, image_plane
from .conditioning import conditioned
from .errors import FitError
from .kinematics import BETAS_START, PELVIS, ROTATION_SIZE, keypoint_chain
from .minimizer import LevenbergMarquardt
from .objective import NEAREST, Objective
from .pins import Pinned, Pins
from .pose_prior import PosePrior, load_pose_prior
from .problem import PARTS, PLACE, SHAPE
from .refine import LIMBS
from .rotation import rotation_vectors
from .view import body_height

# How readily the whole body turns (radians) and moves (metres) while a joint is dragged: less than it bends.
ROOT_SIGMA, PLACE_SIGMA = 0.1, 0.03
# How near the joint gets to the pixel: % of the person's height, one standard deviation.
REACH_SIGMA = 0.1
# Beyond this many % of the height the pull no longer grows with the distance: farther than any drag.
FARTHEST = 1000.0
STEPS = 4
# The ends of the limbs stay about where they are while another limb is dragged, metres; the trunk takes hands
# and head with it and leaves the feet.
STAY_SIGMA = 0.03
# So is the depth of the dragged joint, where it is given; the pixel is reached all the same.
DEPTH_SIGMA = 0.01
_ENDS = MappingProxyType(
    {
        "left_arm": "left_wrist",
        "right_arm": "right_wrist",
        "left_leg": "left_ankle",
        "right_leg": "right_ankle",
        "torso": "head",
    }
)
_FEET = ("left_ankle", "right_ankle")


class Reach:
    """One drag of one joint, in one frame; ``to`` gives the pose for each place of the mouse.

    ``pose`` one frame in camera axes, ``joint`` one of SMPL's names. ``held`` names what must not change
    (joints, "transl"; the shape never does); ``pins`` (one frame) draw joints to places, but not the dragged
    one. Hands, feet and head of the other limbs stay about where they are, unless pinned elsewhere. Every
    answer is a change of the pose at the beginning, so a mouse that comes back brings the pose back.

    Raises FitError for an unknown name, several frames, and a body behind the camera.
    """

    def __init__(
        self,
        body: BodyModel,
        camera: Camera,
        pose: BodyPose,
        joint: str,
        *,
        held: Collection[str] = (),
        pins: Pins | None = None,
        prior: PosePrior | None = None,
    ) -> None:
        """Begin a drag."""
        unknown = [name for name in (joint, *held) if name not in PARTS]
        if unknown or joint not in SMPL_JOINT_NAMES:
            raise FitError(f"{(*unknown, joint)[0]!r} is no joint that can be dragged or held")
        if len(pose) != 1 or (pins is not None and len(pins) != 1):
            raise FitError("A joint is dragged in one frame: give one frame of pose and pins")
        self._body, self._camera, self._begin = body, camera, pose
        self._held = np.isin(PARTS, [*held, SHAPE])
        self._joint = SMPL_JOINT_NAMES.index(joint)
        self._objective = self._make_objective(joint, pins, prior or load_pose_prior())
        self._z = self._objective.start()
        self._minimizer = LevenbergMarquardt()

    @property
    def depth(self) -> float:
        """How far from the camera's plane the joint was at the beginning, metres."""
        return float(-posed_joints(self._body, self._begin)[0, self._joint, 2])

    def to(self, xy: np.ndarray, depth: float | None = None) -> BodyPose:
        """The pose whose joint is seen at pixel ``xy`` [2], or as near to it as the body reaches.

        ``depth`` is about how far from the camera's plane the joint shall be, metres; None leaves it to the
        prior.
        """
        target = image_plane(self._camera, np.reshape(np.asarray(xy, dtype=float), (1, 1, 2)))
        objective = replace(self._objective, target=target, pinned=self._pinned(target[0, 0], depth))
        state = self._minimizer.init(objective, self._z)
        for _ in range(STEPS):
            state = self._minimizer.step(objective, state)
            if state.converged[0]:
                break
        self._z = state.z
        return self._pose(objective.parameters(state.z))

    def _make_objective(self, joint: str, pins: Pins | None, prior: PosePrior) -> Objective:
        """About the pose at the beginning, the joint's target still open."""
        count = self._begin.betas.shape[1]
        chain = keypoint_chain(self._body, [joint], shape_count=count)
        pelvis = rest_joints(self._body, self._begin.betas)[:, 0] + self._begin.transl
        if pelvis[0, 2] > -NEAREST:
            raise FitError("The body is not in front of the camera: move one of them")
        covariance = np.eye(chain.size)
        covariance[:3, :3] *= ROOT_SIGMA**2
        covariance[3:ROTATION_SIZE, 3:ROTATION_SIZE] = prior.covariance
        covariance[PELVIS, PELVIS] *= PLACE_SIGMA**2
        counts = [3] * (JOINT_COUNT + 1) + [chain.shape_count]
        sigma = np.where(np.repeat(self._held, counts), 0.0, np.inf)[None]
        offset, basis, _ = conditioned(covariance, np.zeros((1, chain.size)), sigma)
        offset[:, PELVIS] = pelvis
        offset[:, BETAS_START:] = self._begin.betas[:, : chain.shape_count]
        return Objective(
            chain=chain,
            centre=local_rotations(self._begin),
            offset=offset,
            spread=np.ones_like(offset),
            basis=basis,
            target=np.zeros((1, 1, 2)),
            confidence=np.full((1, 1), 1 / REACH_SIGMA**2),
            unit=0.01 * body_height(self._body) / -pelvis[:, 2],
            delta=FARTHEST,
            pinned=self._stays(joint, pins).turned(np.eye(3)[None], self._body, chain.shape_count),
        )

    def _pinned(self, plane: np.ndarray, depth: float | None) -> Pinned:
        """The pins with the dragged joint's: on its ray [2] of the image plane, if its depth is given."""
        pinned = self._objective.pinned
        assert pinned is not None
        own = np.flatnonzero(pinned.joints == self._joint)
        target, weight = pinned.target.copy(), pinned.weight.copy()
        weight[0, own] = 0.0
        if depth is not None:
            target[0, own], weight[0, own] = depth * np.append(plane, -1.0), 1 / DEPTH_SIGMA**2
        return replace(pinned, target=target, weight=weight)

    def _stays(self, joint: str, pins: Pins | None) -> Pins:
        """The given pins, the ends of the other limbs where they are, and room for the dragged joint's."""
        dragged = next(limb for limb, joints in LIMBS.items() if joint in joints)
        ends = _FEET if dragged == "torso" else [end for limb, end in _ENDS.items() if limb != dragged]
        still = np.isin(SMPL_JOINT_NAMES, [*ends, joint])[None]
        target = np.where(still[..., None], posed_joints(self._body, self._begin), np.nan)
        sigma = np.full(still.shape, STAY_SIGMA)
        if pins is None:
            return Pins(target, sigma)
        return Pins(
            np.where(pins.known[..., None], pins.target, target), np.where(pins.known, pins.sigma, sigma)
        )

    def _pose(self, x: np.ndarray) -> BodyPose:
        """The parameters [1, P] as a pose; what is held, and the shape, bit for bit as at the beginning."""
        begin, held = self._begin, self._held
        omega = rotation_vectors(self._objective.rotations(x))
        before = np.concatenate([begin.global_orient[:, None], begin.body_pose], axis=1)
        omega = np.where(held[:JOINT_COUNT, None], before, omega)
        transl = x[:, PELVIS] - rest_joints(self._body, begin.betas)[:, 0]
        transl = begin.transl if held[PARTS.index(PLACE)] else transl
        return replace(begin, global_orient=omega[:, 0], body_pose=omega[:, 1:], transl=transl)
