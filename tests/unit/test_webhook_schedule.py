"""When a delivery is tried again, what a Retry-After says, and that the scripts are what they are declared to be."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from blackboard.doors import Script
from controller.webhooks.records import Delivery, Webhook, callbacks_id, delivery_id
from controller.webhooks.schedule import MOST_WAIT_S, WAITS_S, retry_after_s, wait_s
from controller.webhooks.signing import shown
from controller.webhooks.storage import SCRIPTS

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def test_ten_attempts_in_three_days() -> None:
    waits = [wait_s(made, lambda: 0.5) for made in range(1, 10)]
    assert waits == [pytest.approx(each) for each in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)]
    assert wait_s(10, lambda: 0.5) is None


@pytest.mark.parametrize("made", range(1, 10))
def test_a_wait_is_a_tenth_longer_or_shorter(made: int) -> None:
    assert wait_s(made, lambda: 0.0) == pytest.approx(WAITS_S[made] * 0.9)
    assert wait_s(made, lambda: 1.0) == pytest.approx(WAITS_S[made] * 1.1)


def test_what_the_receiver_asks_for_is_waited_for_up_to_a_day() -> None:
    assert wait_s(1, lambda: 0.5, asked_s=60) == 60
    assert wait_s(3, lambda: 0.5, asked_s=60) == pytest.approx(1800)
    assert wait_s(1, lambda: 0.5, asked_s=1e9) == MOST_WAIT_S


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120), ("", 0), (" 7 ", 7), ("-5", 0), ("soon", 0), ("٣", 0), ("1" * 400, float("1" * 12)),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 60), ("Sat, 21 Nov 2026 11:00:00 GMT", 0), ("Sat, 99 Nov 2026", 0),
    ],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float) -> None:
    assert retry_after_s(text, NOW) == seconds


def test_ids_follow_from_what_is_told_and_to_whom() -> None:
    assert delivery_id("b", "board.failed", "wh_1") == delivery_id("b", "board.failed", "wh_1")
    assert delivery_id("b", "board.failed", "wh_1") != delivery_id("b", "board.failed", "wh_2")
    assert re.fullmatch(r"msg_[a-z2-7]{26}", delivery_id("b"))
    assert callbacks_id("acme") != callbacks_id("zen")


def test_nothing_that_is_printed_shows_a_secret() -> None:
    hook = Webhook("wh_1", "acme", "https://example.com/", secret="1.k.sealed", previous="1.k.sealed")
    assert "sealed" not in repr(hook)
    assert "body" not in repr(Delivery("msg_1", "wh_1", "wh_1", "", "webhook.test", "", "the body"))
    assert shown(bytes(24)).startswith("whsec_")


EACH = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)


@EACH
def test_the_script_is_what_it_is_declared_to_be(script: Script) -> None:
    assert script.text.startswith(f"-- {script.name}: ")
    assert script.header == {"keys": script.keys, "args": script.args}
    assert re.search(r"^-- answers: .", script.text, re.MULTILINE)
    taken = re.search(r"^local ([\w, ]+) = unpack\(KEYS\)$", script.text, re.MULTILINE)
    assert taken is not None and tuple(taken[1].split(", ")) == script.keys
    args = re.search(r"^local ([\w, ]+) = unpack\(ARGV.*\)$", script.text, re.MULTILINE)
    assert args is not None
    names = [name.replace("keep", "keep_ms").replace("lease", "lease_ms").replace("delay", "delay_ms")
             for name in args[1].split(", ")]  # fmt: skip
    assert names == [name for name in script.args if name != "fields"]
    assert "cjson" not in script.text
    assert not re.search(r"redis\.call\('\w+', *['\"]", script.text)
