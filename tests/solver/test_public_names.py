"""What the package offers: everything it names is there and says what it is."""

import inspect

import pytest

import lsr1_solver

OFFERED = [getattr(lsr1_solver, name) for name in lsr1_solver.__all__]
DESCRIBED = [thing for thing in OFFERED if inspect.isclass(thing) or inspect.isfunction(thing)]


def test_names_are_offered_once() -> None:
    assert len(set(lsr1_solver.__all__)) == len(lsr1_solver.__all__)


@pytest.mark.parametrize("thing", DESCRIBED, ids=lambda thing: thing.__name__)
def test_every_public_name_has_a_docstring_of_its_own(thing: type) -> None:
    text = thing.__doc__ or ""
    assert text.strip(), f"{thing.__name__} has no docstring"
    # A dataclass without one gets its signature instead.
    assert not text.startswith(f"{thing.__name__}("), f"{thing.__name__} has no docstring"


@pytest.mark.parametrize("thing", DESCRIBED, ids=lambda thing: thing.__name__)
def test_every_public_method_has_a_docstring(thing: type) -> None:
    own = vars(thing).items() if inspect.isclass(thing) else ()
    public = [(name, value) for name, value in own if not name.startswith("_") and inspect.isroutine(value)]
    assert not [name for name, value in public if not inspect.getdoc(value)]
