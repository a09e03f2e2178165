"""The application behind the guard, found by its name: `module:attribute`, or `module:factory()`.

| id    | rule that was broken                                                 |
|-------|----------------------------------------------------------------------|
| AG550 | the application is named as `module:attribute` or `module:factory()` |
| AG551 | the module is there                                                  |
| AG552 | the module has the attribute                                         |
| AG553 | what it names is an ASGI 3 application                               |
| AG554 | its own code loads without an exception                              |

Must never evaluate what it is given: a name is looked up, a factory is called without arguments, and that is all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from inspect import isclass, signature
from traceback import format_exception
from types import ModuleType, TracebackType
from typing import Any, Final

from asgi_guard.engine.types import ASGIApp
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import Problem, shown

_FORM: Final = "Write module:attribute, such as shop:app, or module:factory()."


def find(name: str, folder: str | None = None) -> ASGIApp:
    """Return the application that a name stands for.

    Args:
        name: such as `shop:app`, `shop.web:api.app` or `shop:create_app()`.
        folder: where its module is. It comes first from then on: servers put the current directory before everything
            that `PYTHONPATH` names, and there may be a module of the same name.

    Raises:
        ConfigError: there is none; where the application's own code failed, its exception is the cause.
    """
    target, call, rest = name.partition("()")
    module_name, _, path = target.partition(":")
    if rest or not all(part.isidentifier() for part in (*module_name.split("."), *path.split("."))):
        raise _wrong("AG550", name, "must name the application as module:attribute", _remedy_of_form(module_name, path))
    if folder is not None and sys.path[0] != folder:
        sys.path.insert(0, folder)
    found: Any = _module(module_name, name)
    for attribute in path.split("."):
        if not _of_its_own_code(partial(hasattr, found, attribute), name):
            close = get_close_matches(attribute, dir(found), n=1)
            remedy = f"Did you mean {close[0]!r}?" if close else _FORM
            raise _wrong("AG552", name, f"must name what is there; there is no {attribute!r}", remedy)
        found = getattr(found, attribute)
    if call:
        found = _of_its_own_code(found, name)
    if not _is_asgi(found):
        is_factory = callable(found) and not call
        remedy = f"If it makes one, write {target}()." if is_factory else "Name the application itself."
        raise _wrong("AG553", name, f"must be an ASGI 3 application, and is {shown(found)}", remedy)
    return found  # type: ignore[no-any-return]


def told(error: Exception) -> str:
    """Say what is wrong; where the application's own code failed, with its traceback before it."""
    cause = error.__cause__
    if cause is None:
        return str(error)
    return f"{''.join(format_exception(type(cause), cause, _of_others(cause.__traceback__)))}{error}"


def _module(module_name: str, name: str) -> ModuleType:
    try:
        return _of_its_own_code(lambda: import_module(module_name), name)  # type: ignore[no-any-return]
    except ConfigError as error:
        missing = getattr(error.__cause__, "name", None) if isinstance(error.__cause__, ModuleNotFoundError) else None
        if missing is None or not f"{module_name}.".startswith(f"{missing}."):  # the module itself misses another
            raise
    remedy = "Start it where the module is, or say where that is with --app-dir."
    raise _wrong("AG551", name, f"must name a module that is there; there is no {missing!r}", remedy)


def _of_its_own_code(run: Callable[[], Any], name: str) -> Any:
    try:
        return run()
    except (Exception, SystemExit) as error:  # a module that ends the process must not end it without a word
        rule = f"must load without an exception, and raised {shown(error)}"
        raise _wrong("AG554", name, rule, "Mend what the traceback shows.") from error


def _is_asgi(found: Any) -> bool:
    """Tell whether it takes scope, receive and send; a class makes applications, and is none."""
    if not callable(found) or (isclass(found) and not hasattr(found, "__await__")):
        return False
    try:
        signature(found).bind(None, None, None)
    except TypeError:
        return False
    except ValueError:  # compiled, and does not say what it takes
        return True
    return True


def _remedy_of_form(module_name: str, path: str) -> str:
    if not module_name.endswith(".py") and "/" not in module_name:
        return _FORM
    module_name = module_name.removesuffix(".py").strip("./").replace("/", ".")
    return f"Write a module, not a file: {module_name}:{path or 'app'}."


def _of_others(trace: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of this file and of the import, which say nothing to the application's author."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith((__name__, "importlib")):
        trace = trace.tb_next
    return trace


def _wrong(problem_id: str, name: str, rule: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(problem_id, f"the application {name!r}", "", rule, remedy)])
