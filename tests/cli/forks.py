"""Commands as processes that are forked where modules are imported already.

Each is a process of its own, with its folder, environment, standard streams, signals
and exit code; it only spares the time in which Python imports the same modules again
and takes them apart at its end.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pkgutil import walk_packages
from select import select

LIBRARIES = ("anyio", "apsw", "cyclopts.help", "pydantic", "rich.live", "watchfiles")
"""What a command imports that is not of this project."""


class Forks:
    """A process that forks one for each command.

    ``warm`` has all of flowkit imported; else only the libraries are, so that a verb
    shows that it finds its own modules.
    """

    def __init__(self, env, *, warm):
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-P", __file__, str(theirs.fileno())]
            self._parent = subprocess.Popen(
                [*words, "warm"] if warm else words,
                env=env,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self._parent.kill)
        self._answers = self._socket.makefile()

    def begin(self, words, cwd, env, patched=None):
        """As ``subprocess.Popen``, with pipes; ``patched`` has values by their names."""
        order = {"words": words, "cwd": str(cwd), "env": env, "patched": patched or {}}
        pipes = [os.pipe() for _ in range(4)]  # 0, 1, 2 and how it ended
        (stdin, ours_in), *others = pipes
        theirs = [stdin, *(write for _, write in others)]
        with self._lock:
            socket.send_fds(self._socket, [b"!"], theirs)
            for each in theirs:
                os.close(each)
            self._socket.sendall(f"{json.dumps(order)}\n".encode())
            pid = int(self._answers.readline())
        return Forked(pid, ours_in, *(read for read, _ in others))


class Forked:
    """A command that has been begun."""

    def __init__(self, pid, stdin, stdout, stderr, end):
        self.pid = pid
        self.returncode = None
        self.stdin, self.stdout = os.fdopen(stdin, "w"), os.fdopen(stdout)
        self.stderr, self._end = os.fdopen(stderr), os.fdopen(end)

    def send_signal(self, number):
        """To this process alone, if it is not over."""
        if self.returncode is None and not select([self._end], [], [], 0)[0]:
            os.kill(self.pid, number)

    def kill(self):
        """At once, as nobody can prevent."""
        self.send_signal(signal.SIGKILL)

    def wait(self):
        """Its exit code, when it is over."""
        if self.returncode is None:
            self.returncode = int(self._end.readline())
            self._end.close()
        return self.returncode

    def communicate(self, given="", timeout=50):
        """All that it still prints; it is killed if it takes longer."""
        limit = threading.Timer(timeout, self.kill)
        errors = []
        reader = threading.Thread(target=lambda: errors.append(self.stderr.read()))
        limit.start()
        reader.start()
        with suppress(BrokenPipeError), self.stdin:
            self.stdin.write(given)
        with self.stdout, self.stderr:
            printed = self.stdout.read()
            reader.join()
        self.wait()
        limit.cancel()
        return printed, errors[0]


def _import_all():
    import flowkit

    for module in walk_packages(flowkit.__path__, "flowkit."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def _become(order, streams):
    # What a shell would have set up.
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.argv = ["flowkit", *order["words"]]
    for place, value in order["patched"].items():
        module, _, name = place.rpartition(".")
        setattr(import_module(module), name, value)


def _end(code):
    # As Python ends, but that what it has imported is not taken apart.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(order, streams):
    from flowkit.cli.main import main

    try:
        _become(order, streams)
        _end(main())
    except SystemExit as left:
        _end(left.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        _end(1)


def _serve(orders):
    ends = {}
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the commands
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    while True:
        ready = select([orders, told], [], [])[0]
        if told in ready:
            os.read(told, 4096)
            for pid, code in iter(_ended, None):
                os.write(ends[pid], f"{code}\n".encode())
                os.close(ends.pop(pid))
        if orders in ready:
            flag, (*streams, end), *_ = socket.recv_fds(orders, 1, 4)
            if not flag:
                return
            with orders.makefile() as lines:
                order = json.loads(lines.readline())
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                for each in (orders.detach(), told, tell, end, *ends.values()):
                    os.close(each)
                _run(order, streams)
            for each in streams:
                os.close(each)
            ends[pid] = end
            orders.sendall(f"{pid}\n".encode())


def _ended():
    # A process that is over and its exit code, if there is one.
    with suppress(ChildProcessError):
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            return pid, os.waitstatus_to_exitcode(status)
    return None


if __name__ == "__main__":
    for name in LIBRARIES:
        import_module(name)
    if "warm" in sys.argv:
        _import_all()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
