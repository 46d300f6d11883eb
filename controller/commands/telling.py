"""Log records and boards in words a person reads in one line each. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from blackboard.board import Board
from blackboard.entries import Activation, Header, is_rival, is_shadow, level_of, plain_name
from blackboard.errors import UsageError
from blackboard.events import LogRecord
from blackboard.replay import Diff
from blackboard.writing import referred
from controller.kin import children_of
from controller.modelwork import done_by
from controller.why import waiting

NAMED = 4
"""Keys that a line names one by one."""


def line_of(record: LogRecord, began: int) -> str:
    """`revision  seconds since the board began  type  by  what happened`."""
    at = f"{(record.at - began) / 1000:9.3f}s"
    return f"{record.id:>7}  {at}  {record.type:<22}  {record.by:<15}  {what(record)}".rstrip()


def what(record: LogRecord) -> str:
    """What a record did: entries with their versions, activations, reasons."""
    words = [_entries(record.entries), _activations(record), _head(record), _body(record)]
    return "; ".join(word for word in words if word)


def _entries(entries: Mapping[str, str]) -> str:
    shown = []
    for key, text in list(entries.items())[:NAMED]:
        header = Header.parse(text)
        mark = "" if header.live else "-"
        sure = f" ({header.confidence:g})" if header.live and header.confidence < 1 else ""
        shown.append(f"{mark}{key}@{header.version}{sure}")
    more = f" and {len(entries) - NAMED} more" if len(entries) > NAMED else ""
    return ", ".join(shown) + more


def _activations(record: LogRecord) -> str:
    if not record.agenda:
        return ""
    found = [Activation.parse(id, stored) for id, stored in record.agenda.items()]
    if len(found) <= NAMED:
        epoch = [f", epoch {each.epoch}" if each.epoch > 1 else "" for each in found]
        return ", ".join(
            f"{each.data['source']} on {each.data['binding']} {each.status}{late}"
            for each, late in zip(found, epoch, strict=True)
        )
    counted = Counter((each.data["source"], each.status) for each in found)
    return ", ".join(f"{source} {status} x{n}" for (source, status), n in counted.items())


def _head(record: LogRecord) -> str:
    if record.revision == 1:
        return str(record.head.get("filename", "")) or "no file name"
    return ", ".join(
        f"{name} {value}" for name, value in record.head.items() if name in ("status", "cancel", "approved")
    )


def _call(said: Mapping[str, Any]) -> str:
    """A call of a model: for whom, what came of it, what it took."""
    whose = f"{said.get('source', '')} on {said.get('binding', '')} asked {said.get('model', '')}".strip()
    prompt = f" ({said['prompt']})" if said.get("prompt") else ""
    tokens = {name: int(count) for name, count in (said.get("tokens") or {}).items()}
    cached = tokens.get("cache_read", 0)
    words = [str(said.get("outcome", "")) + (f" ({_short(said['failure'])})" if said.get("failure") else "")]
    if total := tokens.get("input", 0) + cached + tokens.get("cache_write", 0):
        words.append(f"{total:,} tokens in" + (f" ({cached:,} of them cached)" if cached else ""))
    if tokens.get("output"):
        words.append(f"{tokens['output']:,} out")
    if said.get("outcome") not in ("cache", "recording"):
        words.append("cost unknown" if said.get("usd") is None else f"${said['usd']:g}")
    if said.get("saved_usd"):
        words.append(f"${said['saved_usd']:g} saved")
    return f"{whose}{prompt}: {', '.join(words)}"


def _body(record: LogRecord) -> str:
    said = record.say()
    if record.type == "llm.called":
        return _call(said)
    error = said.get("error")
    if isinstance(error, dict):
        return str(error.get("message", ""))
    outcome = record.head.get("outcome")
    if outcome:
        return str(orjson.loads(outcome).get("reason", ""))
    return ", ".join(f"{name} {_short(value)}" for name, value in said.items() if name != "worker" and value)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"


def clock(at: str | int) -> str:
    """Milliseconds since 1970 as a date and time in UTC."""
    return datetime.fromtimestamp(int(at) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def outcome_of(head: Mapping[str, str]) -> dict[str, Any]:
    """The controller's last word on a board; empty while it is open."""
    found = orjson.loads(head.get("outcome") or b"{}")
    return found if isinstance(found, dict) else {}


def summary_of(board: Board, last: int) -> list[tuple[str, str]]:
    """A board's head as lines of a small table."""
    head, outcome = board.head, outcome_of(board.head)
    rows = [("board", board.id), ("status", f"{board.status}: {outcome['reason']}" if outcome else board.status)]
    rows.append(("revision", f"{board.revision} of {last}"))
    for name in ("filename", "parent", "opened_by", "goal", "hold", "cancel"):
        if head.get(name):
            rows.append((name, head[name]))
    if "created" in head:
        rows.append(("created", clock(head["created"])))
    if "ended" in head:
        rows.append(("took", f"{(int(head['ended']) - int(head['created'])) / 1000:.2f} s"))
    rows += [
        ("part", " ".join((child.filename or child.name, child.status, child.board, child.title)).rstrip())
        for _, child in children_of(board).values()
    ]
    for source, row in outcome.get("shadow", {}).items():
        states = Counter(row.values())
        rows.append(("shadow", f"{plain_name(source)}: " + ", ".join(f"{n} {state}" for state, n in states.items())))
    if outcome.get("disputes"):
        rows.append(("disputes", str(outcome["disputes"])))
    rows += [
        ("degraded", f"{each['source']} on {each['binding']}: {each['reason']}") for each in outcome.get("degraded", ())
    ]
    if work := models_of(board, outcome):
        rows.append(("models", models_line(work)))
    if not outcome:
        rows += [
            ("waits", f"{each.data['source']} on {each.data['binding']} {waiting(each.data)}")
            for each in sorted(map(Activation.parse, board.agenda, board.agenda.values()), key=lambda each: each.id)
            if "deferred" in each.data and "retry_at" in each.data
        ]
    return rows


def models_of(board: Board, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What models did, so far or in all; empty where they were not asked for."""
    if "models" in outcome:
        return dict(outcome["models"])
    policy = orjson.loads(board.head.get("policy") or "{}")
    if policy.get("models", "off") == "off":
        return {}
    return {"mode": policy["models"], **done_by(map(Activation.parse, board.agenda, board.agenda.values()))}


def models_line(work: Mapping[str, Any]) -> str:
    """The mode, the steps that models did, what they cost, and what was avoided."""
    mode = work["mode"]
    words = [mode if isinstance(mode, str) else ", ".join(f"{level} {how}" for level, how in mode.items())]
    words.append(_steps(work["steps"]))
    if work["calls"] or work["kept"]:
        kept = f" and {work['kept']} kept answers" if work["kept"] else ""
        words.append(f"{_count(work['calls'], 'call')}{kept}, {work['tokens']:,} tokens, {work['usd']:.4f} USD")
    avoided = work.get("avoided", {})
    if avoided.get("steps"):
        words.append(f"avoided: {_steps(avoided['steps'])}, about {avoided['usd']:.4f} USD")
    return "; ".join(words)


def _steps(steps: Mapping[str, int]) -> str:
    named = ", ".join(f"{source} {count}" for source, count in steps.items())
    return f"{_count(sum(steps.values()), 'step')}{f' ({named})' if named else ''}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def in_space(board: Board, space: str) -> Board:
    """The board with the entries of one space alone. Raises UsageError for a space there is not."""
    if space not in ("", "shadow"):
        raise UsageError(f"there is no space {space!r}", hint="leave --space out, or say shadow")
    aside = space == "shadow"
    entries = {key: text for key, text in board.entries.items() if is_shadow(key) == aside}
    values = {key: value for key, value in board.values.items() if is_shadow(key) == aside}
    return replace(board, entries=entries, values=values)


def entry_rows(board: Board) -> list[tuple[str, ...]]:
    """Every entry as `key, version, confidence, owner, size`, tombstones included."""
    rows: list[tuple[str, ...]] = []
    for key in sorted(board.entries):
        header = Header.parse(board.entries[key])
        state = f"{header.size:,} B" if header.live else "retracted"
        pinned = f"{header.owner} (pinned)" if header.pinned else header.owner
        rows.append((key, f"v{header.version}", f"{header.confidence:g}" if header.live else "", pinned, state))
    return rows


def dead_letters(board: Board) -> list[dict[str, Any]]:
    """Activations that failed for good: what, how often it was tried, and why."""
    found = []
    for id in sorted(board.agenda):
        activation = Activation.parse(id, board.agenda[id])
        if activation.status == "failed" and activation.data.get("dead"):
            data = activation.data
            found.append(
                {
                    "activation": id,
                    "source": data["source"],
                    "binding": data["binding"],
                    "attempts": data.get("attempts", 1),
                    "error": data.get("error", {}),
                }
            )
    return found


def diff_lines(moved: Diff) -> list[str]:
    """What a step changed, a line for each entry and activation."""
    lines = []
    for change in moved.entries:
        before, after = (each.version if each else 0 for each in (change.before, change.after))
        lines.append(f"    {change.kind:<9} {change.key}  v{before} -> v{after}")
    lines += [f"    {was or 'new'} -> {now}  {id}" for id, (was, now) in moved.activations.items()]
    lines += [f"    {name}: {was} -> {_short(now)}" for name, (was, now) in moved.head.items() if moved.start]
    return lines


def board_to_json(board: Board, last: int) -> dict[str, Any]:
    """A folded board as plain data; values above 256 KiB stand as references."""
    return {
        "board": board.id,
        "status": board.status,
        "revision": board.revision,
        "last_revision": last,
        "head": board.head,
        "outcome": outcome_of(board.head),
        "entries": [_entry_to_json(board, key) for key in sorted(board.entries)],
        "activations": [_activation_to_json(board, id) for id in sorted(board.agenda)],
    }


def _entry_to_json(board: Board, key: str) -> dict[str, Any]:
    header = Header.parse(board.entries[key])
    shown: dict[str, Any] = {
        "key": key,
        "version": header.version,
        "live": header.live,
        "pinned": header.pinned,
        "confidence": header.confidence,
        "owner": header.owner,
        "activation": header.activation,
        "size": header.size,
    }
    value = board.values.get(key)
    if value is not None:
        shown["value_ref" if referred(value) else "value"] = orjson.Fragment(value)
    return shown


def _activation_to_json(board: Board, id: str) -> dict[str, Any]:
    each = Activation.parse(id, board.agenda[id])
    inputs = [f"{key}@{version}" for key, version, _ in each.inputs]
    return {"id": id, "status": each.status, "epoch": each.epoch, "inputs": inputs, **each.data}


def report_key(board: Board) -> str:
    """The key of the board's report, suggestions beside it aside; empty when there is none."""
    return next((key for key in sorted(board.values) if level_of(key) == "report" and not is_rival(key)), "")
