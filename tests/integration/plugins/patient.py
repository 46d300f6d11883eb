"""A third party's source that waits for a file to be gone: as one waits for a server that is away."""

from __future__ import annotations

from blackboard import Each, Level, SourceSettings, Upload, knowledge_source
from blackboard.errors import Deferred


class PatientSettings(SourceSettings):
    """How often it waits before it works."""

    times: int = 3


class Waited(Level):
    """It did work."""

    epoch: int


TRIED = {"times": 0}


@knowledge_source(attempts=1)
async def patient(upload: Each[Upload], settings: PatientSettings) -> Waited:
    """Puts itself off a few times; its process lives on, or it would count from the start each time."""
    TRIED["times"] += 1
    if TRIED["times"] <= settings.times:
        raise Deferred("the tide is out", after_s=0.05, hint="wait")
    return Waited(epoch=TRIED["times"])
