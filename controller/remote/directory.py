"""The sources there are: those installed here, and those registered over HTTP, which every process learns of within a second.

Registrations lie on the server under an edition that counts their changes. A process asks for the edition once a second, and
at once when it meets a name that it does not know, so that no decision waits for a round trip. A source that was
unregistered stays known for as long as boards that began with it may be kept; new boards do without it.

A registration is its tenant's: nobody else sees it or its levels, has it on their boards or does its work. A shared one is
everybody's to see, and whoever operates the service does its work. Names are one space: wake-ups, presence and boards know
a source by its name alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import orjson
import structlog
from pydantic import ValidationError

from blackboard.contract import Source
from blackboard.entries import SOURCE
from blackboard.errors import BlackboardError, ConflictError, Forbidden, StorageError
from blackboard.levels import Level
from blackboard.registrations import Registrations
from blackboard.registry import Broken
from controller.access import Caller
from controller.remote.declaration import Declaration, Shapes, check_together, levels_of, source_of
from controller.remote.registration import Registration, owner_of
from controller.values import InvalidValue, known_levels

log = structlog.get_logger(__name__)

EVERY_S = 1.0
TIDY_S = 600.0
MOST = 256
"""Of one tenant, those that were unregistered lately among them."""
MOST_IN_ALL = 1024
MOST_VERSIONS = 50
RESERVED = frozenset({"controller", "submitter"})
"""Names under which others write to boards."""
WHERE = "registered over HTTP"
Listener = Callable[[frozenset[str]], None]
"""Called with the names of the sources that were added, changed or removed."""


class SourceTaken(ConflictError):
    """The name is another one's: an installed source's, or another registrant's."""

    slug = "source-taken"


class VersionTaken(ConflictError):
    """The same version was declared otherwise before."""

    slug = "version-taken"


class TooManySources(ConflictError):
    """No more sources can be registered."""

    slug = "too-many-sources"


class Directory:
    """All sources one process knows. `local`: those installed here; their names and levels come first."""

    def __init__(self, local: Sequence[Source], registrations: Registrations, *, keep_s: float) -> None:
        self.local = tuple(local)
        self._names = frozenset(source.name for source in local)
        self._levels = known_levels(local)
        self._server = registrations
        self._keep_ms = int(keep_s * 1000)
        self._shapes = Shapes()
        self._edition = -1
        self._texts: dict[str, bytes] = {}
        self._known: dict[str, Registration] = {}
        self._broken: dict[str, Broken] = {}
        self._listeners: list[Listener] = []
        self._loading = asyncio.Lock()

    @property
    def active(self) -> tuple[Source, ...]:
        """What new boards begin with, those of each tenant by `owners`."""
        return (*self.local, *(each.source for each in self._known.values() if each.unregistered is None))

    def active_of(self, tenant: str) -> tuple[Source, ...]:
        """What a tenant's new boards begin with: all that it sees."""
        return (*self.local, *(each.source for each in self._registered(tenant).values()))

    @property
    def owners(self) -> Mapping[str, str]:
        """Source -> the tenant that alone sees it; the others are everybody's."""
        return {name: each.tenant for name, each in self._known.items() if not each.declared.shared}

    @property
    def known(self) -> tuple[Source, ...]:
        """The same, and those that boards under way may have begun with."""
        return (*self.local, *(each.source for each in self._known.values()))

    @property
    def broken(self) -> tuple[Broken, ...]:
        """Registrations that do not fit the sources installed here."""
        return tuple(self._broken.values())

    def broken_of(self, tenant: str) -> frozenset[str]:
        """The names of those among them that a tenant may be told of: its own."""
        return frozenset(name for name in self._broken if owner_of(self._texts[name]) == tenant)

    def registration(self, name: str, tenant: str) -> Registration | None:
        """A registered source that the tenant sees, unless it was unregistered."""
        return self._registered(tenant).get(name)

    def _registered(self, tenant: str) -> dict[str, Registration]:
        return {name: each for name, each in self._known.items() if each.unregistered is None and each.seen_by(tenant)}

    def worked(self, name: str, caller: Caller) -> Registration | None:
        """One whose activations are this caller's to do; an unregistered one too, because boards may wait for it."""
        found = self._known.get(name)
        return found if found is not None and found.worked_by(caller) else None

    def remote(self, name: str) -> Source | None:
        """A source that runs elsewhere, an unregistered one too."""
        found = self._known.get(name)
        return None if found is None else found.source

    def listen(self, listener: Listener) -> None:
        """Call back at every change, the one under way first made."""
        self._listeners.append(listener)

    async def meet(self, names: Iterable[str]) -> None:
        """Look at once for sources that are not known yet."""
        known = {source.name for source in self.active}
        if any(name not in known for name in names):
            await self.refresh()

    async def follow(self) -> None:
        """Keep up with the server until cancelled."""
        loop, tidied = asyncio.get_running_loop(), 0.0
        while True:
            try:
                await self.refresh()
                if loop.time() >= tidied + TIDY_S:
                    tidied = loop.time()
                    await self.tidy(await self._server.now())
            except StorageError as error:
                log.debug("sources.unheard", error=str(error))
            except Exception:
                log.exception("sources.unread")
            await asyncio.sleep(EVERY_S)

    async def refresh(self) -> None:
        """Learn what changed. Raises StorageError."""
        if await self._server.edition() != self._edition:
            async with self._loading:
                self._take(*await self._server.all())

    def _take(self, edition: int, texts: Mapping[str, bytes]) -> None:
        changed = frozenset(
            name for name in self._texts.keys() | texts.keys() if self._texts.get(name) != texts.get(name)
        )
        self._edition, self._texts = edition, dict(texts)
        for name in changed:
            self._known.pop(name, None)
            self._broken.pop(name, None)
        for name in sorted(changed & texts.keys()):
            try:
                found = self._read(name, texts[name])
                check_together(found.source, self._beside(found.declared, found.tenant))
                self._known[name] = found
            except (BlackboardError, ValidationError, ValueError, KeyError) as error:
                said = "it does not fit the sources installed here" if isinstance(error, InvalidValue) else str(error)
                self._broken[name] = Broken(name, WHERE, said, "remote")
        if changed:
            for listener in self._listeners:
                listener(changed)

    def _read(self, name: str, text: bytes) -> Registration:
        if name in self._names:
            raise SourceTaken("a source of that name is installed here")
        kept: dict[str, Any] = orjson.loads(text)
        declared = Declaration.model_validate(kept["declaration"])
        schemas = {level: (each["schema"], tuple(each["named_by"])) for level, each in kept["levels"].items()}
        kinds = {level: self._kind(level, *each) for level, each in schemas.items()}
        source = source_of(name, declared, {**self._levels, **kinds}, WHERE)
        times = {word: kept[word] for word in ("registered", "changed", "versions", "unregistered")}
        return Registration(source, declared, schemas, owner_of(text), kept["registrant"], **times)

    def _kind(self, level: str, schema: Mapping[str, Any], named_by: tuple[str, ...]) -> type[Level]:
        # A level that was installed since then is the one that counts.
        return self._levels.get(level) or self._shapes.level(level, schema, named_by)

    def _beside(self, declared: Declaration, tenant: str) -> tuple[Source, ...]:
        """What stands on one board with it: what its tenant sees; with a shared one anything may."""
        return self.active if declared.shared else self.active_of(tenant)

    # -- changes -------------------------------------------------------------------------------------------------------

    async def register(
        self, name: str, declared: Declaration, *, caller: Caller, now: int
    ) -> tuple[Registration, Literal["new", "changed", "same"]]:
        """Keep a declaration. Raises Forbidden for a shared one of who does not operate the service, InvalidValue,

        SourceTaken, VersionTaken, TooManySources, StorageError.
        """
        if declared.shared and not caller.operates:
            raise Forbidden("a shared source takes the scope operate")
        if not SOURCE.match(name):
            raise InvalidValue([("", "a source's name is a lower-case word of letters, digits, _ and -")])
        while True:
            await self.refresh()
            before = self._known.get(name)
            made = self._registration(name, declared, caller, before, now)
            if before is not None and before.text() == made.text():
                return before, "same"
            if await self._put(name, made.text()):
                fresh = before is None or before.unregistered is not None
                return self._known.get(name, made), "new" if fresh else "changed"

    def _registration(
        self, name: str, declared: Declaration, caller: Caller, before: Registration | None, now: int
    ) -> Registration:
        registrant = declared.registrant or caller.person
        if name in self._names or name in RESERVED:
            raise SourceTaken("the name is an installed source's")
        if before is not None and before.tenant != caller.tenant and not (before.declared.shared and caller.operates):
            # One that was unregistered, too: boards may still wait for the source of that name.
            raise SourceTaken("the name is another tenant's")
        if before is not None and before.unregistered is None and before.registrant != registrant:
            raise SourceTaken("the name is another registrant's")
        versions = dict(before.versions) if before is not None else {}
        if versions.setdefault(declared.version, declared.contract()) != declared.contract():
            raise VersionTaken("this version was declared otherwise before", hint="give the changed source a new one")
        self._check_room(caller.tenant, before)
        others = [
            each
            for other, each in self._known.items()
            if other != name and each.unregistered is None and (declared.shared or each.seen_by(caller.tenant))
        ]
        kinds = levels_of(declared, {**self._levels, **known_levels(each.source for each in others)}, self._shapes)
        source = source_of(name, declared, kinds, WHERE)
        check_together(source, self._beside(declared, caller.tenant))
        told = {output.level: (output.shape, tuple(output.named_by)) for output in declared.outputs if output.shape}
        schemas: dict[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {}
        for level in kinds.keys() - self._levels.keys():
            theirs = [each.schemas[level] for each in others if level in each.schemas]
            shape, named_by = told[level] if level in told else theirs[0]
            assert shape is not None
            schemas[level] = (shape, named_by)
        # The latest last; the oldest are forgotten in the end.
        versions[declared.version] = versions.pop(declared.version)
        kept = dict(list(versions.items())[-MOST_VERSIONS:])
        shapes = dict(sorted(schemas.items()))
        made = Registration(source, declared, shapes, caller.tenant, registrant, now, now, kept)
        if before is not None and before.unregistered is None:
            made = replace(made, registered=before.registered)
            if replace(made, changed=before.changed).text() == before.text():
                return before
        return made

    def _check_room(self, tenant: str, before: Registration | None) -> None:
        own = sum(each.tenant == tenant for each in self._known.values())
        if before is None and (own >= MOST or len(self._known) >= MOST_IN_ALL):
            raise TooManySources(f"at most {MOST} sources can be registered")

    async def unregister(self, name: str, *, caller: Caller, now: int) -> bool:
        """Let new boards do without it. False when the caller knows of no such registration.

        Raises SourceTaken for a shared one of who does not operate the service, StorageError.
        """
        while True:
            await self.refresh()
            before = self.registration(name, caller.tenant)
            if before is None:
                return False
            if before.declared.shared and not caller.operates:
                raise SourceTaken("the source is everybody's")
            if await self._put(name, replace(before, unregistered=now).text()):
                return True

    async def tidy(self, now: int) -> None:
        """Forget what was unregistered so long ago that no board can need it. Raises StorageError."""
        for name, each in list(self._known.items()):
            if each.unregistered is not None and each.unregistered + self._keep_ms < now:
                await self._put(name, b"")

    async def _put(self, name: str, text: bytes) -> bool:
        """Whether it was kept; False: another change came first, and is known now."""
        edition = await self._server.put(name, text, edition=self._edition)
        await self.refresh()
        return edition > 0
