"""Kinto and Parse Server with PostgreSQL, as tests/bench/local installs, starts and asks them."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from local_machine import Connection, Failure, NotRun, Process, Processes, free_port, until_it_answers

KINTO = "26.5.0"
PARSE = "9.10.0"
# It looks into its inside, and finds there what it wants up to this release: with 2.3.0 each batch is answered with 500.
PARSE_ROUTER = "2.2.0"
# What Parse Server 9.10 asks of Node.
OLDEST_NODE = (20, 19)
INSTALL_SECONDS = 300
START_SECONDS = 60
BATCH = 500
# How often records of a batch that Kinto refuses are sent again.
MOST_AGAIN = 20
DATABASE_USER = "bench"


class PostgreSql:
    """One PostgreSQL with a folder of its own and the settings it comes with, which wait for the disk at each commit."""

    def __init__(self, processes: Processes, scratch: Path, name: str) -> None:
        programs = find_postgresql()
        user = unprivileged()
        # Beside the folder of this run, which nobody else may enter.
        self.folder = processes.folder(f"{scratch.name}-{name}-", scratch.parent)
        self.port = free_port()
        password = secrets.token_hex(16)
        secret = self.folder / "password"
        secret.touch(0o600)
        secret.write_text(password)
        if user:
            for path in (self.folder, secret):
                shutil.chown(path, user, user)
        data = self.folder / "data"
        log = scratch / f"{name}-postgresql.log"
        # Whoever else is on this machine must not get in either: hence a password.
        initdb = [programs / "initdb", "--pgdata", data, "--username", DATABASE_USER, "--pwfile", secret]
        initdb += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]
        processes.run("initdb", initdb, log, START_SECONDS, user=user, folder=self.folder)
        postgres = [programs / "postgres", "-D", data, "-p", str(self.port)]
        postgres += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        # SIGINT: clients that are still connected do not hold up the end.
        self.process = processes.start(postgres, log, end_with=signal.SIGINT, user=user, folder=self.folder)
        until_it_answers(self.process, self.port, START_SECONDS)
        self.url = f"postgresql://{DATABASE_USER}:{password}@127.0.0.1:{self.port}/postgres"


def find_postgresql() -> Path:
    """The folder with `initdb` and `postgres`: Debian keeps them out of the PATH."""
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    by_version = sorted(folders, key=lambda path: version(path.parent.name), reverse=True)
    found = shutil.which("initdb")
    for folder in [*([Path(found).resolve().parent] if found else []), *by_version]:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    where = "neither on the PATH nor in /usr/lib/postgresql (Debian: apt-get install postgresql)"
    raise NotRun(f"there is no PostgreSQL server here, {where}")


def unprivileged() -> str | None:
    """The user to run PostgreSQL as, when it may not be this one: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    raise NotRun("PostgreSQL does not run as root, and there is no user postgres here to run it as")


def version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def records(prefix: str, first: int, count: int) -> list[tuple[str, dict[str, Any]]]:
    """External ids and attributes of small products: the record that everybody is given."""
    return [
        (f"{prefix}-{number}", {"id": str(number), "name": "Strawberry Chewing Gum", "price": 1 + number % 100 / 4})
        for number in range(first, first + count)
    ]


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Peer:
    """What both have in common: a server, and its PostgreSQL."""

    name: str
    process: Process
    database: PostgreSql
    port: int

    def cpu_seconds(self) -> tuple[float, float]:
        """Of the server, and of its PostgreSQL."""
        return self.process.cpu_seconds(), self.database.process.cpu_seconds()

    def connect(self) -> Connection:
        raise NotImplementedError

    def bodies(self, prefix: str, first: int, count: int) -> list[bytes]:
        """The same records in batches."""
        raise NotImplementedError

    def work(self, connection: Connection, body: bytes) -> None:
        """Posts a batch, and sees that each of it was done."""
        raise NotImplementedError

    def count(self) -> int:
        """How many records there are."""
        raise NotImplementedError


class Kinto(Peer):
    """One process of `kinto start`, as its documentation starts it. A PUT with If-None-Match makes a record under an id of the
    client's and refuses one that is there; each record is held to the schema of its collection."""

    name = f"Kinto {KINTO}"

    def __init__(self, processes: Processes, folder: Path, scratch: Path) -> None:
        programs = install_kinto(processes, folder, scratch)
        self.database = PostgreSql(processes, scratch, "kinto")
        self.port = free_port()
        settings = scratch / "kinto.ini"
        settings.touch(0o600)
        settings.write_text(f"""[app:main]
use = egg:kinto
kinto.userid_hmac_secret = {secrets.token_hex(16)}
kinto.bucket_create_principals = system.Authenticated
multiauth.policies = basicauth
kinto.storage_backend = kinto.core.storage.postgresql
kinto.storage_url = {self.database.url}
kinto.permission_backend = kinto.core.permission.postgresql
kinto.permission_url = {self.database.url}
kinto.cache_backend = kinto.core.cache.memory
kinto.batch_max_requests = {BATCH}
kinto.experimental_collection_schema_validation = true
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {self.port}
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys =
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
""")
        log = scratch / "kinto.log"
        processes.run("kinto migrate", [programs / "kinto", "migrate", "--ini", settings], log, START_SECONDS)
        command = [programs / "kinto", "start", "--ini", settings, "--port", str(self.port)]
        self.process = processes.start(command, log)
        until_it_answers(self.process, self.port, START_SECONDS)
        schema = {
            "type": "object",
            "properties": {"name": {"type": "string"}, "price": {"type": "number", "minimum": 0}},
            "required": ["name"],
        }
        connection = self.connect()
        connection.ask("PUT", "/v1/buckets/bench", b"{}", expected=201)
        collection = compact({"data": {"schema": schema}})
        connection.ask("PUT", "/v1/buckets/bench/collections/product", collection, expected=201)
        connection.close()

    def connect(self) -> Connection:
        return Connection(self.port, {"Authorization": "Basic YmVuY2g6YmVuY2g="})

    def bodies(self, prefix: str, first: int, count: int) -> list[bytes]:
        def batch(start: int) -> bytes:
            some = records(prefix, start, min(BATCH, first + count - start))
            path = "/v1/buckets/bench/collections/product/records"
            requests = [
                # The id is the external one there.
                {"path": f"{path}/{external_id}", "body": {"data": one | {"id": external_id}}}
                for external_id, one in some
            ]
            return compact({"defaults": {"method": "PUT", "headers": {"If-None-Match": "*"}}, "requests": requests})

        return [batch(start) for start in range(first, first + count, BATCH)]

    def work(self, connection: Connection, body: bytes) -> None:
        for _ in range(MOST_AGAIN):
            answers = connection.ask("POST", "/v1/batch", body)["responses"]
            if all(one["status"] == 201 for one in answers):
                return
            # "Please retry": clients of one collection come into each other's way, and some records of a batch are refused.
            batch = json.loads(body)
            left = []
            for request, one in zip(batch["requests"], answers, strict=True):
                if one["status"] == 409:
                    left.append(request)
                elif one["status"] != 201:
                    raise Failure(f"Kinto: a record of a batch was answered with {json.dumps(one)[:500]}")
            body = compact({**batch, "requests": left})
        raise Failure(f"Kinto: {len(left)} records of a batch were refused {MOST_AGAIN} times")

    def count(self) -> int:
        connection = self.connect()
        connection.ask("HEAD", "/v1/buckets/bench/collections/product/records")
        for header in ("Total-Objects", "Total-Records"):
            if connection.last.headers.get(header):
                return int(connection.last.headers[header])
        raise Failure("Kinto does not say how many records there are")


class ParseServer(Peer):
    """One process of `parse-server`. It has no external ids: they are a field like others, whose uniqueness it does not check.
    Each record of a batch is written by itself."""

    name = f"Parse Server {PARSE}"

    def __init__(self, processes: Processes, folder: Path, scratch: Path) -> None:
        package = install_parse(processes, folder, scratch)
        self.database = PostgreSql(processes, scratch, "parse")
        self.port = free_port()
        self.application, master = secrets.token_hex(8), secrets.token_hex(16)
        settings = scratch / "parse.json"
        settings.touch(0o600)
        settings.write_text(
            json.dumps({
                "appId": self.application,
                "masterKey": master,
                "databaseURI": self.database.url,
                "host": "127.0.0.1",
                "port": self.port,
                "mountPath": "/parse",
                "serverURL": f"http://127.0.0.1:{self.port}/parse",
                "allowClientClassCreation": False,
                "logLevel": "warn",
                "logsFolder": str(scratch / "parse-logs"),
            })
        )
        command = ["node", package / "bin" / "parse-server", settings]
        self.process = processes.start(command, scratch / "parse.log", folder=scratch)
        until_it_answers(self.process, self.port, START_SECONDS)
        until_it_is_well(self, START_SECONDS)
        fields = {"externalId": "String", "productId": "String", "name": "String", "price": "Number"}
        schema = {"className": "Product", "fields": {name: {"type": kind} for name, kind in fields.items()}}
        schema["fields"]["name"]["required"] = True
        # Everybody who knows the application may make and count records: the master key's short cuts are not to be measured.
        schema["classLevelPermissions"] = {"create": {"*": True}, "count": {"*": True}, "find": {"*": True}}
        connection = self.connect()
        connection.ask("POST", "/parse/schemas/Product", compact(schema), **{"X-Parse-Master-Key": master})
        connection.close()

    def connect(self) -> Connection:
        return Connection(self.port, {"X-Parse-Application-Id": self.application})

    def bodies(self, prefix: str, first: int, count: int) -> list[bytes]:
        def batch(start: int) -> bytes:
            requests = [
                {
                    "method": "POST",
                    "path": "/parse/classes/Product",
                    # It names records itself: what the client calls `id` has to have another name.
                    "body": {"externalId": external_id, "productId": one["id"], "name": one["name"], "price": one["price"]},
                }
                for external_id, one in records(prefix, start, min(BATCH, first + count - start))
            ]
            return compact({"requests": requests})

        return [batch(start) for start in range(first, first + count, BATCH)]

    def work(self, connection: Connection, body: bytes) -> None:
        for one in connection.ask("POST", "/parse/batch", body):
            if "success" not in one:
                raise Failure(f"Parse Server: a record of a batch was answered with {json.dumps(one)[:500]}")

    def count(self) -> int:
        connection = self.connect()
        return int(connection.ask("GET", "/parse/classes/Product?count=1&limit=0")["count"])


def until_it_is_well(peer: ParseServer, seconds: float) -> None:
    """It listens before its tables are there."""
    deadline = time.monotonic() + seconds
    said = ""
    while time.monotonic() < deadline:
        connection = peer.connect()
        try:
            if connection.ask("GET", "/parse/health").get("status") == "ok":
                return
        except Failure as failure:
            said = str(failure)
        finally:
            connection.close()
        time.sleep(0.2)
    raise NotRun(f"Parse Server is not ready after {seconds:.0f} seconds: {said}")


def once(folder: Path) -> bool:
    """Whether something has still to be installed there. What was begun and not finished is taken away first."""
    if (folder / "installed").is_file():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return True


def install_kinto(processes: Processes, folder: Path, scratch: Path) -> Path:
    """The programs of a virtual environment with Kinto."""
    folder = folder / f"kinto-{KINTO}"
    programs = folder / "bin"
    if once(folder):
        log = scratch / "pip.log"
        processes.run("python -m venv", [sys.executable, "-m", "venv", folder], log, INSTALL_SECONDS)
        command = [programs / "pip", "install", "--quiet", "--disable-pip-version-check"]
        command.append(f"kinto[postgresql]=={KINTO}")
        # As pip is set up here: an index or certificates may have been named.
        processes.run("pip install", command, log, INSTALL_SECONDS, environment=set_up("PIP_", "SSL_", "REQUESTS_"))
        (folder / "installed").touch()
    return programs


def install_parse(processes: Processes, folder: Path, scratch: Path) -> Path:
    """The folder of Parse Server's package."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise NotRun("there is no Node with npm on the PATH")
    asked = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False, timeout=START_SECONDS)
    node = asked.stdout.strip()
    if version(node)[:2] < OLDEST_NODE:
        raise NotRun(f"Parse Server {PARSE} needs Node {'.'.join(map(str, OLDEST_NODE))}, and here is {node}")
    folder = folder / f"parse-server-{PARSE}"
    if once(folder):
        package = {"private": True, "dependencies": {"parse-server": PARSE}, "overrides": {"router": PARSE_ROUTER}}
        (folder / "package.json").write_text(json.dumps(package))
        command = ["npm", "install", "--prefix", folder, "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        environment = set_up("npm_config_", "NPM_CONFIG_", "NODE_EXTRA_", "SSL_")
        processes.run("npm install", command, scratch / "npm.log", INSTALL_SECONDS, environment=environment)
        (folder / "installed").touch()
    return folder / "node_modules" / "parse-server"


def set_up(*prefixes: str) -> dict[str, str]:
    """What this environment says to an installer, and where its proxies are."""
    proxies = ("http_proxy", "https_proxy", "no_proxy")
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes) or name.lower() in proxies}


def start(processes: Processes, folder: Path, scratch: Path) -> tuple[list[Peer], list[str]]:
    """Those that could be started, and why the others could not."""
    peers: list[Peer] = []
    reasons: list[str] = []
    for kind in (Kinto, ParseServer):
        try:
            # Before anything is installed for nothing.
            find_postgresql()
            unprivileged()
            peers.append(kind(processes, folder, scratch))
            print(f"{kind.name} stands", flush=True)
        except (NotRun, Failure, OSError) as reason:
            reasons.append(f"{kind.name}: {reason}")
    return peers, reasons
