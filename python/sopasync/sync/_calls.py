"""`Blocking`: a method that blocks where that of the awaited class awaits, with the same arguments and the same result.

Signatures are not written again: a type checker takes them from the awaited method, and so does `inspect.signature`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from sopasync._blocking import drive
from sopasync._opening import here

P = ParamSpec("P")
R = TypeVar("R")


class Awaited(Protocol):
    """What stands for an object whose calls are awaited."""

    @property
    def awaited(self) -> Any:
        """That object."""


class Named(Protocol):
    """A store whose calls are awaited."""

    @property
    def name(self) -> str: ...


A = TypeVar("A")
S = TypeVar("S", bound=Named)


class Standing(Generic[A]):
    """Stands for an object whose calls are awaited, and blocks where that awaits."""

    __slots__ = ("awaited",)

    def __init__(self, awaited: A) -> None:
        self.awaited = awaited

    def __repr__(self) -> str:
        return repr(self.awaited).replace("sopasync.", "sopasync.sync.", 1)


class StandingStore(Standing[S]):
    """Stands for a store, or an index."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.awaited.name


def drive_aside(coroutine: Coroutine[Any, Any, R]) -> R:
    """`drive` what may also leave work to a thread: this one does it."""
    before, here.blocking = here.blocking, True
    try:
        return drive(coroutine)
    finally:
        here.blocking = before


class Blocking(Generic[P, R]):
    """The blocking form of a method, as an attribute of a class with an `awaited` object."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> None:
        self._method = method
        functools.update_wrapper(self, method)

    def __call__(self, instance: Awaited, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it unbound."""
        return drive_aside(self._method(instance.awaited, *args, **kwargs))

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Awaited, owner: type) -> Callable[P, R]: ...
    def __get__(self, instance: Awaited | None, owner: type) -> Self | Callable[P, R]:
        if instance is None:
            return self
        method, awaited = self._method, instance.awaited

        @functools.wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return drive_aside(method(awaited, *args, **kwargs))

        return call
