"""The gateway over parts in memory: which model is asked, how often, what everybody hears of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from blackboard.errors import BlackboardError, Deferred, ModelFailed, SpendingCapped
from blackboard.levels import Page
from blackboard.models import Quoted, Task
from knowledge_sources.llm.calls import CallFailed, FailureKind, Reply, Request, Usage
from tests.unit.gateway_parts import USAGE, FakeRecordings, FakeTransport, Parts, reply

TASK = Task("totals", "Name the total of the invoice.")
COST = (100 * 1000 + 50 * 100 + 20 * 5000) / 1e9


class Total(BaseModel):
    """A typed answer."""

    amount: float = Field(ge=0)


GOOD = reply('{"amount": 12.5}')


def failed(kind: FailureKind, **more: object) -> CallFailed:
    return CallFailed(kind, f"it was {kind}", **more)  # type: ignore[arg-type]


async def test_an_answer_is_typed_paid_for_and_told() -> None:
    parts = Parts({"m-1": FakeTransport([GOOD])})
    assert (await parts.model.ask(Total, TASK)).amount == 12.5
    assert parts.at_rest()
    assert parts.ledger.outcomes() == ["answered"]
    assert parts.heard.usd == pytest.approx(COST)
    assert parts.heard.tokens == 170
    (said,) = parts.heard.calls
    assert (said["outcome"], said["prompt"], said["usd"]) == ("answered", TASK.version, pytest.approx(COST))
    assert Reply.unpacked(parts.heard.recordings[0] or b"") == Reply(
        "".join(GOOD.text), "end_turn", "m-1", USAGE, "req_1"
    )


async def test_the_same_question_is_asked_once() -> None:
    transport = FakeTransport([GOOD])
    parts = Parts({"m-1": transport})
    for _ in range(3):
        await parts.model.ask(Total, TASK)
    assert len(transport.seen) == 1
    assert parts.ledger.outcomes() == ["answered", "cache", "cache"]
    assert [row.saved_nano for row in parts.ledger.rows.values()][1:] == [205_000, 205_000]
    assert parts.heard.usd == pytest.approx(COST)


async def test_a_broken_server_is_tried_again_and_then_waited_for() -> None:
    down = failed("upstream-down", billed="no")
    transport = FakeTransport([down, down, GOOD])
    parts = Parts({"m-1": transport})
    assert (await parts.model.ask(Total, TASK)).amount == 12.5
    assert parts.breaker.told == [("m-1", "failed"), ("m-1", "failed"), ("m-1", "ok")]
    parts = Parts({"m-1": FakeTransport([failed("upstream-down", billed="no")])}, attempts=3)
    with pytest.raises(Deferred, match="no model answers") as caught:
        await parts.model.ask(Total, TASK)
    assert caught.value.after_s == 15.0
    assert len(parts.ledger.rows) == 3
    assert parts.at_rest()
    assert parts.caps.settled == [0, 0, 0]


async def test_the_next_model_is_asked_where_one_is_out_of_order() -> None:
    first, second = FakeTransport([failed("upstream-down")]), FakeTransport([GOOD], "http://two")
    parts = Parts({"m-1": first, "m-2": second}, attempts=2)
    assert (await parts.model.ask(Total, TASK)).amount == 12.5
    assert (len(first.seen), len(second.seen)) == (2, 1)
    assert second.seen[0].model == "m-2"
    assert parts.ledger.outcomes() == ["unknown", "unknown", "answered"]


async def test_a_model_that_may_not_be_asked_is_left_alone() -> None:
    first, second = FakeTransport([failed("config", billed="no")]), FakeTransport([GOOD], "http://two")
    parts = Parts({"m-1": first, "m-2": second})
    await parts.model.ask(Total, TASK)
    await parts.model.ask(Total, Task("other", "Name the date."))
    assert len(first.seen) == 1
    alone = Parts({"m-1": FakeTransport([failed("config", billed="no", hint="look at the key")])})
    with pytest.raises(ModelFailed) as caught:
        await alone.model.ask(Total, TASK)
    assert caught.value.hint == "look at the key"


async def test_an_answer_that_is_not_valid_is_repaired_once() -> None:
    transport = FakeTransport([reply('{"amount": -1}'), GOOD])
    parts = Parts({"m-1": transport})
    assert (await parts.model.ask(Total, TASK)).amount == 12.5
    repair = transport.seen[1].body["messages"]
    assert [turn["role"] for turn in repair] == ["user", "assistant", "user"]
    assert "amount" in repair[2]["content"][0]["text"]
    assert parts.ledger.outcomes() == ["failed", "answered"]
    # Paid for both; and kept as the answer to the question itself.
    assert parts.heard.usd == pytest.approx(2 * COST)
    await parts.model.ask(Total, TASK)
    assert len(transport.seen) == 2
    parts = Parts({"m-1": FakeTransport([reply("no JSON at all")])})
    with pytest.raises(ModelFailed, match="no answer that can be used"):
        await parts.model.ask(Total, TASK)
    assert len(parts.ledger.rows) == 2


async def test_an_answer_that_was_cut_gets_more_room() -> None:
    cut = failed("output", stop_reason="max_tokens", billed="yes", usage=Usage(100, 500))
    transport = FakeTransport([cut, GOOD])
    parts = Parts({"m-1": transport})
    await parts.model.ask(Total, TASK, max_tokens=500)
    assert [request.max_tokens for request in transport.seen] == [500, 1000]


async def test_a_refusal_is_the_answer_where_nobody_else_is_there() -> None:
    refusal = failed("output", stop_reason="refusal", billed="yes", usage=Usage(100, 5), text="no")
    transport = FakeTransport([refusal])
    with pytest.raises(ModelFailed):
        await Parts({"m-1": transport}).model.ask(Total, TASK)
    assert len(transport.seen) == 1
    second = FakeTransport([GOOD], "http://two")
    assert (await Parts({"m-1": FakeTransport([refusal]), "m-2": second}).model.ask(Total, TASK)).amount == 12.5


async def test_a_cap_is_kept_before_anything_is_sent() -> None:
    transport = FakeTransport([GOOD])
    parts = Parts({"m-1": transport})
    parts.caps.cap = 1000
    with pytest.raises(SpendingCapped):
        await parts.model.ask(Total, TASK)
    assert not transport.seen
    assert parts.at_rest()
    assert not parts.ledger.rows


async def test_a_model_without_a_price_is_not_asked() -> None:
    transport = FakeTransport([GOOD])
    with pytest.raises(ModelFailed, match="nobody knows what unpriced costs"):
        await Parts({"unpriced": transport}).model.ask(Total, TASK)
    assert not transport.seen


async def test_a_question_too_long_is_refused_whole() -> None:
    transport = FakeTransport([GOOD], counts=250_000)
    parts = Parts({"m-1": transport})
    with pytest.raises(ModelFailed, match="together more than the 200,000"):
        await parts.model.ask(Total, TASK, document=[Page(number=1, text="word " * 100_000)])
    assert not transport.seen
    assert len(transport.counted) == 1


async def test_what_is_cancelled_under_way_is_settled_as_spent() -> None:
    sent = asyncio.Event()

    async def hang(_: Request) -> Reply:
        sent.set()
        await asyncio.Event().wait()
        raise AssertionError

    parts = Parts({"m-1": FakeTransport([hang])})
    asked = asyncio.create_task(parts.model.ask(Total, TASK, max_tokens=100))
    await sent.wait()
    (row,) = parts.ledger.rows.values()
    assert row.outcome == "unknown"
    asked.cancel()
    with suppress(asyncio.CancelledError):
        await asked
    (row,) = parts.ledger.rows.values()
    assert (row.outcome, row.nano) == ("unknown", parts.caps.settled[0])
    assert parts.caps.settled[0] > 100 * 5000
    assert parts.breaker.told == [("m-1", "unknown")]
    assert parts.at_rest()


async def test_a_stream_reaches_source_and_watchers() -> None:
    transport = FakeTransport([reply("one two three")])
    parts = Parts({"m-1": transport})
    assert "".join([piece async for piece in parts.model.stream(TASK)]) == "one two three"
    assert parts.heard.text == "one two three"
    assert [piece async for piece in parts.model.stream(TASK)] == ["one two three"]
    assert len(transport.seen) == 1


async def test_a_stream_that_had_begun_is_not_begun_anew() -> None:
    async def torn(_: Request) -> Reply:
        raise failed("upstream-down")

    class Torn(FakeTransport):
        async def send(self, request: Request, *, deadline_s: float, on_delta: object = None) -> Reply:
            self.seen.append(request)
            await on_delta("half of")  # type: ignore[operator]
            return await torn(request)

    transport, second = Torn(), FakeTransport([GOOD], "http://two")
    parts = Parts({"m-1": transport, "m-2": second})
    seen = []
    with pytest.raises(Deferred):
        async for piece in parts.model.stream(TASK):
            seen.append(piece)
    assert (seen, len(transport.seen), len(second.seen)) == (["half of"], 1, 0)
    assert parts.at_rest()


async def test_a_stream_left_early_ends_its_call() -> None:
    async def endless(_: Request) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    class Endless(FakeTransport):
        async def send(self, request: Request, *, deadline_s: float, on_delta: object = None) -> Reply:
            await on_delta("and so on")  # type: ignore[operator]
            return await endless(request)

    parts = Parts({"m-1": Endless()})
    stream = parts.model.stream(TASK)
    assert await anext(stream) == "and so on"
    await stream.aclose()  # type: ignore[attr-defined]
    assert parts.at_rest()
    assert parts.ledger.outcomes() == ["unknown"]


async def test_recordings_answer_without_a_model() -> None:
    recorder = FakeRecordings()
    parts = Parts({"m-1": FakeTransport([GOOD])}, recorder)
    await parts.model.ask(Total, TASK)
    replaying = Parts({}, FakeRecordings({recorder.put_[0]: GOOD}))
    assert (await replaying.model.ask(Total, TASK)).amount == 12.5
    assert replaying.ledger.outcomes() == ["recording"]
    with pytest.raises(ModelFailed, match="never recorded"):
        await replaying.model.ask(Total, TASK, "And in euro?")


PAGES = [Page(number=n, text=f"This is page {n} of the agreement. " * 40) for n in range(1, 21)]


async def test_every_question_about_a_document_begins_with_the_same_bytes() -> None:
    transport = FakeTransport([GOOD])
    parts = Parts({"m-1": transport})
    await parts.model.ask(Total, TASK, document=PAGES)
    await parts.model.ask(Total, Task("dates", "When?"), "Page 3 only.", Quoted("Claims", "It is due."), document=PAGES)
    import orjson

    prefixes = set()
    for request in transport.seen:
        content = request.body["messages"][0]["content"]
        (mark,) = (at for at, block in enumerate(content) if "cache_control" in block)
        assert mark == 19
        prefixes.add(orjson.dumps([request.body["system"], content[: mark + 1]]))
    assert len(prefixes) == 1
    assert len({request.digest for request in transport.seen}) == 2


async def test_one_question_goes_ahead_with_a_new_document() -> None:
    under_way = []
    most = 0
    first = asyncio.Event()

    async def slow(_: Request) -> Reply:
        nonlocal most
        under_way.append(1)
        most = max(most, len(under_way))
        if not first.is_set():
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(under_way) == 1, "the others wait for the first"
            first.set()
        await asyncio.sleep(0.01)
        under_way.pop()
        return GOOD

    parts = Parts({"m-1": FakeTransport([slow])})
    await asyncio.gather(*(parts.model.ask(Total, TASK, f"Page {n}.", document=PAGES) for n in range(6)))
    assert most == 5


KINDS: tuple[FailureKind, ...] = ("upstream-down", "throttled", "budget", "config", "request", "output", "transient")
TROUBLE = st.builds(
    failed,
    st.sampled_from(KINDS),
    billed=st.sampled_from(["no", "yes", "unknown"]),
    usage=st.none() | st.just(USAGE),
    retry_after_s=st.none() | st.floats(0, 100),
    stop_reason=st.sampled_from(["", "refusal", "max_tokens"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TROUBLE | st.just(GOOD) | st.just(reply("nonsense")), min_size=1, max_size=8), st.integers(1, 3))
async def test_whatever_happens_nothing_is_held_and_the_books_agree(says: list[object], servers: int) -> None:
    transports = {f"m-{n}": FakeTransport(says[n:] or says, f"http://{n}") for n in range(servers)}  # type: ignore[arg-type]
    parts = Parts(transports, attempts=3)
    for n in range(3):
        with suppress(BlackboardError):
            await parts.model.ask(Total, TASK, f"Page {n}.")
    assert parts.at_rest()
    calls = sum(len(transport.seen) for transport in transports.values())
    rows = [row for row in parts.ledger.rows.values() if row.outcome not in ("cache", "recording")]
    assert len(rows) == calls
    assert sum(row.nano or 0 for row in rows) == sum(parts.caps.settled)
    assert parts.heard.usd == pytest.approx(sum(row.nano or 0 for row in rows) / 1e9, abs=1e-7)
    assert len(parts.heard.calls) == len(parts.ledger.rows)
