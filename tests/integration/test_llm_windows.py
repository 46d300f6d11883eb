"""No window above a limit: random schedules on a clock moved by hand, against the scripts on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from blackboard.embedded import Server
from knowledge_sources.llm.limits import LEAVE, PERMIT, SETTLE
from tests.llm_shared import Clock

KEYS = ("limits", "permits", "queue", "tickets")
SECOND = 1000
UNSAID = ("",) * 12


@dataclass
class Desk:
    """One class of models, as a fleet of processes asks for it."""

    client: Any
    requests: int = 0
    input: int = 0
    output: int = 0
    concurrency: int = 10_000
    clock: Clock = field(default_factory=Clock)

    def ask(self, permit: str, process: str = "p") -> tuple[str, int, int]:
        """Word, ms to wait, how many are ahead."""
        row = self.client.eval(
            PERMIT.text, 4, *KEYS, permit, process, self.requests, self.input, self.output, self.concurrency,
            60_000, 10_000, self.clock.now,
        )  # fmt: skip
        return row[0].decode(), int(row[1]), int(row[2])

    def settle(self, permit: str, input: int | str = "", output: int | str = "", *said: Any, **more: Any) -> list[int]:
        """A call's end; `said` are the twelve words of headers."""
        words: list[int] = self.client.eval(
            SETTLE.text, 2, *KEYS[:2], permit, input, output, more.get("closed_ms", 0), more.get("date", ""),
            self.requests, self.input, self.output, 60_000, self.clock.now, *(said or UNSAID),
        )  # fmt: skip
        return words

    def leave(self, permit: str, away_s: float = 0) -> int:
        """Stop waiting."""
        found: int = self.client.eval(LEAVE.text, 4, *KEYS, permit, int(away_s * SECOND), 60_000, self.clock.now)
        return found


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with Redis(unix_socket_path=server.url.removeprefix("unix://")) as found:
        found.flushall()
        yield found


@pytest.fixture
def desk(client: Any) -> Callable[..., Desk]:
    return lambda **limits: Desk(client, **limits)


def most_in_a_window(uses: list[tuple[int, int]]) -> int:
    """The most of (time, amount) that any 60 s hold."""
    uses = sorted(uses)
    first, inside, most = 0, 0, 0
    for at, amount in uses:
        inside += amount
        while uses[first][0] <= at - 60 * SECOND:
            inside -= uses[first][1]
            first += 1
        most = max(most, inside)
    return most


CALLS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 50), st.integers(0, 3000), st.integers(0, 70_000)),  # pause
        st.integers(1, 500),  # input
        st.integers(1, 1500),  # most output
        st.integers(0, 80_000),  # how long it runs
        st.floats(0, 1),  # how much of it is used
        st.integers(0, 2000),  # how long it travels
        st.sampled_from(["settle", "settle", "settle", "unknown", "killed", "away", "leave"]),
    ),
    max_size=60,
)


@dataclass
class Running:
    permit: str
    granted: int
    arrives: int
    ends: int
    input: int
    output: int
    how: str


@given(calls=CALLS, burst=st.integers(1, 6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_window_holds_more_than_a_limit(
    calls: list[tuple[int, int, int, int, float, int, str]], burst: int, client: Any
) -> None:
    """Requests and input by when they reach the model's server, output by any moment of the call; nothing is over 100 %."""
    client.flushall()
    desk = Desk(client, requests=12, input=2000, output=1500, concurrency=8)
    running: list[Running] = []
    requests, inputs, early, late = [], [], [], []

    def end(upto: int) -> None:
        for one in sorted(running, key=lambda run: run.ends):
            if one.ends > upto:
                break
            running.remove(one)
            desk.clock.now = max(desk.clock.now, one.ends)
            if one.how != "killed":
                desk.settle(one.permit, *(() if one.how == "unknown" else (one.input, one.output)))

    for at, (pause, input, output, runs, used, travels, how) in enumerate(calls):
        now = desk.clock.now + pause
        end(now)
        desk.clock.now = max(now, desk.clock.now)
        for n in range(burst):
            permit = f"{at}x{n}:{input}:{output}"
            word, wait, _ = desk.ask(permit)
            if word == "granted":
                start = desk.clock.now
                run = Running(
                    permit, start, start + travels, start + max(runs, travels),
                    int(input * used), int(output * used), how,
                )  # fmt: skip
                running.append(run)
                requests.append((run.arrives, 1))
                inputs.append((run.arrives, run.input))
                early.append((run.granted, run.output))
                late.append((run.ends, run.output))
            elif how in ("away", "leave"):
                assert wait >= -1
                desk.leave(permit, 20 if how == "away" else 0)
        assert len([run for run in running if run.how != "killed"]) <= 8
    end(desk.clock.now + 100 * SECOND)
    assert most_in_a_window(requests) <= 12
    assert most_in_a_window(inputs) <= 2000
    assert most_in_a_window(early) <= 1500
    assert most_in_a_window(late) <= 1500


def test_the_limit_is_used_and_not_passed_over_ten_minutes(desk: Callable[..., Desk]) -> None:
    one = desk(requests=100)
    grants = []
    for n in range(3000):
        one.clock.pass_s(0.2)
        if one.ask(f"{n}:1:1")[0] == "granted":
            grants.append((one.clock.now, 1))
            one.settle(f"{n}:1:1", 1, 1)
        else:
            one.leave(f"{n}:1:1")
    assert most_in_a_window(grants) == 100
    assert len(grants) >= 0.94 * 100 * 10


def test_the_wait_that_is_told_is_enough_and_hardly_more(desk: Callable[..., Desk]) -> None:
    one = desk(input=1000)
    for n in range(10):
        one.clock.pass_s(3)
        assert one.ask(f"{n}:100:1")[0] == "granted"
        one.settle(f"{n}:100:1", 100, 1)
    word, wait, _ = one.ask("big:350:1")
    assert word == "wait" and 0 < wait <= 63_000
    one.clock.now += wait - 1
    assert one.ask("big:350:1")[0] == "wait"
    one.clock.now += 1
    assert one.ask("big:350:1")[0] == "granted"


def test_what_came_from_the_prompt_cache_is_given_back(desk: Callable[..., Desk]) -> None:
    one = desk(input=1000)
    for n in range(20):
        assert one.ask(f"{n}:900:10")[0] == "granted"
        one.settle(f"{n}:900:10", 5, 10)
    assert one.ask("last:901:10")[0] == "wait"


def test_a_call_whose_end_nobody_knows_counts_whole(desk: Callable[..., Desk]) -> None:
    one = desk(input=1000, output=1000)
    assert one.ask("a:600:600")[0] == "granted"
    one.settle("a:600:600")
    assert one.ask("b:1:401")[0] == "wait"
    one.leave("b:1:401")
    assert one.ask("b:401:1")[0] == "wait"
    one.leave("b:401:1")
    assert one.ask("b:400:400")[0] == "granted"


def test_settling_twice_is_settling_once(desk: Callable[..., Desk], client: Any) -> None:
    one = desk(input=1000)
    one.ask("a:600:5")
    assert one.settle("a:600:5", 100, 5)[0] == 1
    before = client.hgetall("limits")
    assert one.settle("a:600:5", 100, 5)[0] == 0
    assert client.hgetall("limits") == before


def test_asking_twice_is_asking_once(desk: Callable[..., Desk], client: Any) -> None:
    one = desk(requests=2)
    assert one.ask("a:1:1")[0] == one.ask("a:1:1")[0] == one.ask("b:1:1")[0] == "granted"
    assert one.ask("c:1:1")[0] == "wait"


def test_permits_of_a_killed_process_come_back(desk: Callable[..., Desk]) -> None:
    one = desk(concurrency=3, output=3000)
    for n in range(3):
        assert one.ask(f"{n}:1:1000")[0] == "granted"
    one.clock.pass_s(699)
    assert one.ask("late:1:1000")[0] == "wait"
    one.clock.pass_s(1)
    assert one.ask("late:1:1000")[0] == "granted"


def said(dimension: int, limit: Any, remaining: Any, reset_ms: Any) -> tuple[Any, ...]:
    words: list[Any] = [""] * 12
    words[3 * dimension : 3 * dimension + 3] = limit, remaining, reset_ms
    return tuple(words)


def room(one: Desk, tag: str) -> int:
    """How many requests would go out now."""
    found = 0
    while one.ask(f"{tag}{found}:0:0")[0] == "granted":
        found += 1
    for n in range(found + 1):
        one.leave(f"{tag}{n}:0:0")
    return found


def test_headers_lower_what_is_left_and_never_raise_it(desk: Callable[..., Desk]) -> None:
    one = desk(requests=50)
    for n in range(4):
        one.ask(f"{n}:0:0")
    one.settle("0:0:0", 0, 0, *said(0, 50, 20, 30_000), date=1000)
    assert room(one, "a") == 20 - 3, "what is under way may not have been counted yet"
    one.settle("1:0:0", 0, 0, *said(0, 50, 49, 30_000), date=2000)
    assert room(one, "b") == 17
    one.settle("2:0:0", 0, 0, *said(0, 50, 5, 30_000), date=1500)
    assert room(one, "c") == 17, "an older answer"
    one.settle("3:0:0", 0, 0, *said(0, 50, 5, 0), date=3000)
    assert room(one, "d") == 17, "that window is over already"
    one.clock.pass_s(31)
    assert room(one, "e") == 46, "others' use is over, ours is not yet"


def test_calls_that_the_server_has_met_long_ago_are_not_subtracted_twice(desk: Callable[..., Desk]) -> None:
    one = desk(requests=50)
    for n in range(10):
        one.ask(f"{n}:0:0")
    one.clock.pass_s(10)
    one.ask("next:0:0")
    one.settle("next:0:0", 0, 0, *said(0, 50, 39, 30_000))
    assert room(one, "a") == 39


def test_limits_are_learned_lowered_at_once_and_raised_after_a_window(desk: Callable[..., Desk]) -> None:
    one = desk()

    def hear(limit: int) -> None:
        one.ask("h:0:0")
        one.settle("h:0:0", 0, 0, *said(0, limit, limit, 0))

    hear(30)
    assert room(one, "a") == 29
    hear(10)
    assert room(one, "b") == 8
    hear(40)
    assert room(one, "c") == 7
    one.clock.pass_s(64)
    hear(40)
    assert room(one, "d") == 39


def test_input_and_output_together_are_limited_where_the_server_says_so(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.ask("a:10:10")
    one.settle("a:10:10", 10, 10, *said(3, 1000, 980, 60_000))
    assert one.ask("b:500:490")[0] == "wait"
    one.leave("b:500:490")
    assert one.ask("b:500:480")[0] == "granted"


def test_a_429_closes_the_class_until_then(desk: Callable[..., Desk]) -> None:
    one = desk(requests=50)
    one.ask("a:100:100")
    one.settle("a:100:100", 0, 0, closed_ms=20_000)
    assert one.ask("b:1:1")[:2] == ("closed", 20_000)
    one.clock.pass_s(20)
    assert one.ask("b:1:1")[0] == "granted"


def test_a_question_larger_than_a_window_never_fits_and_a_longer_answer_goes_out_alone(
    desk: Callable[..., Desk],
) -> None:
    one = desk(input=1000, output=500)
    assert one.ask("a:1001:1")[0] == "never"
    assert one.ask("b:1:9000")[0] == "granted"
    assert one.ask("c:1:1")[0] == "wait"
    one.settle("b:1:9000", 1, 100)
    assert one.ask("c:1:1")[0] == "granted"


@pytest.mark.parametrize(("size", "before", "others"), [(700, 5, 3), (400, 10, 1), (900, 10, 1), (1000, 3, 0)])
def test_a_big_request_does_not_starve_behind_small_ones(
    desk: Callable[..., Desk], size: int, before: int, others: int
) -> None:
    """Small ones ask ten times as often as they could go; the big one gets its turn within a window and a bit."""
    one = desk(input=1000)
    for n in range(before):
        one.ask(f"first{n}:100:1")
        one.settle(f"first{n}:100:1", 100, 1)
    one.clock.pass_s(1)
    since, n, passed = one.clock.now, 0, 0
    while one.ask(f"big:{size}:1")[0] != "granted":
        for _ in range(5):
            one.clock.pass_s(0.1)
            if one.ask(f"small{n}:100:1")[0] == "granted":
                one.settle(f"small{n}:100:1", 100, 1)
                passed += 1
            else:
                one.leave(f"small{n}:100:1")
            n += 1
        assert one.clock.now - since <= 64 * SECOND
    assert passed == others, "room that it does not need is used meanwhile, and no other"


def test_a_big_request_with_little_patience_gets_its_turn_when_it_comes_back(desk: Callable[..., Desk]) -> None:
    """It waits 20 s at a time. While it is away small ones would use up whatever comes free, and it would wait for ever."""
    one = desk(input=1000)
    n = visits = 0

    def small(seconds: int) -> None:
        nonlocal n
        for _ in range(seconds // 5):
            one.clock.pass_s(5)
            if one.ask(f"small{n}:100:1")[0] == "granted":
                one.settle(f"small{n}:100:1", 100, 1)
            else:
                one.leave(f"small{n}:100:1")
            n += 1

    def visit(name: str) -> bool:
        for _ in range(4):
            if one.ask(name)[0] == "granted":
                return True
            small(5)
        one.leave(name, 60)
        return False

    small(70)
    while not visit(f"v{visits}:950:1"):
        visits += 1
        small(30)
        assert visits <= 4


@pytest.mark.parametrize("phase", [0, 1, 500, 999])
def test_a_call_may_travel_for_two_seconds(desk: Callable[..., Desk], phase: int) -> None:
    """The next one may be there at once, and still not in the same 60 s."""
    one = desk(requests=1)
    one.clock.now += phase
    assert one.ask("a:1:1")[0] == "granted"
    wait = one.ask("b:1:1")[1]
    assert 62_000 <= wait <= 63_000
    one.clock.now += wait - 1
    assert one.ask("b:1:1")[0] == "wait"
    one.clock.now += 1
    assert one.ask("b:1:1")[0] == "granted"


def test_a_long_answer_counts_until_a_window_after_its_end(desk: Callable[..., Desk]) -> None:
    """Nobody knows when in the call its tokens were counted."""
    one = desk(output=1000)
    assert one.ask("a:1:1000")[0] == "granted"
    one.clock.pass_s(50)
    one.settle("a:1:1000", 1, 800)
    one.clock.pass_s(20)
    assert one.ask("b:1:200")[0] == "granted"
    one.settle("b:1:200", 1, 0)
    assert one.ask("c:1:201")[0] == "wait"
    one.clock.pass_s(43)
    assert one.ask("c:1:201")[0] == "granted"


@given(
    waiters=st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 600)), min_size=1, max_size=3),
    others=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 200), st.integers(0, 10)), min_size=1, max_size=12),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_waits_for_ever(waiters: list[tuple[int, int]], others: list[tuple[int, int, int]], client: Any) -> None:
    """Whoever asks every second is served within a window and the longest call of each one ahead, whatever others do."""
    client.flushall()
    one = Desk(client, requests=20, input=1000, output=600, concurrency=3)
    left = {f"w{at}:{input}:{output}": 0 for at, (input, output) in enumerate(waiters)}
    ends: dict[int, list[tuple[str, int, int]]] = {}
    second, patience = 0, (64 + 11) * (len(waiters) + 1)
    while left:
        for permit, input, output in ends.pop(second, []):
            one.settle(permit, input, output)
        for at in range(3):
            input, output, lasts = others[(second + at) % len(others)]
            permit = f"o{second}x{at}:{input}:{output}"
            if one.ask(permit)[0] == "granted":
                ends.setdefault(second + 1 + lasts, []).append((permit, input, output))
            else:
                one.leave(permit)
        for permit in list(left):
            if one.ask(permit)[0] == "granted":
                _, input, output = permit.split(":")
                ends.setdefault(second + 5, []).append((permit, int(input), int(output)))
                del left[permit]
        one.clock.pass_s(1)
        second += 1
        assert second <= patience, left


def test_who_waits_and_dies_is_forgotten(desk: Callable[..., Desk]) -> None:
    one = desk(input=1000)
    one.ask("a:900:1")
    one.settle("a:900:1", 900, 1)
    assert one.ask("dead:950:1")[0] == "wait"
    one.clock.pass_s(1)
    assert one.ask("b:60:1")[0] == "wait", "its room is kept"
    one.leave("b:60:1")
    one.clock.pass_s(10)
    assert one.ask("b:60:1")[0] == "granted"
