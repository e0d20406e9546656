"""L-BFGS for one large problem, with step sizes that a small network learned.

A clip has tens of thousands of unknowns of some seventy kinds. What a quasi-Newton method does not know yet,
such as that the base overrates the depth of the hands, is the same for all frames: so the network looks at
each kind of unknown as a whole, through lengths and angles of its vectors pooled over time, and says how far
to go along the L-BFGS direction for this kind. The idea is L-SR1's step-size generator (arXiv 2508.12270,
section 4), pooled; with untrained (zero) weights this *is* L-BFGS.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from .clip_base import Whitened
from .minimizer import Energy
from .weight_files import read_weights

CLIP_STEPS = Path(__file__).resolve().parents[1] / "assets" / "clip_steps.npz"
# Log step sizes stay within this.
LARGEST_LOG_STEP = 1.0
# Frequencies, as shares of the highest, at which a kind of unknown is parted: drift, motion, tremor.
PARTINGS = (0.04, 0.2)
FEATURES = 10
# Of the frequencies of a part as many as this, or up to twice as many, are looked at.
SAMPLED_FREQUENCIES = 48
# A trial point that raises the energy shortens the next step to this; success lengthens it again.
SHRINK, GROWTH = 0.3, 3.0
# A pair says nothing about curvature when it is this close to orthogonal (Nocedal & Wright 2006, eq. 6.26).
DEGENERATE = 1e-6
_TINY = 1e-20

Weights = Mapping[str, np.ndarray]


def weight_shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the trained arrays."""
    return {
        "encoder1": (FEATURES, hidden),
        "encoder1_bias": (hidden,),
        "encoder2": (hidden, hidden),
        "encoder2_bias": (hidden,),
        "step": (hidden, 1),
    }


@dataclass(frozen=True, eq=False)
class Kinds:
    """How a vector [N] of whitened unknowns falls into kinds: n coordinates, each parted by frequency, and
    the shape.
    """

    unknowns: int
    frames: int

    @property
    def edges(self) -> tuple[int, ...]:
        """The first frequency of each part, and the number of frequencies."""
        inner = (min(self.frames, max(1, round(share * self.frames))) for share in PARTINGS)
        return (0, *inner, self.frames)

    def dots(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The products of two vectors, kind by kind. -> [n, 4]: three parts, and the shape in every row.

        Of long parts every so many-th frequency stands for its neighbours.
        """
        count = self.unknowns * self.frames
        rows_a, rows_b = (v[:count].reshape(self.unknowns, self.frames) for v in (a, b))
        products = np.empty((self.unknowns, 4))
        for part, (i, j) in enumerate(itertools.pairwise(self.edges)):
            every = max(1, (j - i) // SAMPLED_FREQUENCIES)
            products[:, part] = np.einsum("ij,ij->i", rows_a[:, i:j:every], rows_b[:, i:j:every])
            products[:, part] *= (j - i) / max(1, len(range(i, j, every)))
        products[:, 3] = a[count:] @ b[count:]
        return products

    def scaled(self, v: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """A vector times a factor for each kind; ``factor`` [n, 4]."""
        count = self.unknowns * self.frames
        out = v.copy()
        rows = out[:count].reshape(self.unknowns, self.frames)
        for part, (i, j) in enumerate(itertools.pairwise(self.edges)):
            rows[:, i:j] *= factor[:, part, None].astype(v.dtype)
        out[count:] *= v.dtype.type(factor[:, 3].mean())
        return out


@dataclass(frozen=True, eq=False)
class ClipState:
    """Best point and its gradient [1, N]; the ``pairs`` (s, y) [N] with their Gram matrix; the last trial.

    ``gram`` [2 m, 2 m] are the products of s_1..s_m, y_1..y_m; ``shrink`` is 1 until a step fails.
    """

    z: np.ndarray
    energy: np.ndarray
    converged: np.ndarray
    gradient: np.ndarray
    pairs: tuple[tuple[np.ndarray, np.ndarray], ...]
    gram: np.ndarray
    step: np.ndarray | None
    iteration: int
    shrink: float

    def on(self, objective: Energy) -> ClipState:
        """The same point on an energy that has changed a little: what is known of its curvature stays."""
        energy, gradient = objective.energy_and_gradient(self.z)
        return replace(self, energy=energy, gradient=gradient, converged=np.isnan(energy), shrink=1.0)


@dataclass(frozen=True, eq=False)
class LearnedLBFGS:
    """L-BFGS with learned steps for a clip; without ``weights``, L-BFGS.

    ``tolerance`` is the relative decrease that counts as converged.
    """

    weights: Weights | None = None
    memory: int = 8
    tolerance: float = 2e-3
    name: str = "lsr1"

    def init(self, objective: Energy, z: np.ndarray) -> ClipState:
        """Evaluate the start."""
        energy, gradient = objective.energy_and_gradient(z)
        return ClipState(z, energy, np.isnan(energy), gradient, (), np.zeros((0, 0)), None, 0, 1.0)

    def step(self, objective: Energy, state: ClipState) -> ClipState:
        """One evaluation: kept if it lowers the energy, and its pair in any case."""
        g = state.gradient[0]
        direction = self.direction(state, g)
        if self.weights is not None and isinstance(objective, Whitened):
            kinds = Kinds(objective.base.unknowns, objective.base.frames)
            direction = kinds.scaled(
                direction, np.exp(log_steps(self.weights, features(kinds, state, direction)))
            )
        if direction @ g >= 0:
            direction = -g
        move = direction * g.dtype.type(state.shrink)
        z = state.z + move
        energy, gradient = objective.energy_and_gradient(z)
        decrease = float(state.energy[0] - energy[0])
        better = decrease > 0
        pairs, gram = _with_pair(state, move, gradient[0] - g, self.memory)
        settled = better and decrease <= self.tolerance * float(energy[0]) and state.shrink >= 1
        stuck = not better and state.shrink < 1e-3
        return ClipState(
            z if better else state.z,
            energy if better else state.energy,
            np.array([settled or stuck]),
            gradient if better else state.gradient,
            pairs,
            gram,
            move,
            state.iteration + 1,
            min(1.0, GROWTH * state.shrink) if better else SHRINK * state.shrink,
        )

    @staticmethod
    def direction(state: ClipState, g: np.ndarray) -> np.ndarray:
        """``-H g`` by the two-loop recursion (Nocedal & Wright 2006, alg. 7.4), on products alone.

        The recursion only ever combines s_i, y_i and g: with their products known it runs on 2 m + 1
        numbers, and the vectors are summed once at the end (Chen, Wang, Zhou, *Large-scale L-BFGS using
        MapReduce*, NeurIPS 2014).
        """
        m = len(state.pairs)
        if not m:
            return -g
        vectors = [s for s, _ in state.pairs] + [y for _, y in state.pairs]
        along = np.array([float(v @ g) for v in vectors])
        gram = state.gram
        valid = [gram[i, m + i] > DEGENERATE * (gram[i, i] * gram[m + i, m + i]) ** 0.5 for i in range(m)]
        q, alpha = np.zeros(2 * m), np.zeros(m)  # q = g + sum of q_i v_i
        for i in reversed(range(m)):
            if valid[i]:
                alpha[i] = (along[i] + gram[i] @ q) / gram[i, m + i]
                q[m + i] -= alpha[i]
        last = next((i for i in reversed(range(m)) if valid[i]), None)
        scale = 1.0 if last is None else gram[last, m + last] / gram[m + last, m + last]
        r = scale * q
        for i in range(m):
            if valid[i]:
                beta = (scale * along[m + i] + gram[m + i] @ r) / gram[i, m + i]
                r[i] += alpha[i] - beta
        out = g * g.dtype.type(-scale)
        for weight, v in zip(r, vectors, strict=True):
            if weight:
                out -= v * g.dtype.type(weight)
        return out


def _with_pair(
    state: ClipState, s: np.ndarray, y: np.ndarray, memory: int
) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], np.ndarray]:
    """The pairs with one more, the oldest gone where there are too many, and their products."""
    m = len(state.pairs)
    keep = np.arange(max(0, m + 1 - memory), m)
    pairs = (*(state.pairs[i] for i in keep), (s, y))
    index = np.concatenate([keep, m + keep])
    size, count = len(pairs), len(keep)
    gram = np.zeros((2 * size, 2 * size))
    place = np.concatenate([np.arange(count), size + np.arange(count)])
    gram[np.ix_(place, place)] = state.gram[np.ix_(index, index)]
    vectors = [s for s, _ in pairs] + [y for _, y in pairs]
    for row, v in ((size - 1, s), (2 * size - 1, y)):
        gram[row] = gram[:, row] = [float(v @ other) for other in vectors]
    return pairs, gram


def features(kinds: Kinds, state: ClipState, direction: np.ndarray) -> np.ndarray:
    """What the network sees of every kind. -> [n, 4, FEATURES]."""
    g = state.gradient[0]
    step = np.zeros_like(g) if state.step is None else state.step
    dd, gg, ss = (kinds.dots(v, v) + _TINY for v in (direction, g, step))
    dg, ds, gs = (kinds.dots(a, b) for a, b in ((direction, g), (direction, step), (g, step)))
    known = 0.0 if state.step is None else 1.0
    whole = np.array([known, min(state.iteration, 8) / 8, np.log(state.shrink) / 2])
    own = np.stack(
        [
            _log_share(dd),
            _log_share(gg),
            dg / np.sqrt(dd * gg),
            known * ds / np.sqrt(dd * ss),
            known * gs / np.sqrt(gg * ss),
            known * np.clip(np.log(ss / dd) / 4, -2, 2),
        ],
        axis=-1,
    )
    part = np.broadcast_to(np.linspace(-1, 1, own.shape[1])[:, None], (*own.shape[:2], 1))
    return np.concatenate([own, part, np.broadcast_to(whole, (*own.shape[:2], 3))], axis=-1)


def _log_share(squares: np.ndarray) -> np.ndarray:
    """How a kind's length compares with the mean over all kinds."""
    return np.clip(np.log(squares / squares[:, :3].mean()) / 4, -2, 2)


def log_steps(weights: Weights, seen: np.ndarray) -> np.ndarray:
    """The logarithm of each kind's step size. [n, 4, FEATURES] -> [n, 4]."""
    h = np.maximum(seen @ weights["encoder1"] + weights["encoder1_bias"], 0)
    h = np.maximum(h @ weights["encoder2"] + weights["encoder2_bias"], 0)
    return LARGEST_LOG_STEP * np.tanh((h @ weights["step"])[..., 0])


def load_clip_minimizer(path: str | Path = CLIP_STEPS) -> LearnedLBFGS:
    """Read trained steps; without a path, those that come with the product.

    Raises FitError where the file is missing, damaged or holds something else.
    """
    return _load(Path(path))


@cache
def _load(path: Path) -> LearnedLBFGS:
    what = "file of step sizes for clips"
    _, weights = read_weights(path, what, lambda metadata: int(metadata["hidden"]), weight_shapes)
    return LearnedLBFGS(weights)
