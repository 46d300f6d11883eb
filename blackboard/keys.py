"""Every Redis key with its shape, type, owner and lifetime, and nothing else.

All keys of a partition share the hash tag `{p}`, so that one script may touch them, on Redis Cluster too. The partition's
number is part of a board's id (`<partition>-<26 lower-case base32 characters>`), so changing the number of partitions
loses no board.

key                        type    holds                                             lives
`bb:{p}:b:<id>:head`       hash    revision, status, tenant, times, settings         until the board is retired
`bb:{p}:b:<id>:entries`    hash    key -> header, tombstones included                until the board is retired
`bb:{p}:b:<id>:values`     hash    key -> JSON or a blob reference; live entries     until the board is retired
`bb:{p}:b:<id>:agenda`     hash    activation -> `status|epoch|inputs|json`          until the board is retired
`bb:{p}:b:<id>:leases`     hash    activation -> `expiry|nonce|revision|at`          until the activation or the board ends
`bb:{p}:b:<id>:commits`    hash    commit id -> answer; `#notes`: how many notes;    until the board is retired
                                   `#due`: names with a due time ever set;
                                   `#once`: the requests that it answered
`bb:{p}:b:<id>:log`        stream  one record per revision, notes between            until the board is retired
`bb:{p}:b:<id>:refs`       set     SHA-256 of the blobs the board refers to          until the board is retired
`bb:{p}:b:<id>:kin`        hash    board below this top-level one -> its parent;     until the board is retired
                                   `#<parent>`, `#below`: how many there were
`bb:{p}:b:<id>:progress`   channel live progress                                     never stored
`bb:{p}:activity`          stream  which board changed                               for ever, about 10,000 records
`bb:{p}:due`               zset    `<board>|<name>` -> when to look again, ms        members: until done, or the board ends
`bb:{p}:boards:<tenant>`   zset    top-level board id -> creation, ms                members: until the board is retired
`bb:{p}:children:<tenant>` zset    child board id -> creation, ms                    members: until the board is retired
`bb:{p}:blobs`             hash    SHA-256 -> how many boards refer to the blob      fields: until none does
`bb:{p}:orphans`           zset    SHA-256 -> when nothing referred to it any more   members: until the blob is removed
`bb:{p}:doomed`            zset    blobs being removed (`going`, `by`), or removed a members: 30 s while one is removed, ten
                                   moment ago (`gone`) -> until when, ms             minutes after; the key no longer
`bb:{p}:once:<name>`       string  a request that may be sent again: `busy|<nonce>`  while it is answered: 15 s, renewed; once
                                   while it is answered, then what it made           it made a board: 24 h
`bb:lease:<name>`          string  holder of a named lease                           its time to live
`bb:{p}:idle:<board>:<activation>` string epoch of an activation that runs elsewhere  its source's idle time-out, from its
                                   under an idle time-out                            last sign of progress on
`bb:sources`               hash    source that runs elsewhere -> its registration;   fields: until the retention time after it
                                   `#edition`: counts the changes of them            was unregistered
`bb:partitions`            string  the largest number of partitions there ever was   for ever
`bb:{llm}:answer:<key>`    string an exact answer of a model, compressed               its time to live
`bb:{llm}:flight:<key>`    string who is asking a model that question                20 s, renewed
`bb:{llm}:landed:all`      stream  which of these questions somebody stopped asking   an hour after the last
`bb:{llm}:limits:<account>` hash  levels of requests and tokens, what headers said   an hour after the last call
`bb:{llm}:permits:<account>` zset calls under way -> when they are given up, ms      an hour after the last call
`bb:{llm}:queue:<account>`  zset  who waits for room -> its place in the line        an hour after the last call
`bb:{llm}:tickets:<account>` hash who waits for room -> when it is given up, ms      an hour after the last call
`bb:{llm}:breaker:<endpoint>` hash what calls came to, whether it is open            an hour after the last call
`bb:{llm}:spent:<whose>`   hash   nano-dollars settled and reserved, by whom         8 days (a day's), 30 days (a board's)
`bb:{llm}:rate:<tenant>`   hash   what a tenant spends by the minute; its pause      a day after the last call
`bb:{llm}:pauses:tenants`  zset   paused tenant -> until when, ms                    a day after the last pause ends
`bb:{llm}:ledger:<day>`    hash   call -> its line                                   90 days
`bb:{llm}:calls:<whose>`   zset   a day's or a board's calls -> when they began, ms  90 days after the last call
`bb:{llm}:sums:<whose>`    hash   a day's or a board's sums over lines of the ledger 90 days after the last call
`bb:{llm}:board:<board>`   string `erased`: what is still asked for it is not kept  a day
`bb:{llm}:probe:<server>`  string what a server was found to do                      a day
`bb:{access}:asked:keys`    hash   since when keys are asked for; first keys put in  for ever: keys once asked for
                                   place                                             are asked for from then on
`bb:{access}:key:<id>`      hash   a key without its secret: tenant, scopes, digests 30 days after it was revoked or expired
`bb:{access}:tenant:<tenant>` hash name -> id of the key that has it                 fields: until the key is revoked, or
                                                                                     another takes the name of an expired one
`bb:{access}:ids:<tenant>`  zset   a tenant's keys (`*`: all) -> when made, us       members: until a listing misses the key
`bb:{access}:bucket:<id>`   string when a key's bucket is full again, microseconds   a minute at most
`bb:{access}:pepper:drawn`  string what digests are made with, unless that is set    for ever
`bb:{access}:pepper:check`  string a digest that tells one pepper from another       for ever
`bb:{access}:pepper:cursors` string what tenants' streams seal their ids with         for ever
`bb:{access}:flight:<tenant>` zset a tenant's boards under way -> when counted, ms   members: until they have ended and there
                                                                                     is no room left; 40 days
`bb:{access}:streams:<who>` hash   process -> how many streams a key or tenant has   30 s after the last was said
                                   open there, and until when that counts, ms
`bb:{hooks}:<kind>:<name>`  see controller.webhooks: webhooks until they are deleted, deliveries for 14 days
`bb:{workers}:present`     zset    worker and what it serves -> when that lapses, ms members: the worker's heart beats on
`bb:{workers}:served`      zset    `source@version` -> when it was last served, ms   members: 30 days after that

One sorted set of boards per tenant and partition: a listing merges a page of each, newest first, and never meets another
tenant's ids.
"""

from __future__ import annotations

import re
import secrets
from base64 import b32encode
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from blackboard.errors import BoardGone

BOARD_ID = re.compile(r"(0|[1-9][0-9]{0,4})-[a-z2-7]{26}\Z")

PARTITIONS = "bb:partitions"
PRESENT = "bb:{workers}:present"
SERVED = "bb:{workers}:served"
SOURCES = "bb:sources"
BOARD_PARTS = ("head", "entries", "values", "agenda", "leases", "commits", "log", "refs", "kin")
PARTITION_PARTS = ("activity", "due", "blobs", "orphans", "doomed")

LLM_KINDS = (
    "answer", "flight", "landed", "limits", "permits", "queue", "tickets", "breaker", "spent", "rate", "pauses",
    "ledger", "calls", "sums", "board", "probe",
)  # fmt: skip

ACCESS_KINDS = ("asked", "key", "tenant", "ids", "bucket", "flight", "streams", "pepper")
HOOK_KINDS = ("hook", "tenant", "due", "delivery", "log", "edition")

PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"bb:\{{\d+\}}:b:\d+-[a-z2-7]{{26}}:({'|'.join(BOARD_PARTS)})\Z",
        rf"bb:\{{\d+\}}:({'|'.join(PARTITION_PARTS)})\Z",
        r"bb:\{\d+\}:(boards|children):.*\Z",
        r"bb:\{\d+\}:idle:\d+-[a-z2-7]{26}:.+\Z",
        r"bb:\{\d+\}:once:[0-9a-f]{32}\Z",
        r"bb:lease:.+\Z",
        r"bb:sources\Z",
        r"bb:partitions\Z",
        r"bb:\{workers\}:(present|served)\Z",
        rf"bb:\{{llm\}}:({'|'.join(LLM_KINDS)}):.+\Z",
        rf"bb:\{{access\}}:({'|'.join(ACCESS_KINDS)}):.+\Z",
        rf"bb:\{{hooks\}}:({'|'.join(HOOK_KINDS)}):.+\Z",
    )
)
"""What keys of boards look like; a test scans a server for strays."""


class Keys(NamedTuple):
    """The keys that a step on one board may touch."""

    head: str
    entries: str
    values: str
    agenda: str
    leases: str
    commits: str
    log: str
    refs: str
    kin: str
    activity: str
    due: str
    blobs: str
    orphans: str
    doomed: str
    boards: str
    once: str


def new_board_id(partition: int) -> str:
    """A fresh id with 128 random bits."""
    word = b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
    return f"{partition}-{word}"


def derived_board_id(partitions: int, *words: str) -> str:
    """The same id for the same words, as unguessable as the least guessable of them; its partition follows from them too."""
    digest = blake2b("\0".join(words).encode(), digest_size=24).digest()
    word = b32encode(digest[:16]).decode().rstrip("=").lower()
    return f"{int.from_bytes(digest[16:], 'big') % partitions}-{word}"


@lru_cache(maxsize=16384)
def partition_of(board: str) -> int:
    """The partition in a board's id. Raises BoardGone for what cannot be an id."""
    if not BOARD_ID.match(board):
        raise BoardGone(f"there is no board {board[:64]!r}")
    return int(board.partition("-")[0])


@lru_cache(maxsize=4096)
def keys_of(board: str, tenant: str = "", child: bool = False) -> Keys:
    """The keys of a board; `tenant` and `child` matter only to steps that list or unlist it.

    Raises BoardGone for a malformed id.
    """
    p = partition_of(board)
    one, all = f"bb:{{{p}}}:b:{board}:", f"bb:{{{p}}}:"
    own = {part: one + part for part in BOARD_PARTS}
    shared = {part: all + part for part in PARTITION_PARTS}
    return Keys(**own, **shared, boards=boards(p, tenant, child=child), once=once(p, ""))


def activity(partition: int) -> str:
    """The stream of a partition's changes."""
    return f"bb:{{{partition}}}:activity"


def due(partition: int) -> str:
    """The sorted set of what to look at, and when."""
    return f"bb:{{{partition}}}:due"


def boards(partition: int, tenant: str, *, child: bool = False) -> str:
    """The sorted set of a tenant's top-level boards in one partition, or of its child boards."""
    return f"bb:{{{partition}}}:{'children' if child else 'boards'}:{tenant}"


def blobs(partition: int) -> str:
    """The hash that counts the boards referring to each blob."""
    return f"bb:{{{partition}}}:blobs"


def orphans(partition: int) -> str:
    """The sorted set of blobs that nothing in this partition refers to any more."""
    return f"bb:{{{partition}}}:orphans"


def once(partition: int, name: str) -> str:
    """What a request that may be sent again came to."""
    return f"bb:{{{partition}}}:once:{name}"


def doomed(partition: int) -> str:
    """The sorted set of blobs that are being removed, or were a moment ago."""
    return f"bb:{{{partition}}}:doomed"


def progress(board: str) -> str:
    """The channel of a board's live progress."""
    return f"bb:{{{partition_of(board)}}}:b:{board}:progress"


def lease(name: str) -> str:
    """A named lease."""
    return f"bb:lease:{name}"


def idle(board: str, activation: str) -> str:
    """What is gone once an activation that runs elsewhere has shown no progress for its idle time-out."""
    return f"bb:{{{partition_of(board)}}}:idle:{board}:{activation}"


def llm(kind: str, name: str) -> str:
    """A key of what the fleet shares about models; one slot for all, so that a script may touch several."""
    assert kind in LLM_KINDS, kind
    return f"bb:{{llm}}:{kind}:{name}"


def access(kind: str, name: str) -> str:
    """A key of what is known about callers; one slot for all, so that a script may touch several."""
    assert kind in ACCESS_KINDS, kind
    return f"bb:{{access}}:{kind}:{name}"


def hooks(kind: str, name: str) -> str:
    """A key of webhooks and their deliveries; one slot for all."""
    assert kind in HOOK_KINDS, kind
    return f"bb:{{hooks}}:{kind}:{name}"
