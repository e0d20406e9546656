"""What the package offers: everything it names is there and says what it is."""

import inspect

import pytest

import lsr1_solver

OFFERED = [getattr(lsr1_solver, name) for name in lsr1_solver.__all__]
CALLED = [inspect.unwrap(thing) for thing in OFFERED if callable(thing)]
DESCRIBED = [thing for thing in CALLED if inspect.isclass(thing) or inspect.isfunction(thing)]
ROUTINES = {
    f"{thing.__name__}.{name}" if inspect.isclass(thing) else name: routine
    for thing in DESCRIBED
    for name, routine in (vars(thing).items() if inspect.isclass(thing) else [(thing.__name__, thing)])
    if inspect.isfunction(routine) and (name == "__post_init__" or not name.startswith("_"))
}


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


@pytest.mark.parametrize("name", ROUTINES)
def test_who_raises_says_so(name: str) -> None:
    """A class speaks for what makes it."""
    routine = ROUTINES[name]
    owner = getattr(lsr1_solver, name.partition(".")[0])
    said = (owner if name.endswith("__") else routine).__doc__ or ""
    assert "FitError" in said or "raise FitError" not in inspect.getsource(routine)


@pytest.mark.parametrize("name", [name for name in ROUTINES if not name.endswith("__")])
def test_who_takes_or_gives_arrays_names_their_shapes(name: str) -> None:
    routine = ROUTINES[name]
    own = {key: str(note) for key, note in routine.__annotations__.items()}
    arrays = [key for key, note in own.items() if "ndarray" in note or note == "Array"]
    protocol = name.endswith((".init", ".step", ".direction"))  # told once, in Minimizer
    chosen = arrays == ["index"]  # as numpy's: numbers, booleans or a slice
    assert not arrays or protocol or chosen or "[" in (routine.__doc__ or "")
