"""Takes system calls away from a process, for good: with seccomp (Linux), without privileges.

For code that nobody here wrote. It may start threads but no process, signal nobody but itself, look into no other process,
change no file's owner or mode, open no socket of the machine's own services, and undo none of what was taken away before.
A list of what is forbidden, not of what is allowed: interpreters and libraries change what they call.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Iterable
from typing import NamedTuple

PR_SET_SECCOMP, FILTER = 22, 2
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Operations of classic BPF; jumps compare the accumulator with a constant."""
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Places in what the kernel shows the filter."""
CLONE_THREAD = 0x10000
X32 = 0x40000000
"""Numbers from here on are another calling convention of the same machine."""
AF_UNIX, AF_PACKET, AF_VSOCK = 1, 17, 40
PRCTL_UNDOING = (1, 4, 35, 0x59616D61)
"""Death signal, dumpability, memory map, tracer."""
FCNTL_SIGNALS = (8, 10, 15)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: they make the kernel signal any process of the same user."""
IOCTL_SIGNALS = (0x8901, 0x8902, 0x5412)
"""FIOSETOWN, SIOCSPGRP, TIOCSTI."""

SAME_EVERYWHERE = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsmount": 432, "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438,
    "process_madvise": 440, "mount_setattr": 442, "memfd_secret": 447, "fchmodat2": 452, "setxattrat": 463,
    "removexattrat": 466, "file_setattr": 469,
}  # fmt: skip
X86_64 = {
    "ioctl": 16, "shmget": 29, "shmat": 30, "shmctl": 31, "socket": 41, "clone": 56, "fork": 57, "vfork": 58,
    "execve": 59, "kill": 62, "semget": 64, "msgget": 68, "fcntl": 72, "truncate": 76, "chmod": 90, "fchmod": 91,
    "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101, "rt_sigqueueinfo": 129, "setpriority": 141,
    "sched_setparam": 142, "sched_setscheduler": 144, "pivot_root": 155, "prctl": 157, "chroot": 161, "mount": 165,
    "umount2": 166, "swapon": 167, "reboot": 169, "init_module": 175, "setxattr": 188, "lsetxattr": 189,
    "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "tkill": 200,
    "sched_setaffinity": 203, "tgkill": 234, "mq_open": 240, "kexec_load": 246, "add_key": 248, "request_key": 249,
    "keyctl": 250, "ioprio_set": 251, "fchownat": 260, "fchmodat": 268, "unshare": 272, "rt_tgsigqueueinfo": 297,
    "perf_event_open": 298, "prlimit64": 302, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "sched_setattr": 314, "memfd_create": 319, "bpf": 321,
    "execveat": 322, "userfaultfd": 323,
}  # fmt: skip
GENERIC = {
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "fcntl": 25, "ioctl": 29, "ioprio_set": 30, "umount2": 39, "mount": 40, "pivot_root": 41, "truncate": 45,
    "chroot": 51, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55, "unshare": 97, "kexec_load": 104,
    "init_module": 105, "ptrace": 117, "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122,
    "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "setpriority": 140, "reboot": 142, "prctl": 167,
    "mq_open": 180, "msgget": 186, "semget": 190, "shmget": 194, "shmctl": 195, "shmat": 196, "socket": 198,
    "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "execve": 221, "swapon": 224,
    "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "prlimit64": 261, "open_by_handle_at": 265, "setns": 268,
    "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "sched_setattr": 274,
    "memfd_create": 279, "bpf": 280, "execveat": 281, "userfaultfd": 282,
}  # fmt: skip
MACHINES = {
    "x86_64": (0xC000003E, X86_64),
    "aarch64": (0xC00000B7, GENERIC),
    "riscv64": (0xC00000F3, GENERIC),
}
"""Machine -> its number for the kernel's audit, and the numbers of its system calls."""


class Step(NamedTuple):
    """One instruction: operation, steps to skip when it holds and when it does not, constant."""

    operation: int
    constant: int
    yes: int = 0
    no: int = 0


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Filter)))


def forbid(*, network: bool) -> bool:
    """Refuse this process what code of a third party must not call. Whether the system could do it.

    Needs PR_SET_NO_NEW_PRIVS to be set, and holds for this thread and those it starts.
    """
    machine = MACHINES.get(platform.machine())
    if not sys.platform.startswith("linux") or machine is None:
        return False
    steps = program(*machine, network=network, own=os.getpid())
    kept = (_Filter * len(steps))(*(_Filter(step.operation, step.yes, step.no, step.constant) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(_Program(len(steps), kept)), 0, 0) == 0)


def program(architecture: int, numbers: dict[str, int], *, network: bool, own: int) -> list[Step]:
    """The filter. `own`: the process's own id, the only one it may signal or limit."""
    known = {**SAME_EVERYWHERE, **numbers}
    refuse = Step(RETURN, REFUSE | errno.EPERM)
    steps = [
        *(Step(LOAD, ARCHITECTURE), Step(EQUAL, architecture, yes=1), refuse),
        Step(LOAD, NUMBER),
        *(Step(AT_LEAST, X32, no=1), refuse),
        # The C library then asks for a thread with `clone`, whose flags can be seen from here.
        *(Step(EQUAL, known.pop("clone3"), no=1), Step(RETURN, REFUSE | errno.ENOSYS)),
        *_when(known.pop("clone"), 0, [Step(ANY_BIT, CLONE_THREAD, no=1), Step(RETURN, ALLOW), refuse]),
        *_only(known.pop("kill"), 0, (own, 0)),
        *_only(known.pop("tgkill"), 0, (own,)),
        *_only(known.pop("prlimit64"), 0, (own, 0)),
        *_never(known.pop("prctl"), 0, PRCTL_UNDOING),
        *_never(known.pop("fcntl"), 1, FCNTL_SIGNALS),
        *_never(known.pop("ioctl"), 1, IOCTL_SIGNALS),
    ]
    if network:
        steps += _never(known.pop("socket"), 0, (AF_UNIX, AF_PACKET, AF_VSOCK))
    for number in sorted(known.values()):
        steps += [Step(EQUAL, number, no=1), refuse]
    return [*steps, Step(RETURN, ALLOW)]


def _when(number: int, argument: int, then: list[Step]) -> list[Step]:
    """`then`, with the low half of an argument loaded, where the call has this number. It must end with a return."""
    return [Step(EQUAL, number, no=len(then) + 1), Step(LOAD, ARGUMENTS + 8 * argument), *then]


def _only(number: int, argument: int, allowed: Iterable[int]) -> list[Step]:
    found = [step for value in allowed for step in (Step(EQUAL, value, no=1), Step(RETURN, ALLOW))]
    return _when(number, argument, [*found, Step(RETURN, REFUSE | errno.EPERM)])


def _never(number: int, argument: int, refused: Iterable[int]) -> list[Step]:
    found = [step for value in refused for step in (Step(EQUAL, value, no=1), Step(RETURN, REFUSE | errno.EPERM))]
    return _when(number, argument, [*found, Step(RETURN, ALLOW)])
