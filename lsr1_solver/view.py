"""From keypoints to the numbers that a minimizer sees, and back to a body's pose.

A problem is solved in a *virtual camera* that looks at the person, with distances on its image plane in
units of 1 % of the person's height: a person at the picture's edge, any lens and any resolution are then the
same problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .body_model import JOINT_COUNT, BodyModel, BodyPose, local_rotations, rest_joints
from .camera import image_plane, virtual_view
from .conditioning import conditioned, whitened
from .kinematics import BETAS_START, PELVIS, KeypointChain, keypoint_chain
from .objective import Objective
from .pins import Pinned
from .problem import PARTS, PLACE, SHAPE, FitProblem
from .rotation import rotation_vectors


@dataclass(frozen=True, eq=False)
class Start:
    """Where N fits begin, and the prior about them, in the virtual camera's axes.

    ``frames`` [N] the frame each belongs to. The prior's centre: ``centre`` [N, 24, 3, 3] rotations in their
    parents' frames, ``pelvis`` [N, 3] metres, ``betas`` [N, S]; its ``covariance`` [P, P], of the deviations
    ``x``: rotation vectors with ``R = exp(x) centre``, the pelvis across the view in metres and along it as a
    share of the ``distance`` [N] metres, the betas; ``root`` [P, P] its Cholesky factor, where that is known.
    ``begin`` [N, P] is the deviation to begin at, None for the centre itself. Starts of one frame share their
    ``distance``, so that their energies compare.
    """

    frames: np.ndarray
    centre: np.ndarray
    pelvis: np.ndarray
    betas: np.ndarray
    distance: np.ndarray
    covariance: np.ndarray
    begin: np.ndarray | None = None
    root: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def spread(self) -> np.ndarray:
        """Metres, radians or betas for one unit of each deviation. -> [N, P]."""
        spread = np.ones((len(self), len(self.covariance)))
        spread[:, PELVIS.stop - 1] = self.distance
        return spread

    def at(self, rotations: np.ndarray, pelvis: np.ndarray, betas: np.ndarray) -> Start:
        """The same prior, begun at a pose: [N, 24, 3, 3], [N, 3] metres, [N, S]."""
        turned = rotation_vectors(rotations @ np.swapaxes(self.centre, -1, -2))
        x = np.concatenate([turned.reshape(len(self), -1), pelvis - self.pelvis, betas - self.betas], axis=1)
        return replace(self, begin=x / self.spread)


@dataclass(frozen=True, eq=False)
class PersonView:
    """A problem's keypoints in the virtual camera.

    ``turn`` [B, 3, 3] from camera axes to the virtual camera's; ``target`` [B, K', 2] on its image plane;
    ``confidence`` [B, K'], for the K' keypoints that the body knows. ``order`` [B, K'] says which of these
    keypoints the picture shows at each place: not its own where left and right were found swapped. ``kept``
    is the pose in camera axes that gives what the problem holds its values, None where it holds nothing.
    """

    problem: FitProblem
    chain: KeypointChain
    turn: np.ndarray
    target: np.ndarray
    confidence: np.ndarray
    order: np.ndarray
    kept: BodyPose | None = None

    @cached_property
    def height(self) -> float:
        """The mean body's height, metres."""
        return body_height(self.problem.body)

    @cached_property
    def used(self) -> np.ndarray:
        """[B, K] whether a keypoint of the format has a part in the fit."""
        used = np.zeros(self.problem.keypoints.confidence.shape, dtype=bool)
        used[:, self.problem.usable] = self.confidence > 0
        return used

    @cached_property
    def used_xy(self) -> np.ndarray:
        """[B, K, 2] pixels where each keypoint is taken to be, sides put right."""
        usable = self.problem.usable
        xy = self.problem.keypoints.xy.copy()
        xy[:, usable] = np.take_along_axis(xy[:, usable], self.order[..., None], axis=1)
        return xy

    @property
    def dropped(self) -> np.ndarray:
        """[B, K'] the keypoints that were seen and then left out."""
        problem = self.problem
        seen = problem.keypoints.confidence[:, problem.usable] * problem.fitted_frames[:, None] > 0
        return np.take_along_axis(seen, self.order, axis=1) & (self.confidence == 0)

    def without(self, dropped: np.ndarray) -> PersonView:
        """The same view without some keypoints; ``dropped`` [B, K']."""
        return replace(self, confidence=np.where(dropped, 0.0, self.confidence))

    def reordered(self, frames: np.ndarray, order: np.ndarray) -> PersonView:
        """The same view with the keypoints of some ``frames`` [F] exchanged; ``order`` [K']."""
        target, confidence, whole = self.target.copy(), self.confidence.copy(), self.order.copy()
        for array in (target, confidence, whole):
            array[frames] = array[frames][:, order]
        return replace(self, target=target, confidence=confidence, order=whole)

    def frames(self, index: np.ndarray | slice) -> PersonView:
        """Some frames alone."""
        return replace(
            self,
            problem=self.problem.frames(index),
            turn=self.turn[index],
            target=self.target[index],
            confidence=self.confidence[index],
            order=self.order[index],
            kept=None if self.kept is None else self.kept.frames(index),
        )

    def merge(self, frames: np.ndarray, other: PersonView) -> PersonView:
        """This view with some frames as ``other`` has them."""
        merged = {}
        for name in ("target", "confidence", "order"):
            merged[name] = getattr(self, name).copy()
            merged[name][frames] = getattr(other, name)[frames]
        return replace(self, **merged)

    def objective(self, start: Start) -> tuple[Objective, np.ndarray]:
        """The objective around a start, and the start as its unknowns z [N, n]."""
        weights, spread = self.problem.weights, start.spread
        begin = np.zeros((len(start), self.chain.size)) if start.begin is None else start.begin
        value, sigma = self._held(start, begin)
        mean, basis, free = conditioned(start.covariance, value, sigma, start.root)
        offset = spread * mean
        offset[:, PELVIS] += start.pelvis
        offset[:, BETAS_START:] += start.betas
        points_3d, confidence_3d = self.points_3d(start.frames)
        objective = Objective(
            chain=self.chain,
            centre=start.centre,
            offset=offset,
            spread=spread,
            basis=basis,
            target=self.target[start.frames],
            confidence=self.confidence[start.frames],
            unit=0.01 * self.height / start.distance,
            prior_weight=weights.prior,
            limit_weight=weights.limits,
            delta=weights.delta,
            target_3d=points_3d,
            confidence_3d=confidence_3d,
            pinned=self._pinned(start.frames),
        )
        return objective, whitened(basis, free, begin - mean)

    def _held(self, start: Start, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The deviations [N, P] that are held, and how firmly, in units of the deviations [N, P]."""
        counts = [3] * (JOINT_COUNT + 1) + [self.chain.shape_count]
        sigma = np.repeat(self.problem.firmness[start.frames], counts, axis=1) / start.spread
        if self.kept is None:
            return begin, sigma
        kept = start.at(*(part[start.frames] for part in self.turned(self.kept))).begin
        assert kept is not None
        return kept, sigma

    def _pinned(self, frames: np.ndarray) -> Pinned | None:
        """The pins' term in the virtual camera's axes."""
        if self.problem.pins is None:
            return None
        pins, turn = self.problem.pins.frames(frames), self.turn[frames]
        return pins.turned(turn, self.problem.body, self.chain.shape_count)

    def points_3d(self, frames: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """3D keypoints in the virtual camera's axes and their weights 1/sigma^2, where there are any."""
        points = self.problem.keypoints_3d
        if points is None:
            return None, None
        points = points[frames][:, self.problem.usable]
        known = np.all(np.isfinite(points), axis=-1, keepdims=True)
        turned = np.where(known, points, 0.0) @ np.swapaxes(self.turn[frames], -1, -2)
        return turned, known[..., 0].astype(float) / self.problem.weights.sigma_3d**2

    def body_pose(self, objective: Objective, z: np.ndarray, frames: np.ndarray) -> BodyPose:
        """The body's parameters in camera axes at ``z`` [N, n] of the given frames [N]."""
        x = objective.parameters(z)
        local = objective.rotations(x)
        back = np.swapaxes(self.turn[frames], -1, -2)
        local = np.concatenate([back[:, None] @ local[:, :1], local[:, 1:]], axis=1)
        omega = rotation_vectors(local)
        betas = x[:, BETAS_START:]
        pelvis = (back @ x[:, PELVIS, None])[..., 0]
        transl = pelvis - rest_joints(self.problem.body, betas)[:, 0]
        return self._with_kept(BodyPose(omega[:, 0], omega[:, 1:], betas, transl), frames)

    def _with_kept(self, pose: BodyPose, frames: np.ndarray) -> BodyPose:
        """The pose with what is held exactly bit for bit as it was given."""
        if self.kept is None:
            return pose
        exact, kept = self.problem.firmness[frames] == 0, self.kept.frames(frames)
        place, shape = (exact[:, PARTS.index(part), None] for part in (PLACE, SHAPE))
        return BodyPose(
            np.where(exact[:, :1], kept.global_orient, pose.global_orient),
            np.where(exact[:, 1:JOINT_COUNT, None], kept.body_pose, pose.body_pose),
            np.where(shape, kept.betas[:, : self.chain.shape_count], pose.betas),
            np.where(place & shape, kept.transl, pose.transl),
        )

    def turned(self, pose: BodyPose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A pose of all B frames in camera axes as rotations, pelvis and betas in the virtual camera's."""
        rotations = local_rotations(pose)
        rotations = np.concatenate([self.turn[:, None] @ rotations[:, :1], rotations[:, 1:]], axis=1)
        pelvis = rest_joints(self.problem.body, pose.betas)[:, 0] + pose.transl
        return rotations, (self.turn @ pelvis[..., None])[..., 0], pose.betas[:, : self.chain.shape_count]


def person_view(problem: FitProblem) -> PersonView:
    """Turn the camera to the person in every frame."""
    usable = problem.usable
    keypoints = problem.keypoints
    names = [name for name, known in zip(keypoints.format.joints, usable, strict=True) if known and name]
    chain = keypoint_chain(problem.body, names, shape_count=problem.shape_count)
    confidence = keypoints.confidence[:, usable] * problem.fitted_frames[:, None]
    turn, target = virtual_view(image_plane(problem.camera, keypoints.xy[:, usable]), confidence)
    order = np.tile(np.arange(confidence.shape[1]), (len(confidence), 1))
    return PersonView(problem, chain, turn, target, confidence, order)


def body_height(body: BodyModel) -> float:
    """Of the mean body in its rest pose, sole to crown, metres."""
    return float(np.ptp(body.v_template[:, 1]))
