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
  Gauss-Newton factorization, at the start or after one Gauss-Newton step;
- a safeguard: a point that does not lower the energy is not kept, and the next step is shorter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .arrays import Array, namespace
from .minimizer import LeastSquares, NormalEquations, choose, norm

# Log step sizes stay within this: e^2 is a factor of seven.
LARGEST_LOG_STEP = 2.0
# A curvature p.q this small beside |p||q| says nothing (Nocedal & Wright 2006, eq. 6.26).
DEGENERATE = 1e-8
TINY = 1e-30
# Of the one Gauss-Newton step before the base: little, the prior damps already.
FIRST_DAMPING = 0.1
VECTOR_FEATURES = 7
SCALAR_FEATURES = 5


@dataclass(frozen=True)
class LearnedSR1Config:
    """The shape of a trained optimizer; saved with its weights.

    ``memory`` L vectors are kept; ``hidden`` is the encoder's width; ``skip`` and ``scale_free`` turn these
    additions on. ``base`` is 0 for none, 1 for a factorization at the start, 2 for one after a first
    Gauss-Newton step. ``gamma`` is the multiple of the identity in H: of the Barzilai-Borwein step without a
    base, of one with it. A step size is ``alpha1 exp(alpha2 out)``.
    """

    memory: int = 4
    hidden: int = 24
    skip: bool = True
    base: int = 2
    scale_free: bool = True
    gamma: float = 1.0
    alpha1: float = 1.0
    alpha2: float = 1.0


Weights = Mapping[str, Array]


def weight_shapes(config: LearnedSR1Config) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the trained arrays."""
    features, hidden = VECTOR_FEATURES + SCALAR_FEATURES, config.hidden
    return {
        "encoder1": (features, hidden),
        "encoder1_bias": (hidden,),
        "encoder2": (hidden, hidden),
        "encoder2_bias": (hidden,),
        "vector": (hidden, 1),
        "step": (hidden, 1),
        "step_bias": (1,),
        "log_gain": (1,),
    }


@dataclass(frozen=True, eq=False)
class LearnedSR1State:
    """Best points [B, n] and their gradients; H by its vectors, identity and base; the last trial's pair.

    ``model`` is the Gauss-Newton model of the first step, None afterwards; ``base`` S [B, n, n] or None;
    ``gamma`` [B, 1]; ``vectors`` up to L arrays [B, n]; ``p``, ``q`` [B, n] in the base's coordinates, None
    before the first step; ``shrink`` [B, 1] is 1 until a step fails.
    """

    z: Array
    energy: Array
    converged: Array
    gradient: Array
    model: NormalEquations | None
    base: Array | None
    gamma: Array
    vectors: tuple[Array, ...]
    p: Array | None
    q: Array | None
    shrink: Array


def _dot(a: Array, b: Array) -> Array:
    return namespace(a).sum(a * b, axis=-1)[:, None]


@dataclass(frozen=True, eq=False)
class LearnedSR1:
    """L-SR1 with its trained weights; ``tolerance`` is the relative decrease that counts as converged."""

    weights: Weights
    config: LearnedSR1Config = field(default_factory=LearnedSR1Config)
    tolerance: float = 1e-5
    name: str = "lsr1"

    def init(self, objective: LeastSquares, z: Array) -> LearnedSR1State:
        """Evaluate the start; with a base, linearize there."""
        xp = namespace(z)
        model, base = None, None
        if self.config.base == 0:
            energy, gradient = objective.energy_and_gradient(z)
        else:
            model = objective.linearize(z)
            energy, gradient = model.energy, model.gradient
            if self.config.base == 1:
                base, model = model.inverse_factor(), None
        one = xp.ones_like(energy)[:, None]
        return LearnedSR1State(
            z, energy, xp.isnan(energy), gradient, model, base, self.config.gamma * one, (), None, None, one
        )

    def step(self, objective: LeastSquares, state: LearnedSR1State) -> LearnedSR1State:
        """Update H, move, evaluate; keep the point only if it lowers the energy."""
        if state.model is not None:
            return self._gauss_newton_step(objective, state, state.model)
        xp = namespace(state.z)
        g = _to_base(state.base, state.gradient)
        gamma, vectors, move = self.direction(state, g)
        # Downhill, or else along the preconditioned gradient itself.
        slope = _dot(g, move)
        downhill = slope < -DEGENERATE * (norm(g) * norm(move))[:, None]
        move = xp.where(downhill, move, -gamma * g) * state.shrink
        z = state.z + _from_base(state.base, move)
        energy, gradient = objective.energy_and_gradient(z)
        better, converged, shrink = self._judge(state, energy)
        return LearnedSR1State(
            choose(better, z, state.z),
            xp.where(better, energy, state.energy),
            converged,
            choose(better, gradient, state.gradient),
            None,
            state.base,
            gamma,
            vectors,
            move,
            _to_base(state.base, gradient) - g,
            shrink,
        )

    def _gauss_newton_step(
        self, objective: LeastSquares, state: LearnedSR1State, model: NormalEquations
    ) -> LearnedSR1State:
        """The step before the base is made."""
        xp = namespace(state.z)
        move = model.solve(xp.full_like(state.energy, FIRST_DAMPING))
        z = state.z + move
        trial = objective.linearize(z)
        better, converged, shrink = self._judge(state, trial.energy)
        best = trial if xp.all(better) else trial.where(better, model)
        # The step was long and the Jacobian has turned: as a curvature pair it would mislead.
        return LearnedSR1State(
            choose(better, z, state.z),
            best.energy,
            converged,
            best.gradient,
            None,
            best.inverse_factor(),
            state.gamma,
            (),
            None,
            None,
            shrink,
        )

    def _judge(self, state: LearnedSR1State, energy: Array) -> tuple[Array, Array, Array]:
        """Which trials are kept [B], which problems have converged [B], the next shrink [B, 1]."""
        xp = namespace(energy)
        decrease = state.energy - energy
        better = (decrease > 0) & ~state.converged
        settled = better & (decrease <= self.tolerance * energy) & (state.shrink[:, 0] >= 1.0)
        stuck = ~better & (state.shrink[:, 0] < 1e-6)
        grown = xp.clip(3 * state.shrink, None, 1.0)
        return better, state.converged | settled | stuck, xp.where(better[:, None], grown, 0.3 * state.shrink)

    def direction(self, state: LearnedSR1State, g: Array) -> tuple[Array, tuple[Array, ...], Array]:
        """The updated gamma and vectors, and the move, all in the base's coordinates."""
        xp = namespace(g)
        if state.p is None or state.q is None:
            zero = xp.zeros_like(g)
            gamma, vectors, p, q = state.gamma, (), zero, zero
            if state.base is None:  # nothing is known of the curvature: a step of length one
                gamma = gamma / xp.clip(norm(g), 1.0, None)[:, None]
        else:
            gamma, vectors, p, q = self._gamma(state), state.vectors, state.p, state.q
        vectors = vectors[-(self.config.memory - 1) :] if self.config.memory > 1 else ()
        Hq, Hg = _multiply(gamma, vectors, q), _multiply(gamma, vectors, g)
        r = p - Hq
        position = _to_base(state.base, state.z)
        hidden = self._encode((position, p, Hq, g, q, r, Hg))
        if state.p is not None and self.config.memory > 0:
            v = self._vector(hidden, r, q, p)
            vectors = (*vectors, v)
            Hg = Hg + v * _dot(v, g)
        out = (hidden @ self.weights["step"])[..., 0] + self.weights["step_bias"]
        log_step = xp.clip(self.config.alpha2 * out, -LARGEST_LOG_STEP, LARGEST_LOG_STEP)
        return gamma, vectors, -self.config.alpha1 * xp.exp(log_step) * Hg

    def _gamma(self, state: LearnedSR1State) -> Array:
        """[B, 1]: without a base, below every Barzilai-Borwein step so far; with one, as it is."""
        xp = namespace(state.z)
        if state.base is not None:
            return state.gamma
        assert state.p is not None and state.q is not None
        pq, qq = _dot(state.p, state.q), xp.clip(_dot(state.q, state.q), TINY, None)
        measured = xp.where(pq > 0, self.config.gamma * pq / qq, state.gamma)
        return measured if not state.vectors else xp.minimum(measured, state.gamma)

    def _vector(self, hidden: Array, r: Array, q: Array, p: Array) -> Array:
        """The skip connection's vector, 0 where it would make H indefinite, plus the learned one."""
        xp = namespace(r)
        learned = (hidden @ self.weights["vector"])[..., 0]
        # In units in which v v^T is an inverse curvature: v ~ p / sqrt(p.q).
        pq = xp.abs(_dot(p, q))
        valid = pq > DEGENERATE * (norm(p) * norm(q))[:, None]
        v = learned * xp.where(
            valid, _rms(p) / xp.sqrt(xp.where(valid, pq, xp.ones_like(pq))), xp.zeros_like(pq)
        )
        if not self.config.skip:
            return v
        rq = _dot(r, q)
        valid = rq > DEGENERATE * (norm(r) * norm(q))[:, None]
        skip = xp.where(valid, r / xp.sqrt(xp.where(valid, rq, xp.ones_like(rq))), xp.zeros_like(r))
        return v + xp.exp(self.weights["log_gain"]) * skip

    def _encode(self, vectors: tuple[Array, ...]) -> Array:
        """Features of every coordinate. -> [B, n, hidden]."""
        xp = namespace(vectors[0])
        _, p, Hq, g, q, _, Hg = vectors
        if self.config.scale_free:
            columns = [v / xp.clip(_rms(v), TINY, None) for v in vectors]
        else:
            columns = list(vectors)
        scalars = (_log_ratio(p, Hq), _log_ratio(p, Hg), _cosine(p, Hq), _cosine(g, q), _cosine(p, g))
        columns.extend(xp.broadcast_to(s, g.shape) for s in scalars)
        x = xp.stack(columns, axis=-1)
        x = x @ self.weights["encoder1"] + self.weights["encoder1_bias"]
        x = xp.clip(x, 0, None) @ self.weights["encoder2"] + self.weights["encoder2_bias"]
        return xp.clip(x, 0, None)


def _multiply(gamma: Array, vectors: tuple[Array, ...], u: Array) -> Array:
    """``(gamma I + sum v v^T) u``, never forming the matrix."""
    result = gamma * u
    for v in vectors:
        result = result + v * _dot(v, u)
    return result


def _to_base(base: Array | None, u: Array) -> Array:
    """``S^T u``."""
    return u if base is None else (u[:, None, :] @ base)[:, 0]


def _from_base(base: Array | None, u: Array) -> Array:
    """``S u``."""
    return u if base is None else (base @ u[..., None])[..., 0]


def _rms(v: Array) -> Array:
    xp = namespace(v)
    return xp.sqrt(xp.mean(v * v, axis=-1))[:, None]


def _log_ratio(a: Array, b: Array) -> Array:
    """[B, 1], within +-5; 0 before there is a step."""
    xp = namespace(a)
    return xp.clip(xp.log((_rms(a) + TINY) / (_rms(b) + TINY)), -5.0, 5.0)


def _cosine(a: Array, b: Array) -> Array:
    xp = namespace(a)
    return _dot(a, b) / xp.clip((norm(a) * norm(b))[:, None], TINY, None)
