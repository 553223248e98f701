"""How anyone's own layer becomes a contestant."""

import inspect
import reprlib
from collections.abc import Callable

from torch import Tensor, nn

from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear


class NoFactoryError(TypeError):
    """What a user gives is no implementation and makes none; unlike a TypeError of the user's own code."""


def from_factory(
    made: "Implementation | type[Implementation] | Callable[[BitLinear], object]", name: str
) -> Implementation:
    """The implementation behind an object of the user: an Implementation, its class, or a function `layer -> op`.

    A class whose constructor takes a BitLinear is such a function. For a function, `name` becomes the implementation's
    name and the first line of its docstring the summary. The op is an `nn.Module`, or any callable of one tensor, of
    which nobody can say how many bytes it stores. Raises NoFactoryError for anything else.
    """
    if isinstance(made, type) and issubclass(made, Implementation):
        if wrong := _mismatch(made):
            raise NoFactoryError(f"{name} cannot be made without arguments: {wrong}")
        if missing := sorted(made.__abstractmethods__):
            raise NoFactoryError(f"{name} has no {' and no '.join(missing)}; an Implementation has its own")
        made = made()
    if isinstance(made, Implementation):
        if missing := [what for what in ("name", "summary") if not isinstance(getattr(made, what, None), str)]:
            raise NoFactoryError(f"{name} has no {' and no '.join(missing)}; an Implementation has both, as strings")
        return made
    if isinstance(made, nn.Module):
        raise NoFactoryError(f"{name} is a {type(made).__name__} that is already built; give the class, or a function")
    if not callable(made):
        raise NoFactoryError(
            f"{name} is {reprlib.repr(made)}; give an Implementation, or a class or function that takes a BitLinear"
        )
    if wrong := _mismatch(made, None):
        raise NoFactoryError(
            f"{name} cannot be called with a BitLinear alone: {wrong}; give it one parameter, the layer"
        )
    return _FromFunction(made, name)


def would_do(made: object) -> bool:
    """Whether an object of a user's module looks like something for `from_factory`, without calling it."""
    if isinstance(made, type):
        return issubclass(made, Implementation) or (issubclass(made, nn.Module) and not _mismatch(made, None))
    return isinstance(made, Implementation) or (inspect.isfunction(made) and not _mismatch(made, None))


def _mismatch(made: Callable[..., object], *arguments: object) -> str:
    """Why it cannot be called so; nothing where it can, or where Python cannot tell."""
    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*arguments)
    except TypeError as error:
        return f"{error}, as in {getattr(made, '__name__', 'it')}{signature}"
    return ""


class _FromFunction(Implementation):
    def __init__(self, function: Callable[[BitLinear], object], name: str) -> None:
        self._function = function
        self.name = name
        words = function.__doc__.strip() if isinstance(function.__doc__, str) else ""
        self.summary = (words or "user's own").splitlines()[0]

    def build(self, layer: BitLinear) -> nn.Module:
        op = self._function(layer)
        if isinstance(op, nn.Module):
            return op
        if not callable(op):
            raise TypeError(
                f"{self.name} returned {reprlib.repr(op)}; it must return an nn.Module or a callable of one tensor"
            )
        return Function(op)


class Function(nn.Module):
    """A callable of one tensor as an op. It may hold weights, but none that can be counted."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        """Whatever it returns."""
        return self._function(x)
