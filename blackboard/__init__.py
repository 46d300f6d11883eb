"""A shared, versioned blackboard for document analysis. An author of a knowledge source imports from here alone.

Names are loaded when they are first asked for: a program that only talks to a service (`blackboard.client`), or that only
prints its help, does not pay for what defines sources.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blackboard.contract import (
        All,
        Bid,
        Blobs,
        Boards,
        Contribution,
        Each,
        Group,
        Lookup,
        Progress,
        Source,
        SourceSettings,
        Spending,
    )
    from blackboard.entries import EntryRef
    from blackboard.errors import (
        BlackboardError,
        Deferred,
        DocumentTooComplex,
        DocumentUnreadable,
        DocumentUnsafe,
        ModelFailed,
        PermanentFailure,
        SourceError,
        SpendingCapped,
        TransientFailure,
    )
    from blackboard.levels import (
        Address,
        Child,
        Claim,
        Document,
        Entities,
        Layer,
        Level,
        Line,
        Mention,
        Mentions,
        Page,
        Passages,
        Reading,
        Report,
        Summary,
        Upload,
        Verdict,
        Where,
    )
    from blackboard.models import Excerpt, LanguageModel, Pdf, Picture, Quoted, Task
    from blackboard.signature import knowledge_source

__version__ = "0.1.0"

__all__ = [
    "Address",
    "All",
    "Bid",
    "BlackboardError",
    "Blobs",
    "Boards",
    "Child",
    "Claim",
    "Contribution",
    "Deferred",
    "Document",
    "DocumentTooComplex",
    "DocumentUnreadable",
    "DocumentUnsafe",
    "Each",
    "Entities",
    "EntryRef",
    "Excerpt",
    "Group",
    "LanguageModel",
    "Layer",
    "Level",
    "Line",
    "Lookup",
    "Mention",
    "Mentions",
    "ModelFailed",
    "Page",
    "Passages",
    "Pdf",
    "PermanentFailure",
    "Picture",
    "Progress",
    "Quoted",
    "Reading",
    "Report",
    "Source",
    "SourceError",
    "SourceSettings",
    "Spending",
    "SpendingCapped",
    "Summary",
    "Task",
    "TransientFailure",
    "Upload",
    "Verdict",
    "Where",
    "__version__",
    "knowledge_source",
]

_HOMES = {
    "contract": "All Bid Blobs Boards Contribution Each Group Lookup Progress Source SourceSettings Spending",
    "entries": "EntryRef",
    "errors": "BlackboardError Deferred DocumentTooComplex DocumentUnreadable DocumentUnsafe ModelFailed PermanentFailure "
    "SourceError SpendingCapped TransientFailure",
    "levels": "Address Child Claim Document Entities Layer Level Line Mention Mentions Page Passages Reading Report Summary "
    "Upload Verdict Where",
    "models": "Excerpt LanguageModel Pdf Picture Quoted Task",
    "signature": "knowledge_source",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """PEP 562: a name of `__all__`, from the module that defines it."""
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
