"""The process between TaskFlow and one server: runs it as the right user and ends it when TaskFlow ends.

Run by its path (`python -I -S _launch.py SPEC`), so it imports the standard library only and nothing of its
package. It is a process of its own for two reasons: what happens between fork and exec must not happen in a
program with threads, and the end of its standard input, which TaskFlow holds open, is the one sign of
TaskFlow's death that works for `kill -9`, from any thread and on every system. (PR_SET_PDEATHSIG alone
follows the thread that forked. Here that is the only thread.)

SPEC is JSON: argv, cwd, env, identity (None, or kind, uid, gid), lock (a descriptor to keep open in the
server), stop (the signal that asks it to end), force (the signal that insists), grace (seconds between the
two). The first line of standard output is the server's process id. What stands on standard input before it
ends is the grace to use instead.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_AFTER_FORCE_SECONDS = 0.4


def main() -> int:
    spec = json.loads(sys.argv[1])
    wake = _wake_on(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    pid = os.fork()
    if pid == 0:
        _become_server(spec)
    if spec["lock"] is not None:
        os.ftruncate(spec["lock"], 0)
        os.pwrite(spec["lock"], b"%d\n" % pid, 0)
    os.write(1, b"%d\n" % pid)
    os.close(1)
    return _supervise(pid, spec, wake)


def _wake_on(*signals: signal.Signals) -> int:
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in signals:
        signal.signal(number, lambda *_: None)
    return readable


def _supervise(pid: int, spec: dict[str, Any], wake: int) -> int:
    """Wait for the server's end, asked for or not; its exit code in the shell's way."""
    steps: list[tuple[int, float]] | None = None
    deadline: float | None = None
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if steps is None:
            grace = _told_to_stop(wake, spec["grace"])
            if grace is not None:
                steps = [(spec["stop"], grace), (spec["force"], _AFTER_FORCE_SECONDS), (signal.SIGKILL, 60)]
                deadline = time.monotonic()
        elif deadline is not None and time.monotonic() >= deadline and steps:
            number, patience = steps.pop(0)
            os.kill(pid, number)
            deadline = time.monotonic() + patience
        else:
            select.select([wake], [], [], max(0.0, (deadline or 0) - time.monotonic()))
            _drain(wake)


def _told_to_stop(wake: int, default_grace: float) -> float | None:
    """Sleep until something happens; the grace in seconds when it means stop."""
    ready, _, _ = select.select([0, wake], [], [])
    if 0 in ready:
        text = os.read(0, 64)
        while chunk := os.read(0, 64):
            text += chunk
        return float(text or default_grace)
    return default_grace if _drain(wake) - {signal.SIGCHLD} else None


def _drain(wake: int) -> set[int]:
    return set(os.read(wake, 1024)) if select.select([wake], [], [], 0)[0] else set()


def _become_server(spec: dict[str, Any]) -> NoReturn:
    parent = os.getppid()
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        if spec["identity"] is not None:
            _take_identity(**spec["identity"])
        if sys.platform == "linux":
            # After the change of user, which clears it.
            _libc().prctl(_PR_SET_PDEATHSIG, spec["stop"], 0, 0, 0)
            if os.getppid() != parent:
                os._exit(0)
        os.chdir(spec["cwd"])
        os.execve(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - no shell is wanted
    except BaseException as error:  # noqa: BLE001 - nothing may get past the end of a forked child
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    os._exit(126)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _take_identity(kind: str, uid: int, gid: int) -> None:
    if kind == "namespace":
        _enter_namespace(uid, gid)
    else:
        _switch_account(uid, gid)


def _enter_namespace(uid: int, gid: int) -> None:
    """Be `uid` in a new user namespace, where it stands for who we are outside: no file changes hands."""
    outside = os.geteuid(), os.getegid()
    _check(_libc().unshare(_CLONE_NEWUSER), "unshare")
    # The kernel wants setgroups given up before a process may map its own group.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outside[0]} 1"),
        ("gid_map", f"{gid} {outside[1]} 1"),
    ):
        Path("/proc/self", name).write_text(text, encoding="ascii")


def _switch_account(uid: int, gid: int) -> None:
    """Be the account `uid`, keeping of root's powers only the way through directories closed to it."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([gid])
    os.setresgid(gid, gid, gid) if hasattr(os, "setresgid") else os.setgid(gid)
    os.setresuid(uid, uid, uid) if hasattr(os, "setresuid") else os.setuid(uid)
    if sys.platform == "linux":
        _keep_only_dac_override()


def _keep_only_dac_override() -> None:
    """Where a container lacks the capability, the caller finds out whether it was needed."""
    libc = _libc()
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    for mask in (1 << _CAP_DAC_OVERRIDE, 0):
        if libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)) == 0:
            break
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main())
