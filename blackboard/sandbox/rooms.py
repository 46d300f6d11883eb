"""Private temporary folders of guests' processes: made for one child, gone with it, and swept up after a worker that died."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tempfile
from asyncio.subprocess import DEVNULL
from pathlib import Path

PREFIX = "blackboard-guest-"
MOST_FILES = 1000


class Room:
    """One folder. A lock on it says that its worker lives: it goes with the worker, however that ends."""

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls) -> Room:
        """A new folder that nobody else may enter. Raises OSError."""
        path = tempfile.mkdtemp(prefix=PREFIX)
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return cls(path, lock)

    def is_over(self, most_bytes: int) -> bool:
        """Whether it holds more than so many bytes or `MOST_FILES` files and folders. Looks no further than it must."""
        files, size, folders = 0, 0, [self.path]
        while folders:
            with contextlib.suppress(OSError), os.scandir(folders.pop()) as found:
                for entry in found:
                    files += 1
                    with contextlib.suppress(OSError):
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
                    if files > MOST_FILES or size > most_bytes:
                        return True
        return False

    async def remove(self) -> None:
        """Remove it with all it holds. Idempotent."""
        # Not shutil.rmtree: folders nested a thousand deep are more than its recursion takes.
        process = await asyncio.create_subprocess_exec("rm", "-rf", "--", self.path, stdout=DEVNULL, stderr=DEVNULL)
        await process.wait()
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def _rooms() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


async def sweep() -> None:
    """Remove the folders whose workers are gone."""
    for path in await asyncio.to_thread(_rooms):
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            # Nobody else's: on a shared /tmp anyone may give a folder this name.
            if os.fstat(lock).st_uid != os.getuid():
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            room, lock = Room(str(path), lock), -1
            await room.remove()
        except OSError:
            continue
        finally:
            if lock >= 0:
                os.close(lock)
