"""What a guest contributes is checked by the shape of its level, without running any of its author's code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, field_validator, model_validator

from blackboard import Each, Level, Upload, knowledge_source
from blackboard.entries import Put
from blackboard.errors import PermanentFailure
from controller.isolated_values import Checker

RAN: list[str] = []
"""What ran of the author's code."""


def noted(value: Any) -> Any:
    """A validator that leaves a trace."""
    RAN.append("function")
    return value


class Shade(Enum):
    """A few words."""

    LIGHT = "light"
    DARK = "dark"

    @classmethod
    def _missing_(cls, value: object) -> Any:
        RAN.append("missing")
        return None


class Box(BaseModel):
    """Something with a kind."""

    kind: Literal["box"] = "box"
    size: int


class Ball(BaseModel):
    """Something else with a kind."""

    kind: Literal["ball"] = "ball"
    radius: float


class Tree(BaseModel):
    """Something that holds its like."""

    children: list[Tree] = Field(default_factory=list)


class Odd(Level):
    """Every sort of field, and code wherever an author may put some."""

    n: int
    type: str = "x"
    metadata: dict[str, int] = Field(default_factory=lambda: RAN.append("factory") or {})  # type: ignore[func-returns-value]
    day: date | None = None
    shade: Shade = Shade.LIGHT
    thing: Annotated[Box | Ball, Field(discriminator="kind")] | None = None
    tree: Tree | None = None
    before: Annotated[int, BeforeValidator(noted)] = 0
    after: Annotated[int, Field(ge=0), AfterValidator(noted)] = 0

    @field_validator("n")
    @classmethod
    def _n(cls, value: int) -> int:
        RAN.append("field")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Odd:
        RAN.append("model")
        return self

    def model_post_init(self, context: Any) -> None:
        """Code, too."""
        RAN.append("init")


@knowledge_source()
def odd(upload: Each[Upload]) -> Odd:
    """Never run."""
    raise NotImplementedError


@pytest.fixture
def check() -> Callable[[Any, Any, bytes], Put]:
    """The check of one run."""
    RAN.clear()
    return Checker(odd).of_run()


WHOLE = {
    "n": 1, "type": "y", "metadata": {"a": 1}, "day": "2026-01-02", "shade": "dark", "thing": {"kind": "ball", "radius": 1.5},
    "tree": {"children": [{"children": []}]}, "before": 3, "after": 4,
}  # fmt: skip


def test_a_whole_value_passes_and_runs_nothing(check: Callable[[Any, Any, bytes], Put]) -> None:
    assert check("odd/a", 0.5, orjson.dumps(WHOLE)) == Put("odd/a", orjson.dumps(WHOLE), 0.5)
    assert check("odd/b", 1, b'{ "n": 1 }') == Put("odd/b", b'{"n":1}', 1.0)
    assert RAN == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": "one"}, "/n:"),
        ({"n": None}, "/n:"),
        ({"day": "yesterday"}, "/day:"),
        ({"shade": "grey"}, "/shade:"),
        ({"thing": {"kind": "ball", "size": 1}}, "/thing/ball/radius:"),
        ({"thing": {"kind": "cube"}}, "/thing:"),
        ({"tree": {"children": [{"children": 1}]}}, "/tree/children/0/children:"),
        ({"after": -1}, "/after:"),
        ({"more": 1}, "/more:"),
    ],
)
def test_what_does_not_fit_is_named(
    check: Callable[[Any, Any, bytes], Put], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(PermanentFailure, match="does not fit its model") as caught:
        check("odd/a", 1.0, orjson.dumps({**WHOLE, **change}))
    assert words in str(caught.value)
    assert RAN == []


@pytest.mark.parametrize(
    ("key", "confidence", "raw", "words"),
    [
        ("odd/a", 2, b'{"n":1}', "between 0 and 1"),
        ("odd/a", None, b'{"n":1}', "between 0 and 1"),
        ("odd/a", "1", b'{"n":1}', "between 0 and 1"),
        ("odd/a~me", 1, b'{"n":1}', "key that is none"),
        ("odd", 1, b'{"n":1}', "key that is none"),
        (7, 1, b'{"n":1}', "key that is none"),
        (None, 1, b'{"n":1}', "key that is none"),
        ("upload/original", 1, b'{"n":1}', "contributed upload, but declares Odd"),
        ("odd/a", 1, b"[]", "no JSON object"),
        ("odd/a", 1, b'{"n":NaN}', "no JSON"),
        ("odd/a", 1, b"\xff", "no JSON"),
        ("odd/a", 1, b'{"n":' + b"[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_contribution_is_refused(
    check: Callable[[Any, Any, bytes], Put], key: Any, confidence: Any, raw: bytes, words: str
) -> None:
    with pytest.raises(PermanentFailure, match=words):
        check(key, confidence, raw)


def test_a_key_is_taken_once(check: Callable[[Any, Any, bytes], Put]) -> None:
    check("odd/a", 1.0, b'{"n":1}')
    with pytest.raises(PermanentFailure, match="twice"):
        check("odd/a", 1.0, b'{"n":2}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.binary() | JSON.map(orjson.dumps) | st.fixed_dictionaries({"n": st.integers(-9, 9)}).map(orjson.dumps))
def test_any_bytes_pass_or_are_refused_and_run_nothing(raw: bytes) -> None:
    RAN.clear()
    try:
        put = Checker(odd).of_run()("odd/a", 1.0, raw)
    except PermanentFailure:
        pass
    else:
        assert isinstance(orjson.loads(put.value)["n"], int)
    assert RAN == []
