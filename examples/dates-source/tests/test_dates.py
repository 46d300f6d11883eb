"""On a board in memory, and once on a real server."""

from dates_source import DateMention, dates

from blackboard import Page
from blackboard.testing import Board, LiveBoard


async def test_every_date_of_every_page(board: Board) -> None:
    await board.seed(Page(number=1, text="From 2025-03-12 to 2025-04-12"), Page(number=2, text="Call 0123-45-6789"))
    await board.run(dates)
    assert [(found.page, found.iso) for found in board.values(DateMention)] == [(1, "2025-03-12"), (1, "2025-04-12")]


async def test_a_corrected_page_is_read_again(board: Board) -> None:
    await board.seed(Page(number=1, text="2025-03-12"), Page(number=2, text="2025-05-05"))
    await board.run(dates)
    await board.seed(Page(number=1, text="none"))
    await board.run(dates)
    assert [found.page for found in board.values(DateMention)] == [2]


async def test_a_document_from_end_to_end(live_board: LiveBoard) -> None:
    await live_board.analyze("Signed on 2025-03-12.", dates)
    assert live_board.status == "completed"
    assert [found.iso for found in live_board.values(DateMention)] == ["2025-03-12"]
