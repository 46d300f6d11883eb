"""What a source's code says without being run: parameters it never reads, levels it makes but does not declare."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from blackboard.contract import Contribution, Source
from blackboard.levels import Level


@dataclass(frozen=True, slots=True)
class Made:
    """A level that a `yield` or `return` makes. `line` counts in its file."""

    kind: type[Level]
    line: int


class Code:
    """The syntax tree of a source's function; without one (made by `exec`, or in C) nothing can be said."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._function: Any = inspect.unwrap(source.function)
        self._first = 1
        self._tree: ast.AST | None = None
        try:
            lines, self._first = inspect.getsourcelines(self._function)
            self._tree = ast.parse(textwrap.dedent("".join(lines)))
        except (OSError, TypeError, SyntaxError):
            pass

    def unread(self) -> list[str]:
        """Inputs and injected parameters that the function never reads."""
        if self._tree is None:
            return []
        read = {
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        if "locals" in read:
            return []
        names = [given.parameter for given in self._source.inputs] + list(self._source.injected)
        return [name for name in names if name not in read]

    def undeclared(self) -> list[Made]:
        """Levels that are yielded or returned where they are made, and that the return type does not name."""
        found = []
        for node in ast.walk(self._tree) if self._tree is not None else ():
            value = node.value if isinstance(node, (ast.Yield, ast.Return)) else None
            for call in _made(value):
                kind = self._named(call.func)
                if isinstance(kind, type) and issubclass(kind, Level) and not issubclass(kind, self._source.outputs):
                    found.append(Made(kind, self._first + call.lineno - 1))
        return found

    def _named(self, node: ast.expr) -> Any:
        """What a dotted name stands for in the function's module."""
        if isinstance(node, ast.Attribute):
            return getattr(self._named(node.value), node.attr, None)
        if not isinstance(node, ast.Name):
            return None
        try:
            known = inspect.getclosurevars(self._function).nonlocals
        except (TypeError, ValueError):
            known = {}
        spaces = (known, getattr(self._function, "__globals__", {}), vars(builtins))
        return next((space[node.id] for space in spaces if node.id in space), None)


def _made(value: ast.expr | None) -> Iterator[ast.Call]:
    """Calls whose result is contributed: as it is, in a list, in a `Contribution`, in either branch of an `if`."""
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        if name == Contribution.__name__:
            given = [*value.args[:1], *(word.value for word in value.keywords if word.arg == "value")]
            for each in given:
                yield from _made(each)
        else:
            yield value
    elif isinstance(value, (ast.List, ast.Tuple)):
        for each in value.elts:
            yield from _made(each)
    elif isinstance(value, ast.IfExp):
        yield from _made(value.body)
        yield from _made(value.orelse)
    elif isinstance(value, ast.BoolOp):
        for each in value.values:
            yield from _made(each)
    elif isinstance(value, (ast.ListComp, ast.GeneratorExp)):
        yield from _made(value.elt)
