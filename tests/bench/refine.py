"""Working on a fit by hand: what one correction is worth, and how fast the body follows.

On test poses as in `hmr.py` (1 % noise, 20 % of the keypoints missing), the same number of each subject:

1. *Lock*: the joint whose rotation is farthest from the truth gets its true rotation, is locked, and the
   rest is fitted again, with the prior conditioned on the lock and with one that takes no notice of it.
2. *Flip*: a bone's depth is wrong where it is more than 30 degrees off and its mirror image along the view
   is less than half as far. Of the poses in which this is so in one arm or leg alone: how many one flip
   repairs (no bone of the limb wrong any more after the re-fit), if the animator names the wrong bone, and
   if only the limb is named and the energy chooses among both bones, the upper and the lower.
3. *Other solutions*: the best of them, by the truth.
4. *Uncertainty*: how many joints' depths about the pelvis are within one and two standard deviations.
5. *Reach* and *Live*: milliseconds an update.

Needs the folder of motion capture (LSR1_SHARED, or `shared` beside the checkout).
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lsr1_solver import (
    BodyModel,
    BodyPose,
    FitProblem,
    Reach,
    depth_uncertainty,
    fit_pose,
    flip_problem,
    flips,
    load_body_model,
    other_solutions,
    posed_joints,
    project,
    refit_problem,
)
from lsr1_solver.body_model import JOINT_COUNT, SMPL_JOINT_NAMES, SMPL_PARENTS, local_rotations
from lsr1_solver.depth_flip import FLIPS, flipped_joints
from lsr1_solver.problem import PARTS
from lsr1_solver.refine import LIMBS
from lsr1_solver.rotation import geodesic_angle, matrix_to_axis_angle
from lsr1_solver.training.problems import SyntheticProblems
from lsr1_solver.view import person_view
from tests.bench.hmr_bench import GROUPS, chosen, fit_problem
from tests.bench.hmr_bench import test_split as held_out
from tests.bench.hmr_reach import figure
from tests.bench.metrics import pa_mpjpe_mm
from tests.bench.table import Row, median_ms, options, show

WRONG_DEGREES = 30.0
TWO_BONES = [limb for limb in LIMBS if limb != "torso"]
CARRYING = np.isin(np.arange(JOINT_COUNT), SMPL_PARENTS)
# As when a keypoint is dragged in Blender.
LIVE_STEPS = 3


@dataclass(frozen=True)
class Size:
    """Poses a second of the test split, and how many poses each part takes."""

    rate: float = 10.0
    locked: int = 2400
    flipped: int = 2400
    solved: int = 150


QUICK = Size(rate=1.0, locked=150, flipped=300, solved=15)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Problems and their fits."""

    truth: SyntheticProblems
    problem: FitProblem
    pose: BodyPose

    @property
    def body(self) -> BodyModel:
        """The body that is fitted."""
        return self.problem.body

    def frames(self, index: np.ndarray) -> "Fitted":
        """Some of them."""
        return Fitted(chosen(self.truth, index), self.problem.frames(index), self.pose.frames(index))

    def pa(self, pose: BodyPose) -> np.ndarray:
        """PA-MPJPE of a pose, mm [B]."""
        return pa_mpjpe_mm(posed_joints(self.body, pose), self.truth.joints)

    def mean(self, error: np.ndarray) -> float:
        """Over the three groups."""
        return float(np.mean([error[self.truth.group == name].mean() for name in GROUPS]))


def fitted(body: BodyModel, size: Size) -> Fitted:
    """The same number of poses of each group, at random, each fitted on its own."""
    truth = held_out(body, rate=size.rate, views=1)
    truth = chosen(truth, np.flatnonzero(fit_problem(body, truth).fitted_frames))
    order = np.random.default_rng(0).permutation(len(truth))
    each = max(size.locked, size.flipped) // len(GROUPS)
    index = [order[truth.group[order] == name][:each] for name in GROUPS]
    # Round by round through the groups: the first N are balanced, too.
    shortest = min(len(rows) for rows in index)
    mixed = np.stack([rows[:shortest] for rows in index], axis=1).ravel()
    truth = chosen(truth, mixed)
    problem = fit_problem(body, truth)
    return Fitted(truth, problem, fit_pose(problem).pose)


def lock_rows(bench: Fitted, name: str, eligible: np.ndarray) -> list[Row]:
    """The worst of the ``eligible`` joints [24] corrected, alone and with two re-fits around it."""
    rows = np.arange(len(bench.pose))
    rotations = local_rotations(bench.pose)
    error = geodesic_angle(rotations, bench.truth.rotations)
    worst = np.argmax(np.where(eligible, error, -1), axis=1)
    rotations[rows, worst] = bench.truth.rotations[rows, worst]
    omega = matrix_to_axis_angle(rotations)
    after = replace(bench.pose, global_orient=omega[:, 0], body_pose=omega[:, 1:])
    edited = np.zeros((len(rows), len(PARTS)), dtype=bool)
    edited[rows, worst] = True
    asked = refit_problem(bench.problem, edited)
    before = bench.mean(bench.pa(bench.pose))
    with_prior = bench.pa(fit_pose(asked, initial=after).pose)
    without = unconditioned(bench, asked, after, worst)
    found = [figure(f"{name}: PA-MPJPE before, mm", before, remark=f"{len(rows)} poses")]
    for words, value in (
        ("edit alone", bench.pa(after)),
        ("re-fit, conditioned prior", with_prior),
        ("re-fit, unconditioned prior", without),
    ):
        mean = bench.mean(value)
        found.append(figure(f"{name}: {words}, mm", mean, remark=f"{100 * (1 - mean / before):.1f} % lower"))
    gain = with_prior - without
    error = float(gain.std() / len(gain) ** 0.5)
    found.append(figure(f"{name}: conditioned minus unconditioned, mm", bench.mean(gain), error))
    return found


def unconditioned(bench: Fitted, asked: FitProblem, after: BodyPose, locked: np.ndarray) -> np.ndarray:
    """PA-MPJPE [B] where the prior knows nothing of how the locked joint [B] goes with the others."""
    error = np.zeros(len(locked))
    for joint in np.unique(locked):
        rows, own = np.flatnonzero(locked == joint), np.zeros(85, dtype=bool)
        own[3 * joint : 3 * joint + 3] = True
        initializer = asked.initializer
        assert initializer is not None
        apart = np.where(own == own[:, None], initializer.covariance, 0.0)
        problem = replace(asked.frames(rows), initializer=replace(initializer, covariance=apart))
        error[rows] = bench.frames(rows).pa(fit_pose(problem, initial=after.frames(rows)).pose)
    return error


def wrong_bones(joints: np.ndarray, truth: np.ndarray, limb: str) -> np.ndarray:
    """Whether a limb's upper and lower bones have the wrong depth. Joints [B, 24, 3] -> [B, 2]."""
    base, middle, tip = flipped_joints(limb, "both")
    found = []
    for a, b in ((base, middle), (middle, tip)):
        own, right = _unit(joints[:, b] - joints[:, a]), _unit(truth[:, b] - truth[:, a])
        ray = _unit(joints[:, a])
        mirrored = own - 2 * np.sum(own * ray, axis=-1, keepdims=True) * ray
        off, mirrored_off = _degrees(own, right), _degrees(mirrored, right)
        found.append((off > WRONG_DEGREES) & (mirrored_off < 0.5 * off))
    return np.stack(found, axis=1)


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def _degrees(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(np.sum(a * b, axis=-1), -1, 1)))


def single_errors(bench: Fitted) -> Iterator[tuple[Fitted, str, str]]:
    """Each pose with one wrong limb: the pose, the limb, which of FLIPS puts it right."""
    joints = posed_joints(bench.body, bench.pose)
    wrong = {limb: wrong_bones(joints, bench.truth.joints, limb) for limb in TWO_BONES}
    count = sum(bones.any(axis=1).astype(int) for bones in wrong.values())
    names = {flags: name for name, flags in FLIPS.items()}
    for limb, bones in wrong.items():
        for row in np.flatnonzero(bones.any(axis=1) & (count == 1)):
            upper, lower = bones[row]
            yield bench.frames(np.array([row])), limb, names[bool(upper), bool(lower)]


def flip_rows(bench: Fitted) -> list[Row]:
    """What flips repair."""
    named, clicks, gain = [], [], []
    for one, limb, bones in single_errors(bench):

        def repaired(pose: BodyPose, one: Fitted = one, limb: str = limb) -> bool:
            return not wrong_bones(posed_joints(one.body, pose), one.truth.joints, limb).any()

        asked, start = flip_problem(one.problem, one.pose, limb, bones=bones)
        pose = fit_pose(asked, initial=start).pose
        named.append(repaired(pose))
        gain.append(float((one.pa(one.pose) - one.pa(pose))[0]))
        clicks.append([repaired(solution.pose) for solution in flips(one.problem, one.pose, limb)])
    within = np.logical_or.accumulate(np.array(clicks), axis=1).mean(axis=0)
    remark = f"{len(named)} single-limb depth errors in {len(bench.pose)} fits"
    found = [figure("flip of the wrong bone: repaired, %", 100 * float(np.mean(named)), remark=remark)]
    found.append(figure("the same: PA-MPJPE lower by, mm", float(np.mean(gain))))
    for click, share in enumerate(within, start=1):
        found.append(figure(f"flip of the limb, click {click}: repaired, %", 100 * float(share)))
    return found


def solution_rows(bench: Fitted) -> list[Row]:
    """The best solution by the truth, and what they cost."""
    best, count = [], []
    for row in range(len(bench.pose)):
        one = bench.frames(np.array([row]))
        *_, found = other_solutions(one.problem, one.pose)
        best.append(min(float(one.pa(solution.pose)[0]) for solution in found))
        count.append(len(found))
    one = bench.frames(np.array([0]))
    took = median_ms(lambda: list(other_solutions(one.problem, one.pose)), seconds=2.0, rounds=3)
    before = bench.mean(bench.pa(bench.pose))
    return [
        figure("other solutions: the fit's PA-MPJPE, mm", before, remark=f"{len(best)} poses"),
        figure("other solutions: the best one's, mm", bench.mean(np.array(best))),
        figure("other solutions: how many", float(np.mean(count)), remark=f"{took:.0f} ms for all of them"),
    ]


def uncertainty_rows(bench: Fitted) -> list[Row]:
    """How true the standard deviations are."""
    sigma = depth_uncertainty(bench.problem, bench.pose)[:, 1:]
    turn = person_view(bench.problem).turn
    ours, truth = posed_joints(bench.body, bench.pose), bench.truth.joints
    off = (ours - ours[:, :1] - truth + truth[:, :1])[:, 1:] @ np.swapaxes(turn, 1, 2)
    ratio = np.abs(off[..., 2]) / sigma
    return [
        figure("depths within one sigma, %", 100 * float(np.mean(ratio < 1)), remark="68 if it were exact"),
        figure("depths within two sigma, %", 100 * float(np.mean(ratio < 2)), remark="95 if it were exact"),
    ]


def speed_rows(bench: Fitted) -> list[Row]:
    """Updates of a drag that circles about where it began."""
    one = bench.frames(np.array([0]))
    wrist = SMPL_JOINT_NAMES.index("left_wrist")
    begin = project(one.problem.camera, posed_joints(one.body, one.pose))[0, wrist]
    radius = 0.1 * float(one.truth.person_height[0])
    circle = radius * np.array([[np.cos(a) - 1, np.sin(a)] for a in np.linspace(0, 2 * np.pi, 60)])
    reach = Reach(one.body, one.problem.camera, one.pose, "left_wrist")
    took = median_ms(lambda: [reach.to(begin + offset) for offset in circle]) / len(circle)

    point = int(np.flatnonzero(one.problem.keypoints.confidence[0])[0])

    def live() -> None:
        pose = one.pose
        for offset in circle:
            xy = one.problem.keypoints.xy.copy()
            xy[0, point] += offset
            problem = replace(one.problem, keypoints=replace(one.problem.keypoints, xy=xy))
            pose = fit_pose(problem, initial=pose, max_iterations=LIVE_STEPS).pose

    followed = median_ms(live) / len(circle)
    return [
        figure("Reach: ms an update", took, remark=f"{1000 / took:.0f} updates a second"),
        figure("Live: ms an update", followed, remark=f"{1000 / followed:.0f} updates a second"),
    ]


def main() -> None:
    """Print the table."""
    arguments = options(__doc__)
    size = QUICK if arguments.quick else Size()
    bench = fitted(load_body_model(), size)
    locked = bench.frames(np.arange(min(size.locked, len(bench.pose))))
    rows = [
        *lock_rows(locked, "worst joint", np.ones(JOINT_COUNT, dtype=bool)),
        *lock_rows(locked, "worst joint that carries another", CARRYING),
        *flip_rows(bench.frames(np.arange(min(size.flipped, len(bench.pose))))),
        *solution_rows(bench.frames(np.arange(size.solved))),
        *uncertainty_rows(locked),
        *speed_rows(bench),
    ]
    show(rows, arguments.json)


if __name__ == "__main__":
    main()
