#!/usr/bin/env python3
"""Runs a command against a stand-in for AWS that this makes, starts and stops.

    python3 tests/emulators.py ministack -- COMMAND    the whole deployed template, on MiniStack
    python3 tests/emulators.py localstack -- COMMAND   the queues alone, on LocalStack
    python3 tests/emulators.py build                   builds what the first of them deploys, for its --no-build

Needs Python 3.11, Rust and a package index; no Docker, no AWS account. What is installed goes to `.ci/tools`, what an
emulator keeps goes to a folder that is deleted with it. Ends with the status of COMMAND, but fails in any case when a
secret that COMMAND made is in a log.

COMMAND finds in its environment what the AWS SDKs read (`AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_SQS`, `AWS_REGION`,
`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`) and

    SUNDIAL_HOME           ministack or localstack
    QUEUE_URL              the queue of chunks
    DEAD_LETTERS_URL       its dead-letter queue
    SUNDIAL_LOGS           a folder of logs: the emulator's, and one for each function, some seconds behind
    SUNDIAL_SECRETS        a file to which COMMAND adds each secret that it made as a line: tokens, passwords, and what
                           stands after `Basic `; on MiniStack at least one

and on MiniStack also

    SUNDIAL_URL            the API; put /api/sunshine/jobs after it
    SUNDIAL_FUNCTIONS      JSON, {"accept": the function's name, ...}
    SUNDIAL_EMULATOR_PID   the emulator's process; the functions' processes are its children
    TABLE_JOBS, TABLE_RECORDS, TABLE_CATALOG, ACCESS_CACHE_SECONDS
                           as the functions have them
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "infra" / "template.yaml"
# Git ignores it.
TOOLS = ROOT / ".ci" / "tools"

# What this program itself runs in (boto3 and a YAML reader come with MiniStack), and what builds the functions: the
# linker, zig, decides which glibc they may need (2.31).
MINISTACK = ["ministack[full]==1.5.33", "cargo-lambda==1.9.2", "ziglang==0.17.1"]
# The last release that asks for no account. On any other Python its services fail to load; with newer releases of the
# other four, too.
LOCALSTACK_PYTHON = "3.13"
LOCALSTACK = [
    "localstack-core[runtime]==4.14.0",
    "service_identity==24.2.0",
    "pyopenssl==25.3.0",
    "cryptography==46.0.7",
    "cbor2==5.9.0",
]

STACK = "sundial"
REGION = "eu-central-1"
# The template's parameters that differ from their defaults, beside those that name the emulator.
PARAMETERS = {
    # So short that a test can wait for a revocation, and yet long enough for most requests to be remembered.
    "AccessCacheSeconds": "2",
    # A test that is about the limit gives its account one.
    "RequestsPerMinute": "1000000",
    "BaseDomain": "sundial.test",
    # As tests/suite/home.rs has it.
    "CorsAllowedOrigins": "https://app.example.com",
    # Nothing is served with it: the emulator takes requests at its own address, whatever their Host header says.
    "CertificateArn": f"arn:aws:acm:{REGION}:000000000000:certificate/00000000-0000-0000-0000-000000000000",
    # The shortest the template allows, so that what was left undone is delivered again soon.
    "ConsumerTimeout": "10",
    "VisibilityTimeout": "10",
    # Each is a process here.
    "ConsumerConcurrency": "4",
    "DeletionProtection": "false",
    # MiniStack has no metric math.
    "Alarms": "false",
}
# The same for the queues on LocalStack, where no function stands behind them.
LOCALSTACK_PARAMETERS = {"VisibilityTimeout": "2", "MaxReceives": "3"}

# No stand-in checks them, but the SDKs want some.
CREDENTIALS = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

# Seconds until an emulator has to answer, and until the stack has to stand.
START_DEADLINE = 90
DEPLOY_DEADLINE = 180
# Where the command puts the secrets that it makes, in the folder of the run.
SECRETS = "secrets"
LOG_INTERVAL = 2
LOG_TAIL = 60


class Failure(Exception):
    """Something that is said in its own words, without a traceback."""


# ---- What is installed ----


def environment_python(name: str, requirements: list[str], python: str = sys.executable) -> Path:
    """The interpreter of a virtual environment that has exactly these requirements; makes it when it is not there."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    folder = TOOLS / name
    interpreter, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "".join(f"{requirement}\n" for requirement in requirements)
    # Two runs at once must not both make it.
    with open(TOOLS / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if interpreter.exists() and stamp.exists() and stamp.read_text() == wanted:
            return interpreter
        say(f"installing {', '.join(requirements)}")
        run([python, "-m", "venv", "--clear", folder])
        run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
        stamp.write_text(wanted)
    return interpreter


def go_on_in_environment() -> None:
    """Starts this program anew in the environment that has boto3, unless it runs there already."""
    interpreter = environment_python("ministack", MINISTACK)
    if Path(sys.prefix).resolve() != interpreter.parent.parent.resolve():
        os.execv(interpreter, [str(interpreter), *sys.argv])


def find_python(version: str) -> str | None:
    """An interpreter of this version that works and can make virtual environments."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python"))
    folders = [*os.get_exec_path(), "/usr/local/bin", "/opt/homebrew/bin"]
    places = [Path(folder) / f"python{version}" for folder in folders]
    places += sorted(pyenv.glob(f"versions/{version}*/bin/python{version}"))
    places += sorted(uv.glob(f"cpython-{version}*/bin/python{version}"))
    return next((str(place) for place in places if is_python(place, version)), None)


def is_python(place: Path, version: str) -> bool:
    """Whether this is what its name says. A shim is there even when the version behind it is not selected."""
    if not place.exists():
        return False
    question = "import ensurepip, ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([place, "-c", question], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == version


# ---- What is built ----


def machine() -> str:
    """The architecture of this machine, as Lambda names it."""
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def read_template(path: Path) -> dict[str, Any]:
    """The template with its short tags (`!Ref`) written out, as the SAM command line reads it."""
    # From the environment of `go_on_in_environment`, as boto3 below: not there when this file is first run.
    from samtranslator.yaml_helper import yaml_parse

    template: dict[str, Any] = yaml_parse(path.read_text())
    return template


def functions(template: dict[str, Any]) -> dict[str, str]:
    """The logical id of each function and its binary, which is also its package."""
    return {
        logical_id: resource["Metadata"]["BuildProperties"]["Binary"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


@functools.cache
def target_folder() -> Path:
    """Cargo's own, wherever it was told to keep it."""
    answer = run(["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"], capture_output=True)
    return Path(json.loads(answer.stdout)["target_directory"])


def binaries(architecture: str) -> Path:
    """Where the bootstraps of an architecture are, each in a folder of its own: apart from what a deployment builds."""
    return target_folder() / f"lambda-{architecture}"


def build(names: Sequence[str], architecture: str) -> None:
    """Builds the release bootstraps of these functions."""
    packages = [argument for name in names for argument in ("--package", name)]
    flag = {"arm64": "--arm64", "x86_64": "--x86-64"}[architecture]
    # cargo-lambda finds itself and the linker it brings on the path.
    path = f"{environment_python('ministack', MINISTACK).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["cargo", "lambda", "build", "--release", "--locked", flag, "--lambda-dir", str(binaries(architecture))]
    run([*command, *packages], env={**os.environ, "PATH": path})


def pack(bootstrap: Path, package: Path) -> None:
    """The zip file that Lambda takes, with the bootstrap executable in it."""
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(entry, bootstrap.read_bytes())


# ---- What is started ----


class Processes:
    """Whatever runs in here ends with this process, however this process ends.

    A guard in a session of its own holds the other end of a pipe. When the pipe closes, the guard kills each group of
    processes it was told of and deletes the folder. It is the only way that anything is stopped, so that it works when
    it is needed.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sundial-"))
        self.started: list[subprocess.Popen[bytes]] = []
        guard = [sys.executable, __file__, "guard", str(self.folder)]
        self.guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.guard.stdin is not None
        self.guard.stdin.close()
        for process in self.started:
            process.wait()
        self.guard.wait()

    def start(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        """Starts a command in a group of its own, which everything that it starts belongs to."""
        assert self.guard.stdin is not None
        try:
            process = subprocess.Popen(command, start_new_session=True, **options)
        except OSError as error:
            raise Failure(f"{command[0]} cannot be started: {error.strerror}") from error
        self.started.append(process)
        self.guard.stdin.write(b"%d\n" % process.pid)
        self.guard.stdin.flush()
        return process


def stand_guard(folder: str) -> None:
    """The other side of `Processes`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = {int(line) for line in sys.stdin}
    deadline = time.monotonic() + 10
    while groups and time.monotonic() < deadline:
        # Again until nothing is left: a process may be started while its group is being killed.
        groups = {group for group in groups if kill_group(group)}
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def kill_group(group: int) -> bool:
    """Whether there was anything to kill."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def await_health(name: str, url: str, process: subprocess.Popen[bytes] | None) -> None:
    """Waits until the emulator answers."""
    deadline = time.monotonic() + START_DEADLINE
    reason = "no answer yet"
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise Failure(f"{name} ended with status {process.returncode} before it answered")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            reason = str(error)
        time.sleep(0.1)
    raise Failure(f"{name} did not answer at {url} within {START_DEADLINE} s: {reason}")


# ---- MiniStack ----


def build_functions(arguments: argparse.Namespace) -> dict[str, Any]:
    """Builds the functions of the template for this machine, and returns it."""
    template = read_template(arguments.template)
    if not arguments.no_build:
        build(list(functions(template).values()), machine())
    return template


def with_ministack(processes: Processes, arguments: argparse.Namespace) -> int:
    """Builds and deploys everything, then runs the command."""
    template = build_functions(arguments)
    emulator, endpoint = start_ministack(processes)
    stack = Stack(endpoint, template)
    parameters = {
        "EndpointUrl": endpoint,
        "Architecture": machine(),
        **PARAMETERS,
        **arguments.parameter,
    }
    stack.deploy(parameters, processes.folder)
    outputs = stack.outputs()
    environment = {
        "SUNDIAL_HOME": "ministack",
        "SUNDIAL_URL": f"{endpoint}/_aws/execute-api/{outputs['ApiId']}/$default",
        "SUNDIAL_FUNCTIONS": json.dumps(stack.function_names()),
        "SUNDIAL_EMULATOR_PID": str(emulator.pid),
        "AWS_ENDPOINT_URL": endpoint,
        "TABLE_JOBS": outputs["JobsTableName"],
        "TABLE_RECORDS": outputs["RecordsTableName"],
        "TABLE_CATALOG": outputs["CatalogTableName"],
        "ACCESS_CACHE_SECONDS": resolved({"Ref": "AccessCacheSeconds"}, template, parameters),
        "QUEUE_URL": outputs["QueueUrl"],
        "DEAD_LETTERS_URL": outputs["DeadLetterQueueUrl"],
    }
    with stack.written_logs(processes.folder / "logs") as files:
        status = run_command(processes, arguments.command, environment)
    made = check_secrets(processes.folder)
    if status == 0 and not made:
        raise Failure("the command made no secret (SUNDIAL_SECRETS), so nobody knows whether one would be logged")
    if status == 0 and not any(file.path.stat().st_size for file in files):
        raise Failure("no function logged anything, so nobody knows whether one logs secrets")
    return status


def start_ministack(processes: Processes) -> tuple[subprocess.Popen[bytes], str]:
    """The process of an emulator that answers, and its endpoint."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        **clean_environment(),
        # It would listen on every interface.
        "BIND_HOST": "127.0.0.1",
        # As the addresses of queues have it.
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        # A second port, the same for everybody.
        "IOT_MTLS_ENABLED": "0",
        # What the functions' SDK calls.
        "AWS_ENDPOINT_URL": endpoint,
        "MINISTACK_REGION": REGION,
        # Objects, packages and extracted functions.
        "TMPDIR": make_folder(processes.folder / "state"),
        "S3_DATA_DIR": make_folder(processes.folder / "state" / "s3"),
        "STATE_DIR": make_folder(processes.folder / "state" / "kept"),
    }
    program = environment_python("ministack", MINISTACK).parent / "ministack"
    process = start_logged(processes, "ministack", [program], environment)
    await_health("MiniStack", f"{endpoint}/_ministack/health", process)
    return process, endpoint


class Stack:
    """The template, deployed as `sam deploy` does it: packages and template in a bucket, then one stack of them."""

    def __init__(self, endpoint: str, template: dict[str, Any]) -> None:
        self.endpoint, self.template = endpoint, template

    def client(self, service: str) -> Any:
        """A boto3 client, which has no types."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )

    def deploy(self, parameters: dict[str, str], folder: Path) -> None:
        """Until the stack stands."""
        began = time.monotonic()
        known = self.template["Parameters"]
        if unknown := parameters.keys() - known.keys():
            raise Failure(f"the template has no parameter {', '.join(sorted(unknown))}")
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(
            StackName=STACK,
            TemplateURL=self.upload(folder),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        self.await_complete(cloudformation)
        self.turn_on_time_to_live()
        self.bound_concurrency()
        self.allow_loops()
        say(f"deployed in {time.monotonic() - began:.1f} s")

    def upload(self, folder: Path) -> str:
        """Puts the packages and the template that names them into a bucket; the address of the template."""
        bucket = f"{STACK}-packages"
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        packaged = json.loads(json.dumps(self.template, default=str))
        for logical_id, name in functions(self.template).items():
            package = folder / f"{name}.zip"
            pack(binaries(machine()) / name / "bootstrap", package)
            s3.upload_file(str(package), bucket, package.name)
            packaged["Resources"][logical_id]["Properties"]["CodeUri"] = f"s3://{bucket}/{package.name}"
        s3.put_object(Bucket=bucket, Key="template.json", Body=json.dumps(packaged).encode())
        return f"{self.endpoint}/{bucket}/template.json"

    def await_complete(self, cloudformation: Any) -> None:
        """Waits for the stack; on failure says of which resources it failed, and why."""
        deadline = time.monotonic() + DEPLOY_DEADLINE
        status = "CREATE_IN_PROGRESS"
        while status == "CREATE_IN_PROGRESS" and time.monotonic() < deadline:
            time.sleep(0.2)
            status = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        if status == "CREATE_COMPLETE":
            return
        events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
        reasons = [
            f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason')}"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("FAILED")
        ]
        raise Failure("\n".join([f"the stack is {status} after at most {DEPLOY_DEADLINE} s", *reasons]))

    def turn_on_time_to_live(self) -> None:
        """MiniStack takes no notice of the template's TimeToLiveSpecification."""
        dynamodb = self.client("dynamodb")
        for logical_id, resource in self.template["Resources"].items():
            if specification := resource.get("Properties", {}).get("TimeToLiveSpecification"):
                table = self.physical_ids()[logical_id]
                dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)

    def bound_concurrency(self) -> None:
        """MiniStack takes a number that is a parameter for text, and then delivers nothing: say it once more."""
        client = self.client("lambda")
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            if scaling := mapping.get("ScalingConfig"):
                scaling = {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}
                client.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=scaling)

    def allow_loops(self) -> None:
        """MiniStack takes no notice of the template's RecursiveLoop, and stops a chain of chunks after 16 of them."""
        client = self.client("lambda")
        for logical_id, resource in self.template["Resources"].items():
            if allowed := resource.get("Properties", {}).get("RecursiveLoop"):
                function = self.physical_ids()[logical_id]
                client.put_function_recursion_config(FunctionName=function, RecursiveLoop=allowed)

    @functools.cache
    def physical_ids(self) -> dict[str, str]:
        """What each resource of the stack is called."""
        resources = self.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}

    def function_names(self) -> dict[str, str]:
        """The deployed name of each function."""
        return {name: self.physical_ids()[logical_id] for logical_id, name in functions(self.template).items()}

    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @contextlib.contextmanager
    def written_logs(self, folder: Path) -> Iterator[list[LogFile]]:
        """Meanwhile, and once more at the end, writes what the functions log to a file for each."""
        client = self.client("logs")
        names = self.function_names().items()
        files = [LogFile(client, f"/aws/lambda/{name}", folder / f"{short}.log") for short, name in names]
        done = threading.Event()

        def follow() -> None:
            while not done.wait(LOG_INTERVAL):
                write()

        def write() -> None:
            # A command may have killed the emulator; its own log then says so.
            with contextlib.suppress(Exception):
                for file in files:
                    file.catch_up()

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield files
        finally:
            done.set()
            follower.join()
            write()


class LogFile:
    """A log group, written to a file. MiniStack makes a stream of each invocation, complete and with one time."""

    def __init__(self, client: Any, group: str, path: Path) -> None:
        self.client, self.group, self.path = client, group, path
        self.since = 0
        self.written: dict[str, int] = {}
        path.touch()

    def catch_up(self) -> None:
        """Appends what is new."""
        # Its pages have no tokens: a full one is followed by one from the last time that was seen.
        limit = 10_000
        full = True
        while full:
            # An invocation may be stored a little after the time it has.
            request = {"logGroupName": self.group, "startTime": max(0, self.since - 5_000), "limit": limit}
            events = self.client.filter_log_events(**request)["events"]
            before = self.since
            self.append(events)
            full = len(events) == limit and self.since > before

    def append(self, events: list[dict[str, Any]]) -> None:
        """Writes the events of each stream beyond those that were written."""
        seen: dict[str, int] = {}
        with self.path.open("a") as file:
            for event in events:
                stream = event["logStreamName"]
                seen[stream] = seen.get(stream, 0) + 1
                if seen[stream] > self.written.get(stream, 0):
                    self.written[stream] = seen[stream]
                    file.write(f"{event['message']}\n")
                self.since = max(self.since, event["timestamp"])


# ---- LocalStack ----


def with_localstack(processes: Processes, arguments: argparse.Namespace) -> int:
    """Makes the two queues on a LocalStack of this machine or on the one that is given, then runs the command."""
    endpoint = arguments.endpoint
    if endpoint is None:
        python = find_python(LOCALSTACK_PYTHON)
        if python is None:
            return not_run(arguments)
        endpoint = start_localstack(processes, python)
    else:
        await_health("LocalStack", f"{endpoint}/_localstack/health", None)
    environment = {
        "SUNDIAL_HOME": "localstack",
        "AWS_ENDPOINT_URL_SQS": endpoint,
        **make_queues(endpoint, read_template(arguments.template), {**LOCALSTACK_PARAMETERS, **arguments.parameter}),
    }
    status = run_command(processes, arguments.command, environment)
    check_secrets(processes.folder)
    return status


def not_run(arguments: argparse.Namespace) -> int:
    """Says so loudly, so that nobody takes it for a pass."""
    banner = "!" * 100
    print(
        f"{banner}\nNOT RUN: {' '.join(arguments.command)}\n"
        f"         against LocalStack, because it needs Python {LOCALSTACK_PYTHON} and none was found on the path,\n"
        "         with pyenv or with uv. Install it, or give --endpoint of a LocalStack that runs (infra/localstack).\n"
        f"{banner}",
        file=sys.stderr,
    )
    return 1 if arguments.require else 0


def start_localstack(processes: Processes, python: str) -> str:
    """Starts LocalStack without Docker and returns its endpoint once it answers."""
    interpreter = environment_python("localstack", LOCALSTACK, python)
    port = free_port()
    state = make_folder(processes.folder / "state")
    environment = {
        **clean_environment(),
        "SERVICES": "sqs",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        # As the addresses of queues have it: its own name for itself needs the internet.
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",
        "SQS_ENDPOINT_STRATEGY": "path",
        # Not in a container: its own files go here, and it has no names to serve.
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": state,
        "TMPDIR": state,
        "DNS_ADDRESS": "0",
        "USE_SSL": "0",
        # Nothing is fetched, nothing reported.
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "EAGER_SERVICE_LOADING": "0",
    }
    process = start_logged(processes, "localstack", [interpreter, "-m", "localstack.runtime.main"], environment)
    endpoint = f"http://127.0.0.1:{port}"
    await_health("LocalStack", f"{endpoint}/_localstack/health", process)
    return endpoint


def make_queues(endpoint: str, template: dict[str, Any], parameters: dict[str, str]) -> dict[str, str]:
    """Makes the template's queue of chunks and its dead-letter queue, and returns where they are.

    Their names are new each time, because a LocalStack that runs on its own keeps what an earlier run left.
    """
    sqs = Stack(endpoint, template).client("sqs")
    properties = template["Resources"]["JobsQueue"]["Properties"], template["Resources"]["DeadLetters"]["Properties"]
    run_id = secrets.token_hex(4)
    jobs, dead = (queue_attributes(queue, template, parameters) for queue in properties)
    dead_url = sqs.create_queue(QueueName=f"{STACK}-dead-letters-{run_id}", Attributes=dead)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    receives = resolved(properties[0]["RedrivePolicy"]["maxReceiveCount"], template, parameters)
    jobs["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
    jobs_url = sqs.create_queue(QueueName=f"{STACK}-jobs-{run_id}", Attributes=jobs)["QueueUrl"]
    return {"QUEUE_URL": jobs_url, "DEAD_LETTERS_URL": dead_url}


def queue_attributes(
    properties: dict[str, Any], template: dict[str, Any], parameters: dict[str, str]
) -> dict[str, str]:
    """A queue's properties that are plain values: SQS has the same names for them."""
    plain = ("MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout")
    return {name: resolved(properties[name], template, parameters) for name in plain if name in properties}


def resolved(value: Any, template: dict[str, Any], parameters: dict[str, str]) -> str:
    """A value or the parameter it refers to, as text."""
    if isinstance(value, dict):
        name = value["Ref"]
        value = parameters.get(name, template["Parameters"][name]["Default"])
    return str(value)


# ---- Plumbing ----


def say(line: str) -> None:
    """To whoever reads along."""
    print(f"emulators: {line}", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Runs a command in the project's root that has to succeed."""
    try:
        return subprocess.run(command, cwd=ROOT, check=True, **options)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failure(str(error)) from error


def make_folder(path: Path) -> str:
    """Makes the folder, and returns it as the environment has it."""
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


def clean_environment() -> dict[str, str]:
    """The environment without the caller's own AWS account, which no stand-in shall ever reach."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**inherited, **CREDENTIALS, "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}


def start_logged(
    processes: Processes, name: str, command: Sequence[str | Path], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Starts an emulator whose output goes to the logs."""
    logs = Path(make_folder(processes.folder / "logs"))
    with (logs / f"{name}.log").open("wb") as output:
        options = {"env": environment, "stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        return processes.start(command, cwd=processes.folder, **options)


def run_command(processes: Processes, command: list[str], environment: dict[str, str]) -> int:
    """Runs the command with the emulator in its environment, and returns its status as a shell has it."""
    files = {"SUNDIAL_LOGS": make_folder(processes.folder / "logs"), "SUNDIAL_SECRETS": str(processes.folder / SECRETS)}
    status = processes.start(command, env={**clean_environment(), **environment, **files}).wait()
    return status if status >= 0 else 128 - status


def written_secrets(folder: Path) -> list[str]:
    """The secrets that the command has made."""
    try:
        return [line for line in (folder / SECRETS).read_text().splitlines() if line]
    except FileNotFoundError:
        return []


def check_secrets(folder: Path) -> int:
    """Fails when a secret is in a log, without repeating it; otherwise says how many were looked for, and returns that."""
    made = written_secrets(folder)
    # One pattern, which no line has when there are no secrets: there are many of them, and the logs are long.
    any_secret = re.compile("|".join(map(re.escape, made)) or "(?!)")
    found = [
        f"  {path.name}, line {number}"
        for path in sorted(folder.glob("logs/*.log"))
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if any_secret.search(line)
    ]
    if found:
        raise Failure("\n".join(["secrets are in the logs:", *found[:LOG_TAIL]]))
    say(f"none of {len(made)} secrets is in a log")
    return len(made)


def print_logs(folder: Path) -> None:
    """The end of every log, without the secrets that should not be there."""
    made = written_secrets(folder)
    for path in sorted(folder.glob("logs/*.log")):
        text = path.read_text(errors="replace")
        for secret in made:
            text = text.replace(secret, "[SECRET]")
        lines = text.splitlines()
        print(f"---- the last of {len(lines)} lines of {path.name}", *lines[-LOG_TAIL:], sep="\n", file=sys.stderr)


def end_on_signals() -> None:
    """Makes a signal unwind, so that everything is stopped."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def assignment(text: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


def parsed_arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    homes = parser.add_subparsers(dest="home", required=True)
    ministack = homes.add_parser("ministack", help="the whole deployed template")
    ministack.add_argument("--no-build", action="store_true", help="take the functions as they were last built")
    localstack = homes.add_parser("localstack", help="the queues alone")
    localstack.add_argument("--endpoint", help="a LocalStack that runs already, as http://127.0.0.1:4566")
    localstack.add_argument("--require", action="store_true", help="fail when LocalStack cannot be run here")
    building = homes.add_parser("build", help="the functions alone, for this machine")
    building.set_defaults(no_build=False, parameter=[])
    for home in (ministack, localstack, building):
        home.add_argument("--template", type=Path, default=TEMPLATE, help="instead of infra/template.yaml")
    for home in (ministack, localstack):
        home.add_argument(
            "--parameter", type=assignment, action="append", default=[], metavar="NAME=VALUE", help="of the template"
        )
        home.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    arguments = parser.parse_args()
    arguments.parameter = dict(arguments.parameter)
    return arguments


def main() -> int:
    """Starts, runs, stops."""
    if sys.argv[1:2] == ["guard"]:
        stand_guard(sys.argv[2])
        return 0
    arguments = parsed_arguments()
    go_on_in_environment()
    if arguments.home == "build":
        build_functions(arguments)
        return 0
    end_on_signals()
    homes: dict[str, Callable[[Processes, argparse.Namespace], int]]
    homes = {"ministack": with_ministack, "localstack": with_localstack}
    with Processes() as processes:
        try:
            status = homes[arguments.home](processes, arguments)
        except BaseException:
            print_logs(processes.folder)
            raise
        if status != 0:
            print_logs(processes.folder)
        return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        say(str(failure))
        sys.exit(1)
