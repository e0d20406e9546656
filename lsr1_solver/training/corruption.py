"""What detectors do to keypoints: noise, gaps, limbs out of sight, confident mistakes, swapped sides."""

from __future__ import annotations

import torch

from ..initializer_input import INPUT_LANDMARKS, SLOTS
from ..smpl_landmarks import mirrored
from .config import CorruptionConfig

# Uniform numbers of a sample: one for each kind of trouble, then four a slot (lost, wrong, and where).
KINDS, SWAP_KIND = 6, 5
CORRUPTION_DRAWS = KINDS + 4 * SLOTS
FEWEST = 6


def _slots(*parts: str) -> torch.Tensor:
    """[25] whether a slot's name ends with one of the parts."""
    return torch.tensor([name.endswith(parts) for name in INPUT_LANDMARKS])


_FEET = ("big_toe", "small_toe", "heel")
_TOP = _slots("head_top", "upper_neck")
_FOOT = _slots(*_FEET)
_LEFT = torch.tensor(["left" in name for name in INPUT_LANDMARKS])
_RIGHT = torch.tensor(["right" in name for name in INPUT_LANDMARKS])
_LEG = _slots("knee", "ankle", *_FEET)
_ARM = _slots("elbow", "wrist")
# Limbs that one draw chooses from: an arm, a hand, a leg, a lower leg, the head.
_LIMBS = torch.stack(
    [
        part & side
        for part in (_ARM, _slots("wrist"), _LEG, _slots("ankle", *_FEET))
        for side in (_LEFT, _RIGHT)
    ]
    + [_slots("nose", "eye", "ear", "head_top")]
)
# Lower bodies from the hips, from the knees, and feet; halves; the upper body.
_LOWER = torch.stack([_LEG | _slots("hip"), _LEG, _slots("ankle", *_FEET)])
_HALVES = torch.stack([_LEFT, _RIGHT])
_UPPER = (~(_LEG | _slots("hip")))[None]
_SWAPPED = torch.tensor([INPUT_LANDMARKS.index(mirrored(name)) for name in INPUT_LANDMARKS])
# Which slots change sides: all, the legs, the arms.
_SWAPS = torch.stack([torch.ones(SLOTS, dtype=torch.bool), _LEG | _slots("hip"), _ARM | _slots("shoulder")])


def _one_of(masks: torch.Tensor, draw: torch.Tensor, share: float) -> torch.Tensor:
    """For a ``share`` of the samples one of the masks, else nothing. [M, 25], [B] -> [B, 25] bool."""
    which = (draw / max(share, 1e-9) * len(masks)).long().clamp(max=len(masks) - 1)
    return masks[which] & (draw < share)[:, None]


def corrupt(
    plane: torch.Tensor,
    height: torch.Tensor,
    uniform: torch.Tensor,
    normal: torch.Tensor,
    config: CorruptionConfig,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keypoints as a detector gives them, and which of them it gives.

    ``plane`` [B, 25, 2]; ``height`` [B] of the person on the image plane; ``uniform`` [B, CORRUPTION_DRAWS]
    and ``normal`` [B, 25, 2] random numbers. -> [B, 25, 2] and [B, 25], 1 or 0.
    """
    kinds = uniform[:, :KINDS].unbind(dim=1)
    lost, wrong, *where = uniform[:, KINDS:].view(-1, 4, SLOTS).unbind(dim=1)
    plane = plane + _noise(kinds[0], config)[:, None, None] * height[:, None, None] * normal

    without_top, without_feet = config.formats
    unseen = (kinds[1] < without_top + without_feet)[:, None] & _TOP
    unseen = unseen | ((kinds[1] < without_feet)[:, None] & _FOOT)
    unseen = unseen | _out_of_sight(kinds[2], config)
    # The random gaps come last, and leave a fewest number of points: the least of the draws go first.
    gaps = lost < config.missing * kinds[3][:, None]
    order = torch.where(unseen, -1.0, lost)
    safe = order >= order.topk(FEWEST, dim=1).values[:, -1:]
    seen = ~unseen & (~gaps | safe)

    outlier = (kinds[4] < config.outliers)[:, None] & (wrong < 1 / config.outlier_every)
    shift = 2 * torch.stack(where, dim=-1) - 1
    shift = config.outlier_reach * height[:, None, None] * shift
    plane = torch.where(outlier[..., None], plane + shift, plane)

    swap = _one_of(_SWAPS, kinds[SWAP_KIND], config.swapped)
    plane = torch.where(swap[..., None], plane[:, _SWAPPED], plane)
    seen = torch.where(swap, seen[:, _SWAPPED], seen)
    return plane, seen.float()


def _noise(draw: torch.Tensor, config: CorruptionConfig) -> torch.Tensor:
    """Each sample's noise, log-normal, as a share of the height. -> [B]."""
    normal = torch.special.ndtri(draw.clamp(1e-6, 1 - 1e-6))
    return (config.noise * torch.exp(config.noise_spread * normal)).clamp(max=config.noise_most)


def _out_of_sight(draw: torch.Tensor, config: CorruptionConfig) -> torch.Tensor:
    """The slots of a part of the body that is not in the picture at all. -> [B, 25] bool."""
    unseen = torch.zeros((len(draw), SLOTS), dtype=torch.bool)
    for masks, share in (
        (_LOWER, config.lower_body),
        (_LIMBS, config.limb),
        (_HALVES, config.half),
        (_UPPER, config.upper_body),
    ):
        unseen = unseen | _one_of(masks, draw, share)
        draw = torch.where(draw < share, 2.0, draw - share)
    return unseen
