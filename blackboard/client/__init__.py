"""The client of a Blackboard service over HTTP, with an event loop and without: the same methods, the same answers.

    with Blackboard("https://blackboard.example.org") as bb:
        board = bb.submit("contract.pdf", goal="summary,verdict")
        for event in board.events():
            print(event.type)
        print(board.report().report)

Errors are those of blackboard.errors, the very classes that the service raised.
"""

from blackboard.client.aio.boards import AsyncBlackboard
from blackboard.client.aio.handle import AsyncHandle
from blackboard.client.patience import Patience
from blackboard.client.results import Board, Committed, Delivery, Entry, Key, Outcome, Report, Webhook
from blackboard.client.stream import Change, Event
from blackboard.client.submission import Options
from blackboard.client.sync.boards import Blackboard
from blackboard.client.sync.handle import Handle
from blackboard.client.writes import Put, Retract

__all__ = [
    "AsyncBlackboard",
    "AsyncHandle",
    "Blackboard",
    "Board",
    "Change",
    "Committed",
    "Delivery",
    "Entry",
    "Event",
    "Handle",
    "Key",
    "Options",
    "Outcome",
    "Patience",
    "Put",
    "Report",
    "Retract",
    "Webhook",
]
