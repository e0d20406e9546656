"""People followed from frame to frame, and findings that are one person told from those that are two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..keypoint_formats import BLAZEPOSE_33
from .landmarks import PRESENT, Landmarks
from .region import Region

# A finding whose points lie this near to another's limbs on the average, in parts of the other's region, is
# the same person or a part of it: such lie below 0.045, other people above 0.1 (in seven pictures).
_SAME = 0.06
# What somebody who is followed has over a newcomer, in mean visibility.
_LOYALTY = 0.1
# A move from frame to frame, in sizes of the person, that is looked at twice: some three times a walk's at 25
# frames a second.
_JUMP = 0.03
# Parts of a region's turn: half of it often shows a leaning person best, as neither upright nor lying.
_OTHER_TURNS = (0.5, 0.0)
_EDGES = np.array(BLAZEPOSE_33.edges)


class Chain:
    """One person followed through a clip: ``person`` as last seen; ``length`` in frames.

    Somebody who leans is shown to the network upright, as it was taught, and may then seem to face the other
    way, left and right exchanged. Where the points jump, the region is therefore looked at less turned, too,
    and what lies nearest to the last frame counts.
    """

    def __init__(self, person: Landmarks) -> None:
        """Begin with the first frame's."""
        self.person = person
        self.length = 1

    @property
    def region(self) -> Region:
        """Where to look in the next frame."""
        return self.person.region

    def follow(self, look: Callable[[Region], Landmarks]) -> bool:
        """Take what the next frame shows where this one was; False where it shows nobody.

        ``look`` finds the person in a region of the next frame.
        """
        seen = look(self.region)
        if seen.score > PRESENT and self._jump(seen) > _JUMP:
            turns = [share * self.region.rotation for share in _OTHER_TURNS]
            others = [look(replace(self.region, rotation=turn)) for turn in turns]
            seen = min([seen, *(o for o in others if o.score > PRESENT)], key=self._jump)
        if seen.score <= PRESENT:
            return False
        self.person = seen
        self.length += 1
        return True

    def _jump(self, seen: Landmarks) -> float:
        """How far the points lie from where they were last seen, on the average, in sizes of the person."""
        weight = seen.visibility * self.person.visibility
        apart = np.linalg.norm(seen.points - self.person.points, axis=1)
        return float(apart @ weight) / max(float(weight.sum()), 1e-9) / self.person.size


def without_doubles(chains: Sequence[Chain]) -> list[Chain]:
    """The chains, but one alone where several have come to the same person."""
    loyalty = np.array([_LOYALTY * (chain.length > 1) for chain in chains])
    return [chains[i] for i in distinct([chain.person for chain in chains], loyalty)]


def distinct(people: Sequence[Landmarks], bonus: np.ndarray) -> list[int]:
    """Those that are different people, ascending; of findings of one person the most visible counts.

    ``bonus`` [N] is added to their mean visibility.
    """
    kept: list[int] = []
    for i in np.argsort(
        [-p.visibility.mean() - b for p, b in zip(people, bonus, strict=True)], kind="stable"
    ):
        if not any(_lies_on(people[i], people[k]) for k in kept):
            kept.append(int(i))
    return sorted(kept)


def _lies_on(part: Landmarks, person: Landmarks) -> bool:
    """Whether the points of one finding lie on the limbs of another."""
    start, along = person.points[_EDGES[:, 0]], np.diff(person.points[_EDGES], axis=1)[:, 0]
    from_start = part.points[:, None] - start
    length = np.maximum(np.sum(along * along, axis=1), 1e-9)
    share = np.clip(np.sum(from_start * along, axis=2) / length, 0, 1)
    apart = np.linalg.norm(from_start - share[..., None] * along, axis=2).min(axis=1)
    weight = part.visibility / max(float(part.visibility.sum()), 1e-9)
    return bool(apart @ weight < _SAME * person.region.side)
