"""Generate: made-up data of any type, from a seed, and tidied up afterwards.

    user = generate(User)                                   # a dataclass, a TypedDict, a model, or any type
    rows = generate.rows(Order, 20, customer=user)          # the same many times; what is given is as given
    await generate.put(session, Order, 20, customer_id=1)   # into a database
    client = generate.track(Client(), Client.close)         # closed after the test, the last one first

Rule 1: the same seed gives the same data; see `asgi_guard.testing.values`.
Rule 2: what is tidied up is tidied up whole: one that fails does not keep the others, and its error is raised last.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from asgi_guard.testing.shapes import Maker
from asgi_guard.testing.values import Values

T = TypeVar("T")

MAX_ROWS = 100_000
ROLLED_BACK = "asgi_guard: rolled back"
"""In the `info` of a session: what it writes is rolled back, and needs no clean-up."""


class Generator(Values):
    """A generator of data, with clean-up.

    Args:
        seed: an integer or a text; the same one gives the same data in the same order.
    """

    def __init__(self, seed: int | str = 0) -> None:
        super().__init__(seed)
        self._closers: list[Callable[[], Any]] = []

    @overload
    def __call__(self, kind: type[T], /, **given: Any) -> T: ...
    @overload
    def __call__(self, kind: Any, /, **given: Any) -> Any: ...
    def __call__(self, kind: Any, /, **given: Any) -> Any:
        """Make one.

        Args:
            kind: a dataclass, a TypedDict, a NamedTuple, an enum, a pydantic or SQLAlchemy model, or any annotation.
            **given: fields as they shall be.

        Raises:
            TypeError: a field has a type of which nothing is known, or a given name is no field.
        """
        return Maker(self).make(kind, given)

    @overload
    def rows(self, kind: type[T], count: int, /, **given: Any) -> list[T]: ...
    @overload
    def rows(self, kind: Any, count: int, /, **given: Any) -> list[Any]: ...
    def rows(self, kind: Any, count: int, /, **given: Any) -> list[Any]:
        """Make many.

        Args:
            kind: as for one.
            count: how many, from 0 to 100,000.
            **given: fields as they shall be, in each.

        Raises:
            ValueError: the count is out of its bounds.
            TypeError: as for one.
        """
        if not 0 <= count <= MAX_ROWS:
            raise ValueError(f"count must be from 0 to {MAX_ROWS}, not {count}")
        maker = Maker(self)
        return [maker.make(kind, given) for _ in range(count)]

    async def put(self, session: Any, model: type[T], count: int = 1, /, **given: Any) -> list[T]:
        """Make many, put them into a database, and take them out after the test, where no transaction is rolled back.

        Args:
            session: an `AsyncSession`; it is flushed, and whether to commit is the caller's decision.
            model: a SQLAlchemy model.
            count: how many, from 0 to 100,000.
            **given: fields as they shall be, in each.

        Raises:
            ValueError: the count is out of its bounds.
            TypeError: as for one.
        """
        rows = self.rows(model, count, **given)
        session.add_all(rows)
        await session.flush()
        if session.info.get(ROLLED_BACK):
            return rows
        mapper: Any = getattr(model, "__mapper__")  # noqa: B009  no type says that it is there
        keys = [tuple(mapper.primary_key_from_instance(row)) for row in rows]

        async def remove() -> None:
            await session.rollback()  # what is not committed is gone by this
            for key in reversed(keys):
                if (found := await session.get(model, key)) is not None:
                    await session.delete(found)
            await session.commit()
            await session.close()

        self._closers.append(remove)
        return rows

    def track(self, thing: T, close: Callable[[T], Any]) -> T:
        """Have something closed after the test, and return it.

        Args:
            thing: what is to be closed.
            close: called with it, and awaited where it is async.
        """
        self._closers.append(lambda: close(thing))
        return thing

    async def clean_up(self) -> None:
        """Close all that is tracked, and take out what was put in, the last first.

        Raises:
            ExceptionGroup: some of it failed; the rest is done.
        """
        errors: list[Exception] = []
        while self._closers:
            try:
                result = self._closers.pop()()
                if inspect.isawaitable(result):
                    await _awaited(result)
            except Exception as exc:  # noqa: BLE001  raised with the others
                errors.append(exc)
        if errors:
            raise ExceptionGroup("the clean-up failed", errors)


async def _awaited(result: Awaitable[Any]) -> None:
    await result
