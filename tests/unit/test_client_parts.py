"""The client's parts without a service: what answers stand for, when to try again, what is imported and shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

import blackboard
from blackboard import errors
from blackboard.client import AsyncBlackboard, Blackboard, Event, Patience
from blackboard.client.address import Address
from blackboard.client.calls import Answer, Call
from blackboard.client.patience import Tries
from blackboard.client.problems import error_of, error_of_outcome
from blackboard.client.results import board_of
from blackboard.client.stream import LONGEST, Parser
from blackboard.client.submission import submission
from blackboard.client.watching import Watching
from blackboard.errors import (
    BlackboardError,
    BoardError,
    BoardGone,
    ConflictError,
    DocumentTooComplex,
    EntryConflict,
    InvalidValue,
    LimitReached,
    OutcomeUnknown,
    PermanentFailure,
    RateLimited,
    ServiceError,
    StorageError,
    StorageUnavailable,
    UsageError,
)
from controller.http.problems import CATALOGUE, Problem, problem_of, render
from controller.http.scopes import NEEDS
from tests.twins import meaning, twins

READ: Call[Any] = Call("GET", "/v1/boards/0-a", Answer.object)
WRITE: Call[Any] = Call("PUT", "/v1/boards/0-a/entries/page/0001", Answer.object, noun="entry", key="page/0001")
HERE = "http://here"
NEAREST: dict[str, type[BlackboardError]] = {
    "too-many-streams": RateLimited,
    "report-not-ready": BoardError,
    "no-report": BoardError,
    "internal-error": ServiceError,
    "request-timeout": StorageUnavailable,
    "source-failed": PermanentFailure,
    "validation-error": InvalidValue,
    "precondition-failed": EntryConflict,
    "cancelled": ConflictError,
}
"""Problems that no error of blackboard.errors has for a slug, and those that several have."""
BY_STATUS: dict[int, type[BlackboardError]] = {403: errors.Forbidden, 409: ConflictError, 503: StorageUnavailable}


def request() -> Request:
    """Some request that was answered with a problem."""
    scope = {"type": "http", "method": "GET", "path": "/v1/x", "headers": [], "query_string": b"", "request_id": "r-1"}
    return Request({**scope, "scheme": "http", "server": ("here", 80)})


def answered(problem: Problem) -> Answer:
    """A problem as it travels."""
    response = render(request(), problem)
    return Answer(response.status_code, dict(response.headers.items()), bytes(response.body))


def expected(slug: str) -> type[BlackboardError]:
    """What a problem must become: the class of that very slug, if there is one."""
    if slug in NEAREST:
        return NEAREST[slug]
    named = [kind for kind in vars(errors).values() if isinstance(kind, type) and getattr(kind, "slug", "") == slug]
    named.sort(key=lambda kind: not issubclass(kind, errors.SourceError))
    return named[-1] if named else BY_STATUS.get(CATALOGUE[slug].status, UsageError)


@pytest.mark.parametrize("slug", CATALOGUE)
def test_every_problem_becomes_an_error_of_its_own_class(slug: str) -> None:
    more = {"current_version": 3} if slug == "precondition-failed" else {}
    error = error_of(answered(Problem(slug, **more)), WRITE, HERE)
    assert type(error) is expected(slug)
    assert (error.slug, error.request_id) == (slug, "r-1")
    assert str(error)


RAISED = [
    errors.Unauthorized(""), errors.Forbidden(""), errors.RateLimited("slow down", after_s=7),
    errors.BudgetExhausted("used up", after_s=60), errors.TooManyBoards("30 are open", after_s=2),
    errors.Overloaded("later", after_s=9), errors.StorageFull(""), errors.StorageUnavailable(""), errors.BoardGone(""),
    errors.BoardClosed(""), errors.EntryConflict("page/0001", 4, live=True), errors.NothingToRetry(""),
    errors.SourcePresent(""), errors.ConflictError(""), errors.InvalidValue([("/a", "is missing")]),
    errors.InvalidKey(""), errors.UrlNotAllowed(""),
]  # fmt: skip


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
def test_what_the_service_raises_is_raised_here(raised: BlackboardError) -> None:
    error = error_of(answered(problem_of(request(), raised)), WRITE, HERE)
    assert type(error) is type(raised)
    assert error.slug == raised.slug
    if isinstance(raised, LimitReached):
        assert isinstance(error, LimitReached) and error.after_s == raised.after_s and str(error) == str(raised)
    if isinstance(raised, EntryConflict):
        assert isinstance(error, EntryConflict) and (error.current, error.live) == (4, True)
    if isinstance(raised, InvalidValue):
        assert isinstance(error, InvalidValue) and error.errors == (("/a", "is missing"),)


@given(st.integers(300, 599), st.binary(max_size=40) | st.sampled_from([b"[]", b"null", b'{"errors": 3, "type": 7}']))
def test_whatever_else_answers_is_an_error_too(status: int, content: bytes) -> None:
    error = error_of(Answer(status, {"retry-after": "soon"}, content), READ, HERE)
    assert isinstance(error, BlackboardError) and str(error)


def test_problems_of_newer_services_are_told_by_their_status() -> None:
    for status, kind in (
        (400, UsageError),
        (404, BoardGone),
        (409, ConflictError),
        (429, RateLimited),
        (507, ServiceError),
    ):
        problem = {"type": "https://x/problems/brand-new", "title": "New", "status": status}
        error = error_of(Answer(status, {}, orjson.dumps(problem)), READ, HERE)
        assert type(error) is kind and error.slug == "brand-new"


def test_outcomes_are_errors_of_sources() -> None:
    assert type(error_of_outcome("document-too-complex", "bomb")) is DocumentTooComplex
    assert type(error_of_outcome("url-not-allowed", "private")) is errors.AddressRefused
    assert type(error_of_outcome("deadline", "late")) is PermanentFailure
    assert error_of_outcome("deadline", "late").slug == "deadline"


def problem(status: int, slug: str, **headers: str) -> Answer:
    """An answer."""
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, found, orjson.dumps({"type": f"x/problems/{slug}", "title": slug}))


def test_reading_is_tried_again_within_bounds() -> None:
    tries = Tries(READ, HERE, Patience(retries=3, wait_s=10))
    waits = [tries.lost(OSError("cut"), sent=True), tries.answered(problem(503, "overloaded", retry_after="4")),
             tries.answered(problem(429, "rate-limited", retry_after="10"))]  # fmt: skip
    assert 0 <= waits[0] <= 0.5 and 4 <= (waits[1] or 0) <= 5 and 10 <= (waits[2] or 0) <= 12
    with pytest.raises(LimitReached):
        tries.answered(problem(429, "rate-limited", retry_after="1"))
    with pytest.raises(StorageUnavailable, match="cut"):
        tries.lost(OSError("cut"), sent=True)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(429, "rate-limited", retry_after="11"), RateLimited),
        (problem(429, "budget-exhausted", retry_after="1"), errors.BudgetExhausted),
        (problem(429, "too-many-boards", retry_after="1"), errors.TooManyBoards),
        (problem(500, "internal-error"), ServiceError),
        (problem(401, "unauthorized"), errors.Unauthorized),
        (problem(404, "not-found"), BoardGone),
    ],
)
def test_what_no_second_try_cures_is_raised_at_once(answer: Answer, kind: type[BlackboardError]) -> None:
    with pytest.raises(kind):
        Tries(READ, HERE, Patience(wait_s=10)).answered(answer)


def test_a_lost_stream_is_given_up_in_time() -> None:
    watching = Watching(READ, HERE, patience_s=0.0)
    with pytest.raises(StorageUnavailable, match="never there"):
        watching.lost(OSError("never there"))
    assert watching.opened(200)
    watching.lost(OSError("cut"))
    with pytest.raises(StorageUnavailable, match="and again"):
        watching.lost(OSError("and again"))
    assert watching.opened(200)
    with pytest.raises(RateLimited):
        watching.refused(problem(429, "too-many-streams", retry_after="5"))
    with pytest.raises(errors.Unauthorized):
        watching.refused(problem(401, "unauthorized"))
    with pytest.raises(TimeoutError):
        Watching(READ, HERE, deadline=0.0).lost(OSError())


def test_watchers_of_a_process_that_stops_spread_over_what_it_asks_for() -> None:
    drawn = []
    for _ in range(200):
        watching = Watching(READ, HERE)
        watching.opened(200)
        watching.take(b'retry: 4000\n\nevent: stream.closing\ndata: {"reason":"shutdown"}\n\n')
        assert not watching.over
        drawn.append(watching.pause())
    assert 1 < sum(drawn) / len(drawn) < 3 and max(drawn) <= 4
    watching.take(b'event: stream.closing\ndata: {"reason":"finished"}\n\n')
    assert watching.over


def test_a_write_is_tried_once() -> None:
    with pytest.raises(StorageError):
        Tries(WRITE, HERE, Patience()).answered(problem(503, "storage-unavailable", retry_after="0"))
    with pytest.raises(OutcomeUnknown):
        Tries(WRITE, HERE, Patience()).lost(OSError(), sent=True)
    with pytest.raises(StorageUnavailable) as never:
        Tries(WRITE, HERE, Patience()).lost(OSError(), sent=False)
    assert type(never.value) is StorageUnavailable


def test_submissions_have_a_key_each() -> None:
    made = [
        submission(b"a", text=None, url=None, filename=None, wait=5, idempotency_key=key, options={})
        for key in (None, None, "mine")
    ]
    keys = [call.headers["idempotency-key"] for call in made]
    assert len({*keys}) == 3 and keys[2] == '"mine"' and all(call.repeatable for call in made)
    assert made[0].headers["prefer"] == "wait=5"
    for key in ('a"b', "a\nb", "ü", "x" * 256):
        with pytest.raises(UsageError):
            submission(b"a", text=None, url=None, filename=None, wait=None, idempotency_key=key, options={})


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://u:secret@host", "http://h:99999", "http://h?x=1", "http://[::1", "//h"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError) as off:
        Address.of(url, "", None)
    assert "secret" not in str(off.value)


def test_the_address_and_the_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOARD_URL", "https://bb.example.org/team/")
    monkeypatch.setenv("BLACKBOARD_API_KEY", " bb_secret\n")
    found = Address.of(None, None, None)
    assert (found.url, found.headers["authorization"]) == ("https://bb.example.org/team", "Bearer bb_secret")
    assert "bb_secret" not in repr(found)
    assert "authorization" not in Address.of("http://h", "", None).headers
    with pytest.raises(UsageError) as off:
        Address.of("http://h", "bb_secret two", None)
    assert "bb_secret" not in str(off.value)


def test_results_keep_what_they_do_not_know() -> None:
    board = board_of({"id": "0-a", "status": "open", "revision": 3, "brand": {"new": 1}})
    assert (board.revision, board.raw["brand"]) == (3, {"new": 1})
    with pytest.raises(ServiceError, match="not what was asked for"):
        board_of({"hello": "world"})


def test_streams_without_an_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackboard.client.stream.LONGEST", 1000)
    assert LONGEST > 1 << 20
    parser = Parser()
    with pytest.raises(ServiceError):
        for _ in range(100):
            parser.feed(b"data: " + b"x" * 100)


def test_events_of_newer_services_are_passed_on() -> None:
    parser = Parser()
    (event,) = parser.feed(b'retry: 3500\n\nid: abc.7-0\nevent: board.painted\ndata: {"x": 1}\n\n')
    assert event == Event("abc.7-0", "board.painted", b'{"x": 1}')
    assert (event.revision, event.data, event.record, event.ends, parser.retry_s) == (7, {"x": 1}, None, False, 3.5)


NAMED = {
    "documents.submit": "submit", "boards.list": "boards", "boards.get": "board", "entries.list": "entries",
    "entries.get": "entry", "entries.put": "put_entry", "entries.delete": "delete_entry", "blobs.get": "blob",
    "activations.list": "activations", "sources.list": "sources", "sources.get": "source", "events.watch": "watch",
    "spending.get": "spending", "capabilities.get": "capabilities",
}  # fmt: skip
"""Operations whose method has another name than the operation."""
ELSEWHERE = {"activations.claim", "activations.renew", "activations.commit", "sources.put", "sources.delete"}
"""What programs that are sources ask, see docs/remote-sources.md; and what no program of a tenant's asks."""


@pytest.mark.parametrize("operation", sorted(NEEDS.keys() - ELSEWHERE - {"metrics.get"}))
def test_what_can_be_asked_can_be_asked_in_python(operation: str) -> None:
    group, _, verb = operation.partition(".")
    for client in (AsyncBlackboard("http://here"), Blackboard("http://here")):
        place: Any = getattr(client, group) if group in ("keys", "webhooks") else client
        assert callable(getattr(place, NAMED.get(operation, verb)))


def test_both_clients_are_one() -> None:
    found = {path.name: (path, text) for path, text in twins()}
    assert found.keys() == {path.name for path in (Path(blackboard.__file__).parent / "client" / "sync").glob("*.py")}
    for path, text in found.values():
        assert meaning(path.read_text()) == meaning(text), f"{path.name} is not what `python -m tests.twins` makes"


def modules_of(code: str) -> set[str]:
    """The top-level modules, and ours, that a fresh interpreter has loaded after some code."""
    run = [sys.executable, "-c", f"{code}\nimport sys; sys.stderr.write(' '.join(sys.modules))"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_client_brings_nothing_of_a_service() -> None:
    loaded = modules_of("import blackboard.client")
    heavy = {"fastapi", "redis", "anthropic", "pydantic", "pydantic_settings", "obstore", "rich", "typer", "controller"}
    assert not loaded & heavy
    assert not {name for name in loaded if name.startswith("blackboard.")} & {
        "blackboard.contract",
        "blackboard.levels",
    }


def test_help_brings_next_to_nothing() -> None:
    loaded = modules_of("import sys; sys.argv = ['blackboard', '--help']\nfrom controller.cli import main\n"
                        "try: main()\nexcept SystemExit: pass")  # fmt: skip
    heavy = {"fastapi", "redis", "anthropic", "httpx2", "pydantic", "orjson", "rich", "structlog", "asyncio", "numpy"}
    assert not loaded & heavy
    assert len(loaded) < 260, "a command imports what it needs when it runs"


def test_every_name_of_the_package_is_there() -> None:
    assert all(getattr(blackboard, name) is not None for name in blackboard.__all__)
    assert set(blackboard.__all__) <= set(dir(blackboard))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = blackboard.nothing
