import itertools
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from lsr1_solver import fit_pose
from lsr1_solver.arrays import Array
from lsr1_solver.errors import FitError
from lsr1_solver.kinematics import KeypointChain, PosedChain, row_jacobian
from lsr1_solver.learned_sr1 import LARGEST_CUT, LEARNED_SR1, LearnedSR1, LearnedSR1State, load_learned_sr1
from lsr1_solver.minimizer import LevenbergMarquardt
from lsr1_solver.sr1_network import LearnedSR1Config, weight_shapes
from lsr1_solver.starts import initializer_start
from lsr1_solver.view import person_view
from tests.solver.test_fitting import nearby, problem, random_poses
from tests.solver.test_minimizer import Quadratic, quadratic, rosenbrock, run
from tests.solver.test_objective import in_torch, objective

CONFIGS = (
    LearnedSR1Config(base=0, gamma=0.3),
    LearnedSR1Config(base=1),
    LearnedSR1Config(base=2),
    LearnedSR1Config(base=0, skip=False, scale_free=False),
    LearnedSR1Config(base=2, memory=2),
    LearnedSR1Config(base=2, memory=0),
)


def weights(config: LearnedSR1Config, scale: float, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: scale * rng.normal(size=shape) for name, shape in weight_shapes(config).items()}


def matrix(state: LearnedSR1State, problem: int = 0) -> np.ndarray:
    """H of one problem in the base's coordinates, column by column."""
    n = state.z.shape[1]
    columns = [state.multiply(np.tile(e, (len(state.z), 1)))[problem] for e in np.eye(n)]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("scale", [0.0, 0.3, 3.0])
def test_the_matrix_is_symmetric_and_positive_for_any_weights(config: LearnedSR1Config, scale: float) -> None:
    minimizer = LearnedSR1(weights(config, scale), config, tolerance=0.0)
    for state in run(minimizer, quadratic(), np.zeros((4, 12)), 12):
        for b in range(4):
            H = matrix(state, b)
            assert np.allclose(H, H.T, rtol=1e-9, atol=1e-9 * np.abs(H).max())
            assert np.linalg.eigvalsh(H).min() > -1e-9 * np.abs(H).max()


def test_zero_weights_are_classical_sr1() -> None:
    """Step for step the textbook's update (Nocedal & Wright, eq. 6.25), written out densely."""
    config = LearnedSR1Config(base=0, gamma=0.3, memory=50)
    minimizer = LearnedSR1(weights(config, 0.0), config, tolerance=0.0)
    problem = Quadratic(quadratic().M[:1], quadratic().b[:1])
    states = [minimizer.prepared(state) for state in run(minimizer, problem, np.zeros((1, 12)), 9)]
    checked = 0
    for before, after in itertools.pairwise(states):
        if before.p is None or before.q is None or after.p is None:
            continue
        p, q = before.p[0], before.q[0]
        # What the textbook has before the update: the identity's multiple, and the updates so far.
        H = after.gamma[0, 0] * np.eye(12)
        for update in before.updates:
            H += update.sign[0, 0] * np.outer(update.v[0], update.v[0])
        r = p - H @ q
        textbook = H + np.outer(r, r) / (r @ q)
        if np.linalg.eigvalsh(textbook).min() > 0.2 * after.gamma[0, 0]:  # else the safeguard has its say
            assert np.allclose(matrix(after), textbook, rtol=1e-8, atol=1e-8 * np.abs(textbook).max())
            checked += 1
        assert before.slope is not None  # without a base, the gradient
        assert np.allclose(after.p[0], -matrix(after) @ before.slope[0] * before.shrink[0, 0])
    assert checked >= 3


@pytest.mark.parametrize("base", [0, 1, 2])
def test_the_secant_condition_holds_along_the_step(base: int) -> None:
    config = LearnedSR1Config(base=base, gamma=0.3 if base == 0 else 1.0)
    minimizer = LearnedSR1(weights(config, 0.0), config, tolerance=0.0)
    starts = np.array([[-1.2, 1.0], [0.0, 0.0], [3.0, -2.0]])
    states = [minimizer.prepared(state) for state in run(minimizer, rosenbrock(), starts, 12)]
    held = 0
    for before, after in itertools.pairwise(states):
        if before.p is None or before.q is None or not after.updates:
            continue
        cut = np.sum(after.updates[-1].v * after.updates[-1].b, axis=-1) >= LARGEST_CUT - 1e-9
        subtracted = after.updates[-1].sign[:, 0] < 0
        miss = np.linalg.norm(after.multiply(before.q) - np.asarray(before.p), axis=-1)
        p, q = np.asarray(before.p), np.asarray(before.q)
        whole = ~(cut & subtracted) & (np.linalg.norm(q, axis=-1) > 1e-9)
        assert np.all(miss[whole] < 1e-6 * np.linalg.norm(p, axis=-1)[whole] + 1e-12)
        held += int(whole.sum())
    assert held > 5


def test_the_inverse_is_tracked_through_every_update() -> None:
    config = LearnedSR1Config(base=1)
    state = run(LearnedSR1(weights(config, 0.5), config, tolerance=0.0), quadratic(), np.zeros((4, 12)), 6)[
        -1
    ]
    H = matrix(state)
    inverse = np.eye(12) / state.gamma[0, 0]
    for update in state.updates:
        inverse -= update.weight[0, 0] * np.outer(update.b[0], update.b[0])
    assert np.allclose(inverse @ H, np.eye(12), atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_energies_never_rise_whatever_the_weights(config: LearnedSR1Config) -> None:
    for scale in (0.0, 0.3, 3.0):
        minimizer = LearnedSR1(weights(config, scale), config, tolerance=0.0)
        states = run(minimizer, rosenbrock(), np.array([[-1.2, 1.0], [0.0, 0.0], [3.0, -2.0]]), 40)
        assert np.all(np.diff([s.energy for s in states], axis=0) <= 0)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_problem_does_not_feel_its_batch(config: LearnedSR1Config) -> None:
    minimizer = LearnedSR1(weights(config, 0.3), config)
    z = np.array([[-1.2, 1.0], [0.0, 0.0], [3.0, -2.0]])
    together = run(minimizer, rosenbrock(), z, 8)[-1]
    for b in range(3):
        assert np.allclose(run(minimizer, rosenbrock(), z[b : b + 1], 8)[-1].z, together.z[b], atol=1e-8)


@pytest.mark.parametrize("n", [2, 7, 100])
def test_one_optimizer_serves_every_dimension(n: int) -> None:
    trained = load_learned_sr1()
    final = run(trained, quadratic(batch=2, n=n), np.zeros((2, n)), 60)[-1]
    least = quadratic(batch=2, n=n).energy_and_gradient(quadratic(batch=2, n=n).minimum())[0]
    assert np.all(final.energy <= 1.05 * least + 1e-6)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_numpy_and_torch_agree(config: LearnedSR1Config) -> None:
    chosen = weights(config, 0.3)
    tensors = {name: cast(Array, torch.tensor(w)) for name, w in chosen.items()}
    asked = replace(objective(), target_3d=None, confidence_3d=None)
    z = 0.1 * np.random.default_rng(3).normal(size=asked.start().shape)
    ours = LearnedSR1(chosen, config).init(asked, z)
    theirs = LearnedSR1(tensors, config).init(in_torch(asked), cast(Array, torch.tensor(z)))
    for _ in range(5):
        ours = LearnedSR1(chosen, config).step(asked, ours)
        theirs = LearnedSR1(tensors, config).step(in_torch(asked), theirs)
        assert np.allclose(cast(torch.Tensor, theirs.z).numpy(), ours.z, atol=1e-5)
    assert np.all(ours.energy < asked.energy_and_gradient(z)[0])


def test_only_the_step_that_needs_a_jacobian_pays_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[KeypointChain] = []

    def counted(chain: KeypointChain, posed: PosedChain, directions: Array) -> Array:
        made.append(chain)
        return row_jacobian(chain, posed, directions)

    monkeypatch.setattr("lsr1_solver.objective.row_jacobian", counted)
    asked = replace(objective(), target_3d=None, confidence_3d=None)
    minimizer = replace(load_learned_sr1(), tolerance=0.0)
    state = minimizer.init(asked, asked.start())
    for count in (0, 1, 2, 2):
        assert len(made) == count
        state = minimizer.step(asked, state)


def test_the_shipped_weights_load_and_say_where_they_come_from() -> None:
    trained = load_learned_sr1()
    assert sum(w.size for w in trained.weights.values()) < 2000
    with np.load(LEARNED_SR1, allow_pickle=False) as file:
        assert "mocap.cs.cmu.edu" in str(file["metadata"])
    assert LEARNED_SR1.stat().st_size < 100_000


def test_a_file_that_is_no_optimizer_is_refused(tmp_path: Path) -> None:
    whole = LEARNED_SR1.read_bytes()
    cases = {
        "missing.npz": None,
        "text.npz": b"hello",
        "cut.npz": whole[: len(whole) // 2],
        "empty.npz": b"",
    }
    for name, data in cases.items():
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(FitError, match=name):
            load_learned_sr1(path)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(FitError, match="no optimizer"):
        load_learned_sr1(tmp_path / "other.npz")
    with np.load(LEARNED_SR1) as file:
        arrays = {key: file[key] for key in file.files}
    arrays["step"] = np.full_like(arrays["step"], np.nan)
    np.savez(tmp_path / "nan.npz", **arrays)
    with pytest.raises(FitError, match="step"):
        load_learned_sr1(tmp_path / "nan.npz")


def test_it_fits_bodies_as_well_as_levenberg_marquardt() -> None:
    asked = problem(random_poses(8, spread=0.5)[1])
    ours, reference = fit_pose(asked), fit_pose(replace(asked), LevenbergMarquardt())
    assert np.median(ours.loss / reference.loss) < 1.01
    assert ours.reprojection_percent < reference.reprojection_percent + 0.1


def test_it_stops_where_there_is_next_to_nothing_to_gain() -> None:
    asked = problem(random_poses(8, spread=0.5)[1])
    assert asked.initializer is not None
    view = person_view(asked)
    task, z = view.objective(initializer_start(view, asked.initializer, np.arange(8)))
    shipped, reference = load_learned_sr1(), LevenbergMarquardt(tolerance=0.0)
    state, slow = shipped.init(task, z), reference.init(task, z)
    for _ in range(12):
        state, slow = shipped.step(task, state), reference.step(task, slow)
    state = shipped.prepared(state)
    assert state.converged.all() and state.base is not None and state.slope is not None
    # A model's promise is no bound: a few times the tolerance.
    assert (state.energy <= slow.energy * (1 + 5 * shipped.tolerance)).all()
    gradient = task.energy_and_gradient(state.z)[1]
    np.testing.assert_allclose(state.slope, state.base.transposed_times(gradient), atol=1e-9)


def test_from_far_it_ends_where_levenberg_marquardt_does_whatever_stands_beside() -> None:
    pose, points = random_poses(60, seed=3)
    asked, far = problem(points), nearby(pose, 60)
    ours = fit_pose(asked, initial=far).loss
    theirs = fit_pose(asked, LevenbergMarquardt(), initial=far).loss
    # Some end in another of the energy's hollows, on either side.
    assert np.mean(ours > 1.02 * theirs + 0.05) < 0.12
    alone = np.arange(5)
    assert np.allclose(fit_pose(asked.frames(alone), initial=far.frames(alone)).loss, ours[:5], rtol=1e-6)
