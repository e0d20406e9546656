"""The energy of a clip against its per-frame twin, finite differences and dense algebra."""

from dataclasses import fields, replace

import numpy as np
import pytest

from lsr1_solver import clip_base
from lsr1_solver.clip_base import KroneckerBase, Whitened, kronecker_base
from lsr1_solver.clip_chain import clip_chain
from lsr1_solver.clip_minimizer import PARTINGS, Kinds, LearnedLBFGS, weight_shapes
from lsr1_solver.clip_model import ClipModel
from lsr1_solver.clip_motion import read_clip
from lsr1_solver.clip_objective import ClipObjective
from lsr1_solver.clip_problem import clip_problem
from lsr1_solver.clip_terms import Anchors, Kept, Lens, Spatial, Temporal
from lsr1_solver.cosine_transform import cosine_transform, inverse_cosine_transform
from lsr1_solver.kinematics import keypoint_chain, pose_chain, pull_back, row_jacobian
from lsr1_solver.limits import SOFTNESS, limit_residual
from lsr1_solver.rotation import axis_angle_to_matrix
from lsr1_solver.training.config import ClipStepsConfig
from lsr1_solver.training.learn_clip_steps import ClipStepNetwork, TrainingClip, clip_loss
from lsr1_solver.view import person_view
from tests.solver.bodies import random_body
from tests.solver.moving_bodies import clip, motion

FRAMES = 7
RANDOM = random_body()
LANDMARKS = ("skin_head", "left_wrist", "right_ankle", "mixed", "skin_left_foot", "neck")


def doubled(part: object) -> object:
    """A dataclass with its arrays in double precision, and its parts likewise."""
    changes = {}
    for f in fields(part):  # pyright: ignore[reportArgumentType]
        value = getattr(part, f.name)
        if isinstance(value, np.ndarray) and value.dtype == np.float32:
            changes[f.name] = value.astype(np.float64)
        elif isinstance(value, Lens | Temporal | Kept | Anchors) or f.name == "chain":
            changes[f.name] = doubled(value)
    return replace(part, **changes)  # pyright: ignore[reportArgumentType, reportCallIssue]


def small_clip(frames: int = FRAMES) -> tuple[ClipObjective, np.ndarray]:
    """A real clip's objective in double precision, and a point off its start."""
    view = person_view(clip(motion(frames)[1], noise=4.0))
    made = clip_problem(view, read_clip(view))
    objective = doubled(made.objective)
    assert isinstance(objective, ClipObjective)
    rng = np.random.default_rng(0)
    z = made.start.astype(np.float64) + 0.1 * rng.normal(size=made.start.shape)
    return objective, z


def variants() -> dict[str, ClipObjective]:
    """The clip as it is, seen by a moving camera, with standing points, and with parts kept."""
    objective, _ = small_clip()
    rng = np.random.default_rng(1)
    frames, still = len(objective), 4
    turn = np.moveaxis(axis_angle_to_matrix(0.05 * rng.normal(size=(frames, 3))), 0, -1)
    moving = replace(objective.lens, turn=turn, eye=0.1 * rng.normal(size=(3, frames)))
    anchors = Anchors(
        rng.normal(size=(still, 3, frames)) - [[0], [0], [4]],
        rng.uniform(0, 50, (still, frames)),
    )
    free = np.flatnonzero(np.any(objective.basis != 0, axis=1))
    kept = Kept(
        objective.origin + 0.1 * rng.normal(size=objective.origin.shape),
        rng.uniform(size=objective.origin.shape) < 0.2,
        np.where(rng.uniform(size=objective.origin.shape) < 0.1, 3.0, 0.0),
        free,
        np.linalg.inv(objective.basis[free]),
    )
    keypoints, _, frames = objective.lens.target.shape
    spatial = Spatial(
        rng.normal(size=(keypoints, 3, frames)),
        np.where(rng.uniform(size=(keypoints, frames)) < 0.3, 0.0, 100.0),
    )
    return {
        "plain": objective,
        "3D keypoints": replace(objective, spatial=spatial),
        "moving camera": replace(objective, lens=moving),
        "standing feet": replace(objective, anchors=anchors),
        "parts kept": replace(objective, kept=kept),
        "one shape": objective.with_fixed_shape(),
    }


def test_the_chain_agrees_with_its_twin_frame_by_frame() -> None:
    rng = np.random.default_rng(0)
    chain = keypoint_chain(RANDOM, LANDMARKS)
    mean = axis_angle_to_matrix(0.4 * rng.normal(size=(24, 3)))
    root = axis_angle_to_matrix(rng.normal(size=(FRAMES, 3)))
    x, betas = 0.6 * rng.normal(size=(FRAMES, 75)), rng.normal(size=10)
    x[0] = 0
    centre = np.broadcast_to(mean, (FRAMES, 24, 3, 3)).copy()
    centre[:, 0] = root
    twin = pose_chain(chain, centre, np.concatenate([x, np.tile(betas, (FRAMES, 1))], axis=1))
    ours = clip_chain(chain, mean, root, np.float64).pose(x.T.copy(), betas)
    np.testing.assert_allclose(np.moveaxis(ours.points, -1, 0), twin.points, atol=1e-12)

    limits = limit_residual(twin)
    np.testing.assert_allclose(ours.limits().T, limits.value, atol=1e-10)
    force = rng.normal(size=twin.points.shape)
    by_x, by_betas = ours.pull_back(np.moveaxis(force, 0, -1).copy(), ours.limits() / SOFTNESS)
    expected = pull_back(chain, twin, force) + limits.gradient(85)
    np.testing.assert_allclose(by_x.T, expected[:, :75], atol=1e-9)
    np.testing.assert_allclose(by_betas, expected[:, 75:].sum(axis=0), atol=1e-9)

    directions = rng.normal(size=(FRAMES, len(LANDMARKS), 2, 3))
    rows, shape_rows = ours.row_jacobian(directions, slice(None))
    expected = row_jacobian(chain, twin, directions)
    np.testing.assert_allclose(rows, expected[..., :75], atol=1e-10)
    np.testing.assert_allclose(shape_rows, expected[..., 75:], atol=1e-10)
    np.testing.assert_allclose(ours.limit_rows() / SOFTNESS, limits.rows(85)[..., :75], atol=1e-9)


@pytest.mark.parametrize("name", list(variants()))
def test_the_gradient_is_that_of_the_energy(name: str) -> None:
    objective, (_, z) = variants()[name], small_clip()
    _, gradient = objective.energy_and_gradient(z)
    rng = np.random.default_rng(2)
    for _ in range(4):
        d, h = rng.normal(size=z.shape), 1e-5
        numeric = objective.energy_and_gradient(z + h * d)[0] - objective.energy_and_gradient(z - h * d)[0]
        np.testing.assert_allclose(np.sum(gradient * d), numeric[0] / (2 * h), rtol=1e-5)


@pytest.mark.parametrize("name", ["plain", "moving camera", "standing feet", "3D keypoints"])
def test_the_jacobian_is_that_of_the_residuals(name: str) -> None:
    """Near its model's point the robust energy falls as the reweighted squares do."""
    objective, (_, z) = variants()[name], small_clip()
    objective = replace(objective, lens=replace(objective.lens, delta=1e6), limit_weight=np.zeros(FRAMES))
    model = objective.linearize(z)
    frames, n = FRAMES, objective.unknowns
    rng = np.random.default_rng(3)
    d = rng.normal(size=z.shape)
    h = 1e-4
    plus, minus = (objective.energy_and_gradient(z + s * h * d)[1] for s in (1, -1))
    y, b = objective.split(d)
    rows = np.concatenate([y.T, np.tile(b, (frames, 1))], axis=1)
    squares = np.sum((model.J @ rows[..., None]) ** 2)

    flat = Temporal(objective.temporal.velocity, objective.temporal.acceleration, np.zeros((n, frames)))
    temporal = 2 * flat.energy_and_gradient(y)[0]
    ties = temporal + np.sum(objective.prior_weight * y**2) + objective.shape_weight * np.sum(b**2)
    measured = np.sum((plus - minus) * d) / (2 * h)
    # Exact but for the residuals' own curvature, which a Gauss-Newton matrix leaves out.
    assert abs(measured - squares - ties) < 0.15 * measured


@pytest.mark.parametrize("frames", [2, 3, 4, 5, 8])
def test_the_banded_solution_is_the_dense_one(frames: int) -> None:
    rng = np.random.default_rng(0)
    n, shapes, m = 4, 2, 6
    velocity, acceleration = rng.uniform(1, 3, n), rng.uniform(5, 30, n)
    J = rng.normal(size=(frames, m, n + shapes))
    prior = rng.uniform(0.1, 1, frames)
    gradient = rng.normal(size=(1, n * frames + shapes))
    model = ClipModel(np.ones(1), gradient, J, prior, velocity, acceleration, 2.0)

    D1 = np.diff(np.eye(frames), axis=0)
    D2 = np.diff(np.eye(frames), 2, axis=0)
    H = np.kron(np.diag(velocity), D1.T @ D1) + np.kron(np.diag(acceleration), D2.T @ D2)
    H = np.pad(H, (0, shapes))
    for t in range(frames):
        index = [*(np.arange(n) * frames + t), *(n * frames + np.arange(shapes))]
        H[np.ix_(index, index)] += J[t].T @ J[t]
        H[index[:n], index[:n]] += prior[t]
    H[range(-shapes, 0), range(-shapes, 0)] += 2.0
    expected = -np.linalg.solve(H + 0.3 * np.eye(len(H)), gradient[0])
    np.testing.assert_allclose(model.solve(np.array([0.3]))[0], expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 10, 101])
def test_the_cosine_transform_is_orthonormal_and_diagonalizes_differences(count: int) -> None:
    y = np.random.default_rng(0).normal(size=(3, count))
    c = cosine_transform(y)
    np.testing.assert_allclose(np.sum(c**2), np.sum(y**2))
    np.testing.assert_allclose(inverse_cosine_transform(c), y, atol=1e-12)
    stiffness = 2 - 2 * np.cos(np.pi * np.arange(count) / count)
    np.testing.assert_allclose(np.sum(np.diff(y) ** 2), np.sum(stiffness * c**2), atol=1e-10)


def test_the_base_is_the_inverse_where_all_frames_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_base, "BAND_GROWTH", 1.0)  # a factor for every frequency
    objective, z = small_clip()
    still = np.repeat(z[0, : objective.unknowns * FRAMES].reshape(-1, FRAMES)[:, :1], FRAMES, axis=1)
    lens = objective.lens.frames(np.zeros(FRAMES, dtype=int))
    chain = objective.chain.frames(np.zeros(FRAMES, dtype=int))
    alike = replace(
        objective,
        chain=chain,
        lens=lens,
        origin=np.repeat(objective.origin[:, :1], FRAMES, axis=1),
        temporal=replace(objective.temporal, acceleration=np.zeros(objective.unknowns)),
    )
    z = alike.join(still, z[0, objective.unknowns * FRAMES :])
    base = kronecker_base(alike, z)
    assert all(last == first + 1 for first, last, _ in base.bands)
    model = alike.linearize(z)
    # H S S^T g = g, with H^-1 by the Gauss-Newton model's own solution.
    inverse = base.times(base.transposed_times(model.gradient))
    np.testing.assert_allclose(inverse, -model.solve(np.zeros(1)), rtol=1e-3, atol=1e-4)


def test_the_base_s_two_halves_are_transposed() -> None:
    objective, z = small_clip(40)
    base = kronecker_base(objective, z)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, *z.shape))
    np.testing.assert_allclose(np.sum(base.times(a) * b), np.sum(a * base.transposed_times(b)))


class _Quadratic:
    """``sum (c_i z_i^2) / 2`` with a base of ones."""

    def __init__(self, size: int) -> None:
        self.curvature = np.linspace(0.5, 2, size)

    def energy_and_gradient(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 0.5 * np.sum(self.curvature * z * z, axis=-1), self.curvature * z


def test_the_gram_recursion_satisfies_the_secant_condition() -> None:
    minimizer, objective = LearnedLBFGS(memory=5, tolerance=0), _Quadratic(30)
    state = minimizer.init(objective, np.random.default_rng(0).normal(size=(1, 30)))
    for _ in range(4):
        state = minimizer.step(objective, state)
        s, y = state.pairs[-1]
        np.testing.assert_allclose(-LearnedLBFGS.direction(state, y), s, atol=1e-9)
        energies = np.array([float(p @ q) for p, q in state.pairs])
        assert np.all(energies > 0)
    vectors = state.pairs.vectors
    np.testing.assert_allclose(state.pairs.gram, vectors @ vectors.T, atol=1e-12)


def test_a_state_may_be_gone_on_from_twice() -> None:
    minimizer, objective = LearnedLBFGS(memory=3, tolerance=0), _Quadratic(30)
    state = minimizer.init(objective, np.random.default_rng(0).normal(size=(1, 30)))
    for _ in range(12):  # more pairs than fit into one array
        ways = [minimizer.step(objective, state) for _ in range(2)]
        before = [pair.copy() for pair in ways[0].pairs.vectors]
        minimizer.step(objective, minimizer.step(objective, ways[1]))
        np.testing.assert_array_equal(ways[0].pairs.vectors, ways[1].pairs.vectors)
        np.testing.assert_array_equal(ways[0].pairs.vectors, before)
        state = ways[1]


def test_zero_weights_are_plain_lbfgs_and_no_step_raises_the_energy() -> None:
    objective, z = small_clip(40)
    whitened = Whitened(objective, kronecker_base(objective, z), z)
    rng = np.random.default_rng(0)
    zero = {name: np.zeros(shape) for name, shape in weight_shapes(8).items()}
    wild = {name: 3 * rng.normal(size=shape) for name, shape in weight_shapes(8).items()}
    ends = []
    for weights in (None, zero, wild):
        minimizer = LearnedLBFGS(weights, tolerance=0)
        state = minimizer.init(whitened, np.zeros_like(z))
        energies = [float(state.energy[0])]
        for _ in range(12):
            state = minimizer.step(whitened, state)
            energies.append(float(state.energy[0]))
        assert np.all(np.diff(energies) <= 0)
        assert energies[-1] < energies[0]
        ends.append(energies[-1])
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_the_gradient_tells_what_each_share_is_worth() -> None:
    objective, z = small_clip(40)
    whitened = Whitened(objective, kronecker_base(objective, z), z)
    kinds, random = Kinds(objective.unknowns, 40), np.random.default_rng(0)
    vectors = 0.02 * random.normal(size=(3, z.size))
    shares = random.normal(size=(objective.unknowns, 3, 3))

    def energy(shares: np.ndarray) -> float:
        return float(whitened.energy_and_gradient(kinds.mixed(list(vectors), shares)[None])[0][0])

    gradient = whitened.energy_and_gradient(kinds.mixed(list(vectors), shares)[None])[1][0]
    worth = kinds.products((gradient, *vectors), [(0, 1), (0, 2), (0, 3)])
    worth[..., -1] /= objective.unknowns  # the shape's share is the mean over the rows
    for index in [(0, 0, 0), (3, 1, 1), (20, 1, 2), (5, 2, 1), (7, 2, 2)]:
        step = np.zeros_like(shares)
        step[index] = 1e-4
        slope = (energy(shares + step) - energy(shares - step)) / 2e-4
        assert slope == pytest.approx(worth[index[2], index[0], index[1]], rel=1e-4, abs=1e-7)


def test_what_is_faster_than_any_kind_goes_along_the_first_vector() -> None:
    kinds, random = Kinds(5, 40), np.random.default_rng(0)
    vectors = random.normal(size=(3, 5 * 40 + 10))
    mixed = kinds.mixed(list(vectors), random.normal(size=(5, 3, 3)))
    same = mixed[:200].reshape(5, 40) == vectors[0, :200].reshape(5, 40)
    fastest = round(PARTINGS[-1] * 40)
    assert same[:, fastest:].all() and not same[:, :fastest].any()


def test_a_run_over_a_clip_says_how_steps_should_change() -> None:
    objective, z = small_clip(40)
    whitened = Whitened(objective, kronecker_base(objective, z), z)
    network = ClipStepNetwork(hidden=8, seed=0)
    loss, end = clip_loss(network, TrainingClip(whitened, least=1.0), ClipStepsConfig(unroll=3))
    loss.backward()
    assert np.isfinite(loss.item()) and np.isfinite(end)
    changes = [weights.grad for weights in network.parameters() if weights.grad is not None]
    assert max(float(change.abs().max()) for change in changes) > 0


def test_an_odd_base_keeps_its_type() -> None:
    objective, z = small_clip(1)
    base = kronecker_base(objective, z)
    assert isinstance(base, KroneckerBase)
    assert base.times(z).shape == z.shape
