"""The filter of system calls, step by step, for every machine it is made for."""

from __future__ import annotations

import errno

import pytest

from blackboard.sandbox.calls import (
    ALLOW,
    ANY_BIT,
    ARCHITECTURE,
    ARGUMENTS,
    AT_LEAST,
    CLONE_THREAD,
    EQUAL,
    LOAD,
    MACHINES,
    NUMBER,
    RETURN,
    SAME_EVERYWHERE,
    Step,
    program,
)

OWN = 4711
PERMITTED, REFUSED = "permitted", "EPERM"


def verdict(steps: list[Step], architecture: int, number: int, *arguments: int) -> str:
    """What the kernel would make of a call."""
    seen = {NUMBER: number, ARCHITECTURE: architecture}
    seen |= {ARGUMENTS + 8 * place: value & 0xFFFFFFFF for place, value in enumerate(arguments)}
    accumulator, at = 0, 0
    while True:
        step = steps[at]
        assert 0 <= step.yes < 256 and 0 <= step.no < 256, "jumps are bytes"
        at += 1
        if step.operation == LOAD:
            accumulator = seen[step.constant]
        elif step.operation == RETURN:
            return PERMITTED if step.constant == ALLOW else errno.errorcode[step.constant & 0xFFFF]
        else:
            holds = {
                EQUAL: accumulator == step.constant,
                AT_LEAST: accumulator >= step.constant,
                ANY_BIT: bool(accumulator & step.constant),
            }[step.operation]
            at += step.yes if holds else step.no


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("network", [False, True])
def test_what_is_refused(machine: str, network: bool) -> None:
    architecture, numbers = MACHINES[machine]
    known = {**SAME_EVERYWHERE, **numbers}
    steps = program(architecture, numbers, network=network, own=OWN)
    assert len(steps) < 4096, "the kernel takes no longer one"

    def of(name: str, *arguments: int) -> str:
        return verdict(steps, architecture, known[name], *arguments)

    assert of("clone3") == "ENOSYS", "the C library then asks with clone"
    assert of("clone", CLONE_THREAD | 0x100) == PERMITTED
    assert of("clone", 0x11) == REFUSED
    assert [of("kill", pid) for pid in (OWN, 0, 1, -1, OWN + 1)] == [PERMITTED, PERMITTED, *[REFUSED] * 3]
    assert [of("tgkill", pid) for pid in (OWN, 1)] == [PERMITTED, REFUSED]
    assert [of("prlimit64", pid) for pid in (0, OWN, 1)] == [PERMITTED, PERMITTED, REFUSED]
    assert [of("prctl", option) for option in (1, 4, 15)] == [REFUSED, REFUSED, PERMITTED]
    assert [of("fcntl", 5, command) for command in (3, 8)] == [PERMITTED, REFUSED]
    assert [of("ioctl", 5, command) for command in (0x5401, 0x8901)] == [PERMITTED, REFUSED]
    sockets = [of("socket", family) for family in (1, 2, 10)]
    assert sockets == ([REFUSED, PERMITTED, PERMITTED] if network else [REFUSED] * 3)
    special = {"clone3", "clone", "kill", "tgkill", "prlimit64", "prctl", "fcntl", "ioctl", "socket"}
    assert {of(name, 0, 0) for name in known.keys() - special} == {REFUSED}
    assert verdict(steps, architecture, 0xFFF, 0, 0) == PERMITTED


@pytest.mark.parametrize("machine", MACHINES)
def test_another_calling_convention_is_refused(machine: str) -> None:
    architecture, numbers = MACHINES[machine]
    steps = program(architecture, numbers, network=False, own=OWN)
    assert verdict(steps, architecture ^ 1, 39) == REFUSED
    assert verdict(steps, architecture, 0x40000000 + 39) == REFUSED


def test_no_number_stands_for_two_calls() -> None:
    for _, numbers in MACHINES.values():
        known = [*SAME_EVERYWHERE.values(), *numbers.values()]
        assert len(known) == len(set(known))
