"""What the tests have workers do: harmless things, and everything a hostile document may bring a parser to."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from quire_runtime.errors import Permanent


def echo(value: Any) -> Any:
    return value


def pid() -> int:
    return os.getpid()


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def copy(source: str, target: str) -> int:
    return Path(target).write_bytes(Path(source).read_bytes())


def spin(started: str = "") -> None:
    if started:
        Path(started).write_text(str(os.getpid()))
    while True:
        pass


def hang_with_children(count: int) -> None:
    """Programs in sessions of their own, which a group kill would miss if the sessions were real."""
    children = [subprocess.Popen(["/bin/sleep", "600"], start_new_session=True) for _ in range(count)]
    Path("children").write_text(" ".join(str(child.pid) for child in children))
    time.sleep(600)


def daemon() -> None:
    """The classic double fork; the grandchild keeps the sockets of the worker open."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            Path("daemon").write_text(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    while not (Path("daemon").exists() and Path("daemon").read_text()):
        time.sleep(0.001)
    os._exit(5)


def fork_until_refused(limit: int) -> int:
    children = []
    try:
        for _ in range(limit):
            child = os.fork()
            if child == 0:
                time.sleep(600)
                os._exit(0)
            children.append(child)
    except OSError:
        pass
    finally:
        Path("children").write_text(" ".join(map(str, children)))
    return len(children)


def fork_bomb() -> None:
    while True:
        try:
            os.fork()
        except OSError:
            continue


def allocate(size: int) -> int:
    return len(bytearray(size))


def native_allocation_failure() -> None:
    """What a Rust or C++ library does when it gets no memory."""
    os.write(2, b"memory allocation of 10737418240 bytes failed\n")
    os.abort()


def leave(code: int) -> None:
    os._exit(code)


def sys_exit() -> None:
    sys.exit(3)


def segfault() -> None:
    ctypes.string_at(0)


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def burn_cpu() -> None:
    while True:
        pass


def use_cpu(seconds: float) -> int:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return os.getpid()


def permanent() -> None:
    raise Permanent("encrypted", "It needs a password. \ud800")


def fail(message: str) -> None:
    raise KeyError(message)


def huge(size: int) -> str:
    return "x" * size


def no_json() -> Any:
    return object()


def forge(answer: str) -> None:
    """Writes to every socket it has, as a worker taken over by a document would, in place of a proper answer."""
    frame = len(answer).to_bytes(4, "big") + answer.encode()
    for fd in range(3, 64):
        try:
            socket.socket(fileno=os.dup(fd)).sendall(frame)
        except OSError:
            continue
    time.sleep(600)


def announce(size: int) -> None:
    for fd in range(3, 64):
        try:
            socket.socket(fileno=os.dup(fd)).sendall(size.to_bytes(4, "big"))
        except OSError:
            continue
    time.sleep(600)


def outcome(what: str, *arguments: Any) -> str:
    """The name of the exception that a call of `what` ends with, or "done"."""
    try:
        globals()[what](*arguments)
    except BaseException as error:
        return type(error).__name__
    return "done"


def attempt(what: str, arguments: list[Any]) -> str:
    return outcome(what, *arguments)


def write(path: str) -> None:
    Path(path).write_text("x")


def read(path: str) -> str:
    return Path(path).read_text()


def link(target: str, name: str) -> None:
    Path(name).symlink_to(target)


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=1).close()


def open_socket(family: int) -> None:
    socket.socket(family, socket.SOCK_STREAM).close()


def signal_process(pid: int) -> None:
    os.kill(pid, 0)


def limit_process(pid: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_NOFILE)


def environment() -> dict[str, str]:
    return dict(os.environ)


def descriptors() -> list[str]:
    found = []
    for fd in range(256):
        try:
            found.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        except OSError:
            continue
    return found


def write_much(size: int) -> None:
    with Path("big").open("wb") as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))


def lazy_import(name: str) -> str:
    return str(__import__(name).__name__)


def temporary_directory() -> list[str]:
    return [tempfile.gettempdir(), os.environ["HOME"], str(Path.cwd())]


def run_program(arguments: list[str]) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def count_in_thread() -> int:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(1))
    thread.start()
    thread.join()
    return len(seen)


def nest(depth: int) -> None:
    """Folders in folders, far beyond PATH_MAX, the last one unreadable."""
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    Path("closed").mkdir(0)


def identity() -> list[int]:
    return [os.getuid(), os.getgid(), os.getppid()]
