"""Types that are one of several types or values, told of in one sentence when none fits. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Union

from pydantic import BeforeValidator, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError


def one_of(kinds: list[Any]) -> Any:
    """A type that is any of these."""
    if len(kinds) == 1:
        return kinds[0]
    if len(kinds) == 2 and None in kinds:
        # The usual one; its errors are told as those of the other.
        return Union[tuple(kinds)]  # noqa: UP007
    return Annotated[Union[tuple(kinds)], WrapValidator(any_of)]  # noqa: UP007


def any_of(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """A union's own errors name its members, which are no part of the value's path."""
    try:
        return handler(value)
    except ValidationError:
        raise PydanticCustomError("any_of", "Input should have one of the declared shapes") from None


def among(values: Iterable[Any]) -> BeforeValidator:
    """Only these values, of these types."""
    # With their types: to Python, true is 1.
    allowed = frozenset((isinstance(value, bool), value) for value in values)

    def check(value: Any) -> Any:
        if isinstance(value, (list, dict)) or (isinstance(value, bool), value) not in allowed:
            raise PydanticCustomError("enum", "Input should be one of the declared values")
        return value

    return BeforeValidator(check)
