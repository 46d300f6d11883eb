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
ASK_VERSION = 1
RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
FIRST_RIGHTS = (1 << 13) - 1
"""The rights of the first version: execute, write, read, list, remove and make files of every sort."""
REFER, TRUNCATE = 1 << 13, 1 << 14
"""Moving a file to another folder (version 2), cutting it short (version 3)."""
SCOPES = 0b11
"""Abstract sockets and signals of processes outside (version 6)."""
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc", "/proc", "/sys", "/nix/store", "/opt")
GUEST_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/sys/devices/system/cpu", "/proc/self", "/proc/cpuinfo"),
    *("/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/version", "/proc/sys/kernel", "/proc/sys/vm"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/ssl", "/etc/pki", "/etc/fonts"),
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"),
)
"""What a third party's code may read of the system: no accounts, no settings or command lines of other programs."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def keep_only_code(places: Iterable[str], *, system: Iterable[str] = SYSTEM, room: str = "") -> bool:
    """Leave this process nothing but reading `places` and the system's own directories, and writing below `room`.

    Answers whether the system could do it. Needs PR_SET_NO_NEW_PRIVS to be set, and holds for this thread and those it
    starts. Files that are open already stay open.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ASK_VERSION)
    if version < 1:
        return False
    handled = FIRST_RIGHTS | (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0)
    wanted = _Ruleset(handled, 0, SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(wanted), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for place in {*places, sys.prefix, sys.base_prefix, sys.exec_prefix, *system}:
            _allow(libc, ruleset, place, EXECUTE | READ_FILE | READ_DIR)
        for device in DEVICES:
            _allow(libc, ruleset, device, READ_FILE | WRITE_FILE)
        if room:
            _allow(libc, ruleset, room, handled)
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
