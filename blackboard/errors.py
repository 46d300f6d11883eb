"""Every error of this project, in one tree.

BlackboardError
 +-- UsageError               the caller's words are off: a setting, an option, a file that is not there
 |    +-- ContractError       a source's signature or declaration is wrong; raised when it is defined
 |    +-- InvalidKey          a level or an entry's name breaks the grammar
 |    +-- InvalidValue        something submitted does not fit; says where
 |    +-- UrlNotAllowed       an address that this service does not go to
 +-- AccessError              the caller may not
 |    +-- Unauthorized        no key, or one that is unknown, revoked or expired
 |    +-- Forbidden           the key is good, but not for this
 +-- LimitReached             too much was asked of a service that is well: come back later
 |    +-- RateLimited         too many requests
 |    +-- TooManyStreams      too many streams at a time
 |    +-- BudgetExhausted     the tenant's tokens or money of the day are used up
 |    +-- TooManyBoards       the tenant has as many boards under way as it may
 |    +-- Overloaded          more waits for work than this service takes on
 +-- StorageError             the server cannot do what was asked
 |    +-- StorageUnavailable  it cannot be reached
 |    +-- StorageFull         it is out of memory or disk
 |    +-- OutcomeUnknown      the connection was lost while a step was under way; re-sending it is safe
 |    +-- NotDurable          too few replicas confirmed the write: it was made, and may be lost with its server
 |    +-- ServerUnfit         the server's settings or version would lose data
 +-- BoardError               a board's state forbids it
 |    +-- BoardGone           no such board
 |    +-- BoardClosed         the board has ended
 |    +-- ConflictError       a check no longer held
 |    |    +-- EntryConflict     the entry is at another version
 |    |    +-- NothingToRetry    no activation of the open board has failed for good
 |    |    +-- RequestUnderWay   somebody else is answering the same request
 |    |    +-- SourcePresent     the source is on the board already
 |    +-- FencedError         the activation is no longer this worker's
 +-- SourceError              a knowledge source failed
 |    +-- PermanentFailure    trying again cannot help
 |    |    +-- DocumentUnreadable   encrypted, corrupt, empty, or of no known type
 |    |    +-- DocumentTooComplex   over a limit, or it kills its parser
 |    |    +-- DocumentUnsafe       a DTD, an external entity, a path that climbs out
 |    |    +-- AddressRefused       the document's address leads where this service does not go
 |    |    +-- ModelFailed          a language model refused, or gave no valid answer, or none is configured
 |    |    +-- SpendingCapped       a cap on what models may cost does not allow it
 |    +-- TransientFailure    trying again may help
 |    +-- Deferred            not now: it is tried again later, and this try counts for nothing
 +-- ServiceError             a service answered what nothing here has a better name for
 +-- LogError                 a log cannot be folded: a gap, an unknown record, a value that does not fit
      +-- ReplayDiverged      fold and state, or code and record, differ

Each carries what happened (`str(error)`), and where it helps, `hint`: what to do about it. One that a service answered
with (see blackboard.client) has that answer's `slug` and `request_id`, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class BlackboardError(Exception):
    """The root. `slug` names the problem for programs; `hint` says what to do."""

    slug: str = "error"
    request_id: str = ""
    """What the service's log knows the request by that was answered so; empty where there was none."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BlackboardError):
    """The caller's words are off."""

    slug = "usage"


class ContractError(UsageError):
    """A source's signature or declaration is wrong; names the parameter and the fix."""

    slug = "contract"


class InvalidKey(UsageError):
    """A level's or an entry's name breaks the grammar."""

    slug = "invalid-key"


class InvalidValue(UsageError):
    """Something submitted does not fit. `errors`: (JSON pointer, what is wrong), never the submitted value itself."""

    slug = "validation-error"

    def __init__(self, errors: Iterable[tuple[str, str]], *, hint: str = "") -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{pointer or '/'}: {detail}" for pointer, detail in self.errors), hint=hint)


class UrlNotAllowed(UsageError):
    """An address that this service does not go to: not https, not public, or not an address at all."""

    slug = "url-not-allowed"


class AccessError(BlackboardError):
    """The caller may not."""

    slug = "forbidden"


class Unauthorized(AccessError):
    """No key, or one that is unknown, revoked or expired: which of these is not said."""

    slug = "unauthorized"


class Forbidden(AccessError):
    """The key is good, but not for this."""

    slug = "forbidden"


class LimitReached(BlackboardError):
    """Too much was asked. `after_s`: when to ask again; `headers`: what else an answer over HTTP says."""

    slug = "rate-limited"

    def __init__(
        self, message: str = "", *, after_s: float = 1.0, headers: Mapping[str, str] | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.after_s = after_s
        self.headers = dict(headers or {})


class RateLimited(LimitReached):
    """Too many requests."""

    slug = "rate-limited"


class TooManyStreams(LimitReached):
    """Too many streams at a time."""

    slug = "too-many-streams"


class BudgetExhausted(LimitReached):
    """The tenant's tokens or money of the day are used up."""

    slug = "budget-exhausted"


class TooManyBoards(LimitReached):
    """The tenant has as many boards under way as it may."""

    slug = "too-many-boards"


class Overloaded(LimitReached):
    """More waits for work than this service takes on."""

    slug = "overloaded"


class StorageError(BlackboardError):
    """The server cannot do what was asked."""

    slug = "storage"


class StorageUnavailable(StorageError):
    """The server cannot be reached."""

    slug = "storage-unavailable"


class StorageFull(StorageError):
    """The server is out of memory or disk."""

    slug = "storage-full"


class OutcomeUnknown(StorageUnavailable):
    """The connection was lost while a step was under way. Re-sending it with the same commit id is safe."""

    slug = "outcome-unknown"


class NotDurable(StorageError):
    """Too few replicas confirmed the write in time. It was made; sending it again with the same id is safe."""

    slug = "not-durable"


class ServerUnfit(StorageError):
    """The server's settings or version would lose data."""

    slug = "server-unfit"


class BoardError(BlackboardError):
    """A board's state forbids it."""

    slug = "board"


class BoardGone(BoardError):
    """No such board."""

    slug = "not-found"


class BoardClosed(BoardError):
    """The board has ended; a retry or a fork makes a new one."""

    slug = "board-ended"


class ConflictError(BoardError):
    """A commit was refused because a check no longer held. `mismatches`: which, where that was said."""

    slug = "conflict"
    mismatches: tuple[Mapping[str, Any], ...] = ()


class EntryConflict(ConflictError):
    """The entry is not at the version that was asked for. `current`: its version, 0 if it never existed."""

    slug = "precondition-failed"

    def __init__(self, key: str, current: int, *, live: bool) -> None:
        state = f"at version {current}" if live else "not there"
        super().__init__(f"{key} is {state} now", hint="read it again, then decide")
        self.current = current
        self.live = live


class NothingToRetry(ConflictError):
    """No activation of an open board has failed for good."""

    slug = "nothing-to-retry"


class RequestUnderWay(ConflictError):
    """Somebody else is answering the same request."""

    slug = "idempotency-in-progress"


class SourcePresent(ConflictError):
    """The source is on the board already, in the version there is."""

    slug = "source-present"


class FencedError(BoardError):
    """The activation belongs to another worker now."""

    slug = "fenced"


class SourceError(BlackboardError):
    """A knowledge source failed."""

    slug = "source-failed"


class PermanentFailure(SourceError):
    """Trying again cannot help."""

    slug = "source-failed"


class DocumentUnreadable(PermanentFailure):
    """The document is encrypted, corrupt, empty, or of no type that is known here."""

    slug = "document-unreadable"


class DocumentTooComplex(PermanentFailure):
    """The document is over a limit, or it kills its parser."""

    slug = "document-too-complex"


class DocumentUnsafe(PermanentFailure):
    """The document holds something that is refused on sight: a DTD, an external entity, a path that climbs out."""

    slug = "document-unsafe"


class AddressRefused(PermanentFailure):
    """The document's address is none that this service goes to, or leads on to another one."""

    slug = "url-not-allowed"


class ModelFailed(PermanentFailure):
    """A language model refused, gave no valid answer or cannot take the question, or none is configured."""

    slug = "model-failed"


class SpendingCapped(PermanentFailure):
    """A cap on what models may cost (of the board, of the tenant's day, of everybody's day) does not allow it."""

    slug = "spending-capped"


class TransientFailure(SourceError):
    """Trying again may help."""

    slug = "source-failed"


class Deferred(SourceError):
    """Not now, through no fault of the source's: it is tried again after `after_s` seconds, and this try does not count."""

    slug = "deferred"

    def __init__(self, message: str, *, after_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.after_s = after_s


def plainly(error: BaseException) -> BaseException:
    """What a group of exceptions, such as a TaskGroup raises, comes to; any other as it is.

    What failed for good decides, then what failed; where all of it was deferred, what takes longest.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    inner = [plainly(each) for each in error.exceptions]
    final = next((each for each in inner if isinstance(each, PermanentFailure)), None)
    if final is not None:
        return final
    failed = next((each for each in inner if not isinstance(each, Deferred)), None)
    return failed if failed is not None else max((each for each in inner if isinstance(each, Deferred)), key=_after)


def _after(error: Deferred) -> float:
    return error.after_s


class ServiceError(BlackboardError):
    """A service answered what nothing here has a better name for: its fault, a newer version's, or another program's."""

    slug = "internal-error"


class LogError(BlackboardError):
    """A log cannot be folded."""

    slug = "replay-invalid"


class ReplayDiverged(LogError):
    """Fold and state differ, or today's code and the record do."""

    slug = "replay-diverged"
