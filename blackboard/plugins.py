"""One-file plug-ins: every `*.py` of a folder is imported by itself, and the sources it defines are found.

A file is a module of its own under a name drawn from its path and content: nothing is added to `sys.path`, two files of one
name do not meet, and a file that was edited is another module.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Iterable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from blackboard.contract import Source
from blackboard.errors import BlackboardError, ContractError, UsageError


def plugin_files(folders: Iterable[Path]) -> Iterator[Path]:
    """The plug-ins of the folders, in order. A name that begins with `_` or `.` is none. Raises UsageError."""
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(
                f"the plug-in folder {folder} {'is a file' if folder.exists() else 'does not exist'}",
                hint="name the folder that holds the *.py files with --plugins (or BLACKBOARD_PLUGINS)",
            )
        try:
            yield from sorted(path.resolve() for path in folder.glob("*.py") if path.name[0] not in "._")
        except OSError as error:
            raise UsageError(f"the plug-in folder {folder} cannot be read: {error.strerror or error}") from error


def load_file(path: Path) -> ModuleType:
    """Import one file. Raises whatever it raises, SystemExit too."""
    content = path.read_bytes()
    digest = hashlib.blake2b(str(path).encode() + b"\0" + content, digest_size=6).hexdigest()
    name = f"blackboard_plugin_{''.join(sign if sign.isalnum() else '_' for sign in path.stem)}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = module_from_spec(spec)
    # Models look their own module up while they are defined.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def sources_in(module: ModuleType) -> list[Source]:
    """The sources a module defines, in the order of their definition; those it merely imports are not its own.

    Raises ContractError when there is none.
    """
    given = {id(value): value for value in vars(module).values() if isinstance(value, Source)}
    found = [source for source in given.values() if source.function.__module__ == module.__name__]
    if not found:
        raise ContractError("it defines no knowledge source", hint="put @knowledge_source(...) above a function of it")
    return found


def told(error: BaseException) -> str:
    """What an import failed with, in a line: the error, the line of code it came from if that is known, the hint."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return said
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_theirs(frame.filename)]
    if frames:
        said += f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})"
    if isinstance(error, BlackboardError) and error.hint:
        said += f"; {error.hint}"
    return said


def _is_theirs(filename: str) -> bool:
    ours = str(Path(__file__).parent)
    return not filename.startswith((ours, "<frozen")) and "importlib" not in filename
