"""The orthonormal cosine transform over the last axis, on numpy's Fourier transform."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=16)
def _twiddles(count: int, single: bool) -> np.ndarray:
    turns = np.exp(-0.5j * np.pi * np.arange(count // 2 + 1) / count) * (2 / count) ** 0.5
    turns[0] = (1 / count) ** 0.5
    return turns.astype(np.complex64 if single else np.complex128)


@lru_cache(maxsize=16)
def _inverse_twiddles(count: int, single: bool) -> np.ndarray:
    # The transform's own scale, undone: |twiddle|^2 is 1 / count at 0 and 2 / count elsewhere.
    scale = np.full(count // 2 + 1, count / 2)
    scale[0] = count
    return (np.conj(_twiddles(count, False)) * scale).astype(np.complex64 if single else np.complex128)


def cosine_transform(y: np.ndarray) -> np.ndarray:
    """The orthonormal cosine transform (DCT-II) over the last axis, by one real Fourier transform.

    Makhoul, *A fast cosine transform in one and two dimensions*, IEEE Trans. ASSP 28(1), 1980.
    """
    count = y.shape[-1]
    folded = np.concatenate([y[..., ::2], y[..., 1::2][..., ::-1]], axis=-1)
    turned = np.fft.rfft(folded, axis=-1)
    turned *= _twiddles(count, y.dtype == np.float32)
    out = np.empty_like(y)
    out[..., : count // 2 + 1] = turned.real
    out[..., count // 2 + 1 :] = -turned.imag[..., (count - 1) // 2 : 0 : -1]
    return out


def inverse_cosine_transform(c: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The inverse, and the transpose, of `cosine_transform`; into ``out``, if given."""
    count = c.shape[-1]
    half = count // 2 + 1
    turned = np.zeros((*c.shape[:-1], half), dtype=np.complex64 if c.dtype == np.float32 else np.complex128)
    turned.real = c[..., :half]
    turned.imag[..., 1:] = -c[..., : count - half : -1] if count % 2 else -c[..., : half - 2 : -1]
    turned *= _inverse_twiddles(count, c.dtype == np.float32)
    folded = np.fft.irfft(turned, n=count, axis=-1)
    out = np.empty_like(c) if out is None else out
    out[..., ::2] = folded[..., : (count + 1) // 2]
    out[..., 1::2] = folded[..., : (count - 1) // 2 : -1]
    return out
