"""A server that speaks the Messages wire format, on loopback: what the real client is tested against, over real HTTP.

    async with serving() as server:                      # or the fixture `model_server`
        server.script("overloaded", None, Fault(status=429, headers={"retry-after": "2"}))
        ...                                              # 529, an answer, 429; then answers
        assert [call.status for call in server.calls] == [529, 200, 429]

`python -m tests.models --port 0` is the same for tests of several processes, steered over HTTP (see `__main__`).
"""

from tests.models.faults import FAULTS, Fault
from tests.models.record import Call
from tests.models.server import ModelServer, Settings, serving

__all__ = ["FAULTS", "Call", "Fault", "ModelServer", "Settings", "serving"]
