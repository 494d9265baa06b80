"""What tests/bench/local stands on: processes that are ended whatever happens, what /proc says of them, HTTP, and clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# A process that was asked to end and has not after this time is killed.
END_SECONDS = 10
# The longest that one request may take. Sundial's own limit on waiting is 20 seconds.
REQUEST_SECONDS = 120
# How often one request is sent again, and the pause before: half a minute together.
MOST_AGAIN = 60
# A connection that was not used for so long is opened anew.
IDLE_SECONDS = 1
AGAIN_SECONDS = 0.5


class Failure(Exception):
    """Something that is said in its own words, without a traceback."""


class NotRun(Exception):
    """Why a part could not be run, which is no fault of what is measured."""


@dataclass
class Process:
    """A server that was started here."""

    popen: subprocess.Popen[bytes]
    log: Path
    # What asks it to end.
    end_with: signal.Signals

    def tree(self) -> list[int]:
        """Itself and every process beneath it."""
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    children.setdefault(int(stat(int(folder.name))[1]), []).append(int(folder.name))
        found = [self.popen.pid]
        # It grows while it is walked through; a process appears in it once, so this ends.
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu_seconds(self) -> float:
        """What it and its children have used, those that have ended too."""
        ticks = 0
        for pid in self.tree():
            with contextlib.suppress(OSError):
                ticks += sum(int(field) for field in stat(pid)[11:15])
        return ticks / TICKS_PER_SECOND

    def resident_mebibytes(self) -> float:
        """What it has in memory now, without its children: PostgreSQL's would count what they share again and again."""
        for line in Path(f"/proc/{self.popen.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1_024
        raise Failure(f"{self.popen.args} has ended: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-2_000:].strip()
        return "it has said nothing"


def stat(pid: int) -> list[str]:
    """What stands in /proc/PID/stat behind the name, which may have blanks in it: the third field is the first here."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


class Processes:
    """Everything that was started here, and the folders that go with it. Leaving it ends them all, the last one first."""

    def __init__(self) -> None:
        self.all: list[Process] = []
        self.folders: list[Path] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        # Nothing may cut the ending short. What started this waits some seconds for it.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(self.all[:]):
            self.end(process)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def folder(self, prefix: str, parent: Path) -> Path:
        """Makes a new folder that this user alone may enter."""
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self.folders.append(folder)
        return folder

    def start(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        end_with: signal.Signals = signal.SIGTERM,
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
        user: str | None = None,
    ) -> Process:
        """Starts a command in a session of its own, so that Ctrl-C reaches this program alone and this one ends them in order."""
        # Not this machine's environment: its AWS settings would lead Sundial elsewhere.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        # Python's own way to be another user: it says what went wrong, and no process stands between that and this one.
        other = {"user": user, "group": user, "extra_groups": []} if user else {}
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**kept, **(environment or {})},
                cwd=folder,
                start_new_session=True,
                **other,
            )
        process = Process(popen, log, end_with)
        self.all.append(process)
        return process

    def end(self, process: Process) -> None:
        """Ends a process and what is left of its session."""
        if process.popen.poll() is None:
            process.popen.send_signal(process.end_with)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(END_SECONDS)
        # Also when it has ended: something that it started may not have.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.popen.pid, signal.SIGKILL)
        process.popen.wait(END_SECONDS)
        if process in self.all:
            self.all.remove(process)

    def run(self, what: str, command: Sequence[str | Path], log: Path, seconds: float, **options: Any) -> None:
        """Runs a command to its end, or raises `NotRun` with its last words."""
        process = self.start(command, log, **options)
        try:
            if process.popen.wait(seconds) != 0:
                raise NotRun(f"{what} failed: {process.last_words()}")
        except subprocess.TimeoutExpired:
            raise NotRun(f"{what} took more than {seconds:.0f} seconds") from None
        finally:
            self.end(process)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Connection:
    """One client's connection, which is kept. Where `busy` is given, a request that Sundial's documentation says to send again is
    sent again, and written down there: after a 503, and after a 500 when it is a GET or has an `Idempotency-Key`."""

    def __init__(self, port: int, headers: dict[str, str], busy: list[str] | None = None) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)
        self.headers = {"Content-Type": "application/json", **headers}
        self.busy = busy
        self.used = time.monotonic()

    def ask(
        self, method: str, path: str, body: bytes | None = None, expected: int | tuple[int, ...] = 200, **headers: str
    ) -> Any:
        """The JSON of an answer with this status, or one of these; nothing else is taken for an answer."""
        repeatable = method == "GET" or "Idempotency-Key" in headers
        for again in range(MOST_AGAIN + 1):
            if time.monotonic() - self.used > IDLE_SECONDS:
                # The server may be about to close it, and then a request that crosses the end has no answer.
                self.http.close()
            try:
                self.http.request(method, path, body, {**self.headers, **headers})
                response = self.http.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException) as error:
                # What is left of an exchange must not be taken for the next one.
                self.http.close()
                raise Failure(f"{method} {path}: {error!r}") from error
            self.used = time.monotonic()
            another = response.status == 503 or (response.status == 500 and repeatable)
            if self.busy is None or not another or again == MOST_AGAIN:
                break
            self.busy.append(f"{response.status} {method} {path}")
            time.sleep(AGAIN_SECONDS)
        if response.status not in (expected if isinstance(expected, tuple) else (expected,)):
            raise Failure(f"{method} {path} was answered with {response.status}: {text[:500].decode(errors='replace')}")
        self.last = response
        return json.loads(text) if text else None

    def close(self) -> None:
        self.http.close()


def until_it_answers(process: Process, port: int, seconds: float) -> None:
    """Waits until somebody listens there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.popen.poll() is not None:
            raise NotRun(f"it ended at once: {process.last_words()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise NotRun(f"it does not listen after {seconds:.0f} seconds: {process.last_words()}")


def side_by_side(
    connect: Callable[[], Connection],
    bodies: Sequence[bytes],
    clients: int,
    do: Callable[[Connection, bytes], None],
    seconds: float,
) -> float:
    """Lets so many clients do the work, each taking the next body when it is done with one. Answers with the seconds from the
    first request to the last answer. The first failure ends all."""
    left = deque(bodies)
    failures: list[BaseException] = []
    ends = [0.0] * clients
    ready = threading.Barrier(clients + 1)

    def client(number: int) -> None:
        connection = connect()
        try:
            ready.wait(END_SECONDS)
            while left and not failures:
                try:
                    body = left.popleft()
                except IndexError:
                    # Another client was faster.
                    break
                do(connection, body)
            ends[number] = time.monotonic()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    # Daemons: when this program is ended it does not wait for answers that will never come.
    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    ready.wait(END_SECONDS)
    began = time.monotonic()
    for thread in threads:
        thread.join(max(0.0, began + seconds - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        # Whoever still works stops at the end of its request.
        failures.append(Failure(f"the work was not done after {seconds:.0f} seconds"))
    if failures:
        raise failures[0]
    return max(ends) - began


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table, the first column to the left and the others to the right."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    for line in [head, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(line, widths)]
        print("  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip(), flush=True)
