"""When a board adopts another version, and which."""

from __future__ import annotations

import orjson
from simulated_graphs import document_flow, upload
from simulation import Simulation

from blackboard.presence import Presence
from controller.adoption import Adoption, adoption
from controller.pinned import shadowed

ADOPT = 300_000
SOURCES = document_flow()


def waiting(*, shadow: bool = False) -> Simulation:
    """A board whose `mentions` are pending: they, or their shadow, are what it waits for."""
    versions = {source.name: source.version for source in SOURCES}
    mentions = next(source for source in SOURCES if source.name == "mentions")
    head = {"sources": orjson.dumps(versions).decode()}
    if shadow:
        head["shadow"] = '{"mentions":"1"}'
    board = Simulation(SOURCES, head=head, shadows=[shadowed(mentions)] if shadow else [])
    board.put(upload("one", "two"), "original")
    board.drain("shadow.mentions" if shadow else "mentions")
    return board


def asked(board: Simulation, workers: dict[str, tuple[str, ...]], *, last: int, later: int = ADOPT) -> Adoption | None:
    """What is adopted so much later than `mentions@1` was last served."""
    presence = Presence(board.now, workers, {"mentions@1": last} if last else {})
    return adoption(board.plan, presence, SOURCES, max(last, int(board.board.head["created"])) + later, ADOPT)


def became(found: Adoption | None, field: str = "sources") -> str | None:
    """The version of `mentions` from then on."""
    assert found is not None
    version: str | None = orjson.loads(found.commit.head[field]).get("mentions")
    return version


def test_only_when_it_has_waited_long_enough() -> None:
    board = waiting()
    served = {"w": ("mentions@2",)}
    assert asked(board, served, last=board.now, later=ADOPT - 1) is None
    found = asked(board, served, last=board.now)
    assert became(found) == "2" and found is not None
    assert found.commit.revision == board.plan.revision
    assert (found.left, found.running) == ((("mentions", "1"),), ())
    # Never served at all: the board's own age counts.
    assert asked(board, served, last=0, later=ADOPT - 1) is None
    assert became(asked(board, served, last=0)) == "2"


def test_not_while_anybody_serves_it_nor_when_nobody_serves_any() -> None:
    board = waiting()
    assert asked(board, {"a": ("mentions@2",), "b": ("mentions@1",)}, last=1, later=10 * ADOPT) is None
    assert asked(board, {"a": ("pages@7",)}, last=1, later=10 * ADOPT) is None
    assert asked(board, {}, last=1, later=10 * ADOPT) is None


def test_which_version_it_is() -> None:
    board = waiting()
    assert became(asked(board, {"a": ("mentions@3",), "b": ("mentions@2",), "c": ("mentions@2",)}, last=5)) == "2"
    assert became(asked(board, {"a": ("mentions@3",), "b": ("mentions@2",)}, last=5)) == "3"


def test_what_the_code_at_hand_has_goes_first() -> None:
    board = waiting()
    for activation in board.plan.under_way.values():
        activation.data = {**activation.data, "version": "0"}
    board.plan.head["sources"] = board.plan.head["sources"].replace('"mentions":"1"', '"mentions":"0"')
    presence = Presence(board.now, {"a": ("mentions@2",), "b": ("mentions@2",), "c": ("mentions@1",)}, {})
    assert became(adoption(board.plan, presence, SOURCES, board.now + 10 * ADOPT, ADOPT)) == "1"


def test_what_runs_is_named() -> None:
    board = waiting()
    running = sorted(board.under_way)[0]
    board.claim(running)
    found = asked(board, {"a": ("mentions@2",)}, last=5)
    assert found is not None and found.running == (running,)


def test_a_shadow_takes_another_version_or_is_left_out() -> None:
    board = waiting(shadow=True)
    assert became(asked(board, {"a": ("mentions@2",)}, last=5), "shadow") == "2"
    found = asked(board, {"a": ("pages@1",)}, last=5)
    assert became(found, "shadow") is None
    assert found is not None and "sources" not in found.commit.head
    assert found.commit.body["left_out"] == [{"source": "shadow.mentions", "from": "1"}]
