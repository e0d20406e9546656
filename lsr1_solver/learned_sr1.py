"""L-SR1: symmetric rank one updates with learned vectors and learned step sizes.

Lifshitz, Zuler, Fouks, Raviv, *L-SR1: Learned Symmetric-Rank-One Preconditioning*, ICML 2026
(arXiv 2508.12270). At every step an encoder reads, coordinate by coordinate, the iterate, the step p, the
gradient change q and what the inverse-Hessian estimate H makes of them; from its features one head gives a
vector v that is added to the estimate, ``H <- H + v v^T``, and one a step size for each coordinate. H is
positive semidefinite by construction, and one optimizer serves every dimension.

What is ours beyond the paper:

- a skip connection to the classical update: ``v = gain (p - H q) / sqrt((p - H q)^T q) + learned``. With
  untrained (zero) heads this *is* safeguarded limited-memory SR1 (Nocedal & Wright 2006, sec. 6.2);
- features without scale: every vector is divided by its own root mean square;
- an optional *base*: ``H = S (gamma I + sum v v^T) S^T`` with ``S S^T = (w I + J^T J)^-1`` from one
  Gauss-Newton factorization, at the start or after one Gauss-Newton step, and anew every eight steps;
- a safeguard: a point that does not lower the energy is not kept, and the next step is shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from .arrays import Array, at_least, at_most, namespace
from .minimizer import Factor, LeastSquares, NormalEquations, choose, norm
from .rank_one import DEGENERATE, Update, dot, inverse_root, multiply, multiply_inverse
from .sr1_network import TINY, LearnedSR1Config, Weights, encode, weight_shapes
from .weight_files import read_weights

LEARNED_SR1 = Path(__file__).resolve().parents[1] / "assets" / "lsr1.npz"
# Log step sizes stay within this: e^2 is a factor of seven.
LARGEST_LOG_STEP = 2.0
# A coordinate of the learned vector, in units of the step's own: weights gone wild stay finite.
LARGEST_LEARNED = 10.0
# A subtraction takes at most this share of H along its vector.
LARGEST_CUT = 0.9
# A base is of the place where it was made: an energy below this share of the one there is somewhere else.
# After so many steps whatever has not converged gets a new one.
FAR, RENEW = 0.8, 8
# Of the one Gauss-Newton step before the base: little, the prior damps already.
FIRST_DAMPING = 0.1
# Among the products of the vectors x, p, H q, g, q, r, H g: p.p, q.q, r.r, p.q and r.q.
_OF_UPDATE = ((1, 1), (4, 4), (5, 5), (1, 4), (5, 4))


@dataclass(frozen=True, eq=False)
class Evaluated:
    """``energy`` [B] and ``gradient`` [B, n] of a point."""

    energy: Array
    gradient: Array


@dataclass(frozen=True, eq=False)
class LearnedSR1State:
    """Best points [B, n]; H by its vectors, identity and base; the last trial's pair.

    ``model`` is the Gauss-Newton model of which the base is still to be made, after one step by the model
    itself where ``rough`` says so; ``base`` S or None, ``age`` steps old, and ``based`` [B] the energy where
    it was made; ``gamma`` [B, 1]; up to L ``updates``; ``shrink`` [B, 1] is 1 until a step fails. In the
    base's coordinates: ``p``, ``q`` [B, n], None before the first step, and the gradient ``slope`` [B, n],
    None before the base. ``trial`` is the last point tried, and ``kept`` [B] whether it is the best, as long
    as its gradient was not asked for: ``q`` and ``slope`` are then those before it.
    """

    z: Array
    energy: Array
    converged: Array
    model: NormalEquations | None
    rough: bool
    base: Factor | None
    gamma: Array
    updates: tuple[Update, ...]
    p: Array | None
    q: Array | None
    shrink: Array
    slope: Array | None
    based: Array
    age: int = 0
    trial: Evaluated | NormalEquations | None = None
    kept: Array | None = None

    def multiply(self, u: Array) -> Array:
        """``H u`` in the base's coordinates, never forming the matrix. [B, n] -> [B, n]."""
        return multiply(self.gamma, self.updates, u)


@dataclass(frozen=True, eq=False)
class LearnedSR1:
    """L-SR1 (Lifshitz, Zuler, Fouks, Raviv, ICML 2026, arXiv 2508.12270) with its trained weights.

    ``tolerance`` is the relative decrease that counts as converged: what the last thousandths of the energy
    are worth is noise of the keypoints, and joints are no nearer the truth for them.
    """

    weights: Weights
    config: LearnedSR1Config = field(default_factory=LearnedSR1Config)
    tolerance: float = 3e-3
    name: str = "lsr1"

    def init(self, objective: LeastSquares, z: Array) -> LearnedSR1State:
        """Evaluate the start."""
        xp = namespace(z)
        model, slope = None, None
        if self.config.base == 0:
            energy, slope = objective.energy_and_gradient(z)
        else:
            model = objective.linearize(z)
            energy = model.energy
        one, rough = xp.ones_like(energy)[:, None], self.config.base == 2
        return LearnedSR1State(
            z, energy, xp.isnan(energy), model, rough, None, self.config.gamma * one, (), None, None, one,
            slope, energy,
        )  # fmt: skip

    def step(self, objective: LeastSquares, state: LearnedSR1State) -> LearnedSR1State:
        """Update H, move, evaluate; keep the point only if it lowers the energy."""
        xp = namespace(state.z)
        if state.model is not None and state.rough:
            return self._gauss_newton_step(objective, state, state.model)
        state = self.prepared(state)
        if xp.all(state.converged):
            return state
        g = state.slope
        assert g is not None
        gamma, updates, move = self.direction(state, g)
        # Downhill, or else along the preconditioned gradient itself.
        slope = dot(g, move)
        downhill = slope < -DEGENERATE * xp.sqrt(dot(g, g) * dot(move, move))
        move = xp.where(downhill, move, -gamma * g) * state.shrink
        z = state.z + _from_base(state.base, move)
        trial = _evaluated(objective, z, state.base)
        better, converged, shrink = self._judge(state, trial.energy)
        after = replace(
            state,
            z=choose(better, z, state.z),
            energy=xp.where(better, trial.energy, state.energy),
            converged=converged,
            gamma=gamma,
            updates=updates,
            p=move,
            shrink=shrink,
            age=state.age + 1,
            trial=trial,
            kept=better,
        )
        return after if state.base is None or after.age < RENEW else self._renewed(objective, after)

    def prepared(self, state: LearnedSR1State) -> LearnedSR1State:
        """The state with what the next step begins with: the base where that is due, or else the gradient.

        A fit that ends before never pays for it.
        """
        if state.model is not None:
            return state if state.rough else self._with_base(state, state.model)
        if state.trial is None:
            return state
        assert state.slope is not None and state.kept is not None
        arrival = _to_base(state.base, state.trial.gradient)
        slope = choose(state.kept, arrival, state.slope)
        converged = state.converged
        if state.base is not None:
            left = self._nothing_left(state.gamma, state.updates, slope, state.energy)
            converged = converged | _near(state, state.energy) & left
        q = arrival - state.slope
        return replace(state, q=q, slope=slope, converged=converged, trial=None, kept=None)

    def _with_base(self, state: LearnedSR1State, model: NormalEquations) -> LearnedSR1State:
        """The state with the base of its model."""
        base = model.inverse_factor()
        slope = _to_base(base, model.gradient)
        converged = state.converged
        if base is not None:
            converged = converged | self._nothing_left(state.gamma, (), slope, state.energy)
        return replace(state, model=None, base=base, slope=slope, converged=converged)

    def _renewed(self, objective: LeastSquares, state: LearnedSR1State) -> LearnedSR1State:
        """Linearized anew, for a Gauss-Newton step and the base after it."""
        fresh = self.init(objective, state.z)
        return replace(fresh, converged=fresh.converged | self.prepared(state).converged)

    def _nothing_left(self, gamma: Array, updates: tuple[Update, ...], slope: Array, energy: Array) -> Array:
        """Where the model of the energy promises less than the tolerance. -> [B]."""
        promised = 0.5 * dot(slope, multiply(gamma, updates, slope))[:, 0]
        return promised <= self.tolerance * energy

    def _gauss_newton_step(
        self, objective: LeastSquares, state: LearnedSR1State, model: NormalEquations
    ) -> LearnedSR1State:
        """The step before the base is made."""
        xp = namespace(state.z)
        z = state.z + model.solve(xp.full_like(state.energy, FIRST_DAMPING))
        trial = objective.linearize(z)
        better, converged, shrink = self._judge(state, trial.energy)
        best = trial if xp.all(better) else trial.where(better, model)
        # The step was long and the Jacobian has turned: as a curvature pair it would mislead.
        return replace(
            state,
            z=choose(better, z, state.z),
            energy=best.energy,
            converged=converged,
            model=best,
            rough=False,
            shrink=shrink,
            based=best.energy,
        )

    def _judge(self, state: LearnedSR1State, energy: Array) -> tuple[Array, Array, Array]:
        """Which trials are kept [B], which problems have converged [B], the next shrink [B, 1]."""
        xp = namespace(energy)
        decrease = state.energy - energy
        better = (decrease > 0) & ~state.converged
        settled = better & (decrease <= self.tolerance * energy) & (state.shrink[:, 0] >= 1.0)
        settled = settled & _near(state, energy)
        stuck = ~better & (state.shrink[:, 0] < 1e-6)
        grown = at_most(3 * state.shrink, 1.0)
        return better, state.converged | settled | stuck, xp.where(better[:, None], grown, 0.3 * state.shrink)

    def direction(self, state: LearnedSR1State, g: Array) -> tuple[Array, tuple[Update, ...], Array]:
        """The updated gamma and updates, and the move, all in the base's coordinates."""
        xp = namespace(g)
        if state.p is None or state.q is None:
            p = q = xp.zeros_like(g)
            gamma, updates = state.gamma, ()
            if state.base is None:  # nothing is known of the curvature: a step of length one
                gamma = gamma / at_least(norm(g), 1.0)[:, None]
        else:
            gamma, p, q = self._gamma(state), state.p, state.q
            # Without the oldest the rest need not be positive: a full memory starts afresh.
            updates = state.updates if len(state.updates) < self.config.memory else ()
        Hq, Hg = multiply(gamma, updates, q), multiply(gamma, updates, g)
        r = p - Hq
        columns = xp.stack([_to_base(state.base, state.z), p, Hq, g, q, r, Hg], axis=-1)
        products = xp.matrix_transpose(columns) @ columns
        hidden = encode(self.weights, columns, products, scale_free=self.config.scale_free)
        if state.p is not None and self.config.memory > 0:
            update = self._update(hidden, gamma, updates, r, products)
            updates = (*updates, update)
            Hg = Hg + update.sign * update.v * dot(update.v, g)
        out = (hidden @ self.weights["step"])[..., 0] + self.weights["step_bias"]
        log_step = at_most(at_least(self.config.alpha2 * out, -LARGEST_LOG_STEP), LARGEST_LOG_STEP)
        return gamma, updates, -self.config.alpha1 * xp.exp(log_step) * Hg

    def _gamma(self, state: LearnedSR1State) -> Array:
        """[B, 1]: without a base, below every Barzilai-Borwein step so far; with one, as it is."""
        xp = namespace(state.z)
        if state.base is not None:
            return state.gamma
        assert state.p is not None and state.q is not None
        pq, qq = dot(state.p, state.q), at_least(dot(state.q, state.q), TINY**2)
        measured = xp.where(pq > 0, self.config.gamma * pq / qq, state.gamma)
        return measured if not state.updates else xp.minimum(measured, state.gamma)

    def _update(
        self, hidden: Array, gamma: Array, updates: tuple[Update, ...], r: Array, products: Array
    ) -> Update:
        """The skip connection's vector plus the learned one, added or subtracted: H stays positive."""
        xp = namespace(r)
        pp, qq, rr, pq, rq = (products[:, i, j, None] for i, j in _OF_UPDATE)
        learned = at_most(
            at_least((hidden @ self.weights["vector"])[..., 0], -LARGEST_LEARNED), LARGEST_LEARNED
        )
        # In units in which v v^T is an inverse curvature: v ~ p / sqrt(p.q).
        size = xp.sqrt(pp / r.shape[1])
        v = self.config.learned * learned * size * inverse_root(pq, pp, qq)
        sign = xp.ones_like(rq)
        if self.config.skip:
            v = v + xp.exp(self.config.learned * self.weights["log_gain"]) * r * inverse_root(rq, rr, qq)
            sign = xp.where(rq < 0, -sign, sign)
        b = multiply_inverse(gamma, updates, v)
        # H - v v^T is positive as long as v.H^-1 v < 1.
        most = xp.where(sign < 0, LARGEST_CUT / at_least(dot(v, b), LARGEST_CUT), xp.ones_like(sign))
        v, b = v * xp.sqrt(most), b * xp.sqrt(most)
        return Update(sign, v, sign / (1 + sign * dot(v, b)), b)


def _evaluated(objective: LeastSquares, z: Array, base: Factor | None) -> Evaluated | NormalEquations:
    """A point's energy, and its gradient: where the energy can be linearized, not before it is asked for."""
    return objective.linearize(z) if base is not None else Evaluated(*objective.energy_and_gradient(z))


def _near(state: LearnedSR1State, energy: Array) -> Array:
    """Whether an energy [B] is one of the base's surroundings; without a base always. -> [B]."""
    return (energy >= FAR * state.based) | (state.base is None)


def _to_base(base: Factor | None, u: Array) -> Array:
    """``S^T u``."""
    return u if base is None else base.transposed_times(u)


def _from_base(base: Factor | None, u: Array) -> Array:
    """``S u``."""
    return u if base is None else base.times(u)


def load_learned_sr1(path: str | Path = LEARNED_SR1) -> LearnedSR1:
    """Read a trained optimizer; without a path, the one that comes with the product.

    Raises FitError where the file is missing, damaged or holds something else.
    """
    return _load(Path(path))


@cache
def _load(path: Path) -> LearnedSR1:
    config, weights = read_weights(
        path, "optimizer", lambda metadata: LearnedSR1Config(**metadata["network"]), weight_shapes
    )
    return LearnedSR1(weights, config)
