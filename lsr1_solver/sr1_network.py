"""The network of L-SR1: two layers that look at one coordinate at a time, and so serve every dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .arrays import Array, at_least, at_most, constant, namespace

# Lengths below this are zero, in single precision too.
TINY = 1e-15
VECTOR_FEATURES = 7
SCALAR_FEATURES = 5
# Of the vectors x, p, H q, g, q, r, H g: those over which p's length is a feature, and the pairs (p, H q),
# (g, q) and (p, g) whose cosines are.
_UNDER = np.array([2, 6])
_ONE, _OTHER = np.array([1, 3, 1]), np.array([2, 4, 3])
_PAIRS = VECTOR_FEATURES * _ONE + _OTHER


@dataclass(frozen=True)
class LearnedSR1Config:
    """The shape of a trained optimizer; saved with its weights.

    ``memory`` L vectors are kept; ``hidden`` is the encoder's width; ``skip`` and ``scale_free`` turn these
    additions on. ``base`` is 0 for none, 1 for a factorization at the start, 2 for one after a first
    Gauss-Newton step. ``gamma`` is the multiple of the identity in H: of the Barzilai-Borwein step without a
    base, of one with it. A step size is ``alpha1 exp(alpha2 out)``. ``learned`` multiplies the learned vector
    and the log of the gain: 0 leaves the classical vector, with learned step sizes.
    """

    memory: int = 8
    hidden: int = 24
    skip: bool = True
    base: int = 2
    scale_free: bool = True
    gamma: float = 1.0
    alpha1: float = 1.0
    alpha2: float = 1.0
    learned: float = 1.0


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


def encode(weights: Weights, columns: Array, products: Array, *, scale_free: bool) -> Array:
    """The encoder: features of every coordinate, from its ``columns`` [B, n, 7] x, p, H q, g, q, r and H g.

    ``products`` [B, 7, 7] are the columns' with one another. -> [B, n, hidden].
    """
    xp = namespace(columns)
    length = xp.sqrt(xp.linalg.diagonal(products))
    first, bias = weights["encoder1"], weights["encoder1_bias"]
    # The scalars are the same for every coordinate: their share of the first layer is worked out once.
    shared = _scalar_features(products, length) @ first[VECTOR_FEATURES:] + bias
    own = first[:VECTOR_FEATURES]
    if scale_free:  # the vectors' scales are taken into the weights
        own = own / at_least(length / columns.shape[1] ** 0.5, TINY)[..., None]
    x = columns @ own + shared[:, None]
    x = at_least(x, 0.0) @ weights["encoder2"] + weights["encoder2_bias"]
    return at_least(x, 0.0)


def _scalar_features(products: Array, length: Array) -> Array:
    """Log ratios within +-5 and cosines of the vectors, from their products [B, 7, 7] and lengths [B, 7].

    -> [B, 5].
    """
    xp = namespace(length)
    length = length + TINY
    under, one, other = (xp.take(length, constant(i, length), axis=1) for i in (_UNDER, _ONE, _OTHER))
    ratios = xp.log(length[:, 1:2] / under)
    dots = xp.take(xp.reshape(products, (-1, products.shape[1] ** 2)), constant(_PAIRS, length), axis=1)
    return xp.concat([at_most(at_least(ratios, -5.0), 5.0), dots / (one * other)], axis=-1)
