"""Takes files away from a process, for good: with Landlock (Linux 5.13), without privileges; nothing happens elsewhere.

What stays readable is what an engine is made of: code, libraries, system settings. The worker's data, and its environment
under /proc, which holds its keys, do not: Landlock also forbids looking into processes outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""System calls; the same number on every architecture."""
RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
EVERY_RIGHT = (1 << 13) - 1
"""The rights of the first version: execute, write, read, list, remove and make files of every sort."""
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc", "/proc", "/sys", "/nix/store", "/opt")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def keep_only_code(places: Iterable[str]) -> bool:
    """Leave this process nothing but reading `places` and the system's own directories. Whether the system could do it.

    Needs PR_SET_NO_NEW_PRIVS to be set. Files that are open already stay open.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = ctypes.c_uint64(EVERY_RIGHT)
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    try:
        for place in {*places, sys.prefix, sys.base_prefix, sys.exec_prefix, *SYSTEM}:
            _allow(libc, ruleset, place, EXECUTE | READ_FILE | READ_DIR)
        for device in DEVICES:
            _allow(libc, ruleset, device, READ_FILE | WRITE_FILE)
        return bool(libc.syscall(RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, place: str, rights: int) -> None:
    """A place that is not there, or is a file where rights to list it make no sense, is allowed as far as it goes."""
    with contextlib.suppress(OSError):
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined,unused-ignore]
        try:
            for granted in (rights, rights & ~READ_DIR):
                rule = _PathBeneath(granted, descriptor)
                if libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0) == 0:
                    return
        finally:
            os.close(descriptor)
