"""`python3 -m unittest discover infra`: infra/smoke, against a stand-in for the API that can misbehave in one way at a time."""

import gzip
import json
import subprocess
import sys
import threading
import time
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SMOKE = Path(__file__).with_name("smoke")
TOKEN = "sundial_acme_secret"
ORIGIN = "https://app.example.com"

# What is tried, in this order.
REACHED = "the API answers, and nobody without credentials gets in"
PASSWORD = "a wrong password is refused"
BROWSER = "a browser that asks first is answered"
TYPE = "an object type is defined"
PLAIN = "a job"
GZIP = "a job with a gzip body"
FAILING = "a job with an item that fails"
RECORDS = "the records are read"
DELETED = "what was made is deleted"
ALL = [REACHED, PASSWORD, BROWSER, TYPE, PLAIN, GZIP, FAILING, RECORDS, DELETED]


class Api(BaseHTTPRequestHandler):
    """As much of docs/api.md as is asked for."""

    protocol_version = "HTTP/1.1"
    fault = ""

    def log_message(self, *_):
        pass

    def answer(self, status, value=None, **headers):
        body = b"" if value is None else json.dumps(value).encode()
        if self.fault == "no JSON" and value and status == 201:
            body = b"<html>"
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def error(self, status):
        self.answer(status, {"errors": [{"status": str(status)}]})

    def handle_one(self):
        server = self.server
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        server.seen.append((self.command, self.path, self.headers.get("Authorization")))
        if self.fault == "silent":
            server.over.wait(30)
            return
        if self.fault == "drips":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not server.over.wait(0.05):
                self.wfile.write(b" ")
                self.wfile.flush()
            return
        if self.fault == "not HTTP":
            self.wfile.write(b"hello\r\n\r\n")
            self.close_connection = True
            return
        origin = self.headers.get("Origin")
        if self.command == "OPTIONS" and (origin == ORIGIN or self.fault == "any origin"):
            allowed = {} if self.fault == "no preflight" else {"Access_Control_Allow_Origin": origin}
            self.answer(204, **allowed)
            return
        credentials = self.headers.get("Authorization")
        good = credentials == f"Bearer {TOKEN}"
        good = good or (self.fault == "open" and not credentials)
        good = good or (self.fault == "any password" and (credentials or "").startswith("Basic"))
        if not good:
            self.answer(401, {"error": "no" if self.fault == "another 401" else "Couldn't authenticate you"})
            return
        if self.fault == "elsewhere" and self.command == "POST":
            self.answer(307, Location=server.elsewhere)
            return
        if self.headers.get("Content-Encoding") == "gzip":
            if self.fault == "no gzip":
                self.error(400)
                return
            body = gzip.decompress(body)
            if self.fault == "damaged gzip":
                body = body.replace(b"Caf", b"Cof")
        value = json.loads(body) if body else None
        path, query = urlsplit(self.path).path.removeprefix("/api/sunshine"), parse_qs(urlsplit(self.path).query)
        getattr(self, f"on_{self.command.lower()}")(path, query, value)

    do_GET = do_POST = do_DELETE = do_OPTIONS = handle_one

    def on_options(self, *_):
        self.error(405)

    def on_post(self, path, _, value):
        server = self.server
        if path == "/objects/types":
            if self.fault == "no types":
                self.error(500)
                return
            server.types.add(value["data"]["key"])
            self.answer(201, value)
        elif path == "/jobs":
            if self.fault == "no jobs":
                self.error(503)
                return
            job_id = str(uuid.uuid4())
            server.jobs[job_id] = self.run(value)
            self.answer(201, {"data": {"id": job_id, "job_status": "queued"}})
        else:
            self.error(404)

    def run(self, job):
        """What the job comes to."""
        results = []
        for item in job["data"]:
            if job["action"] == "delete":
                if self.fault != "keeps records":
                    self.server.records.pop(item, None)
                there = self.fault != "refuses deletes"
                results.append({"success": True} if there else {"success": False, "errors": [{"code": "InternalServerError"}]})
                continue
            if isinstance(item["attributes"]["name"], str) or self.fault == "lenient":
                record = {"id": str(uuid.uuid4()), **item}
                if not (self.fault == "loses records" and item["external_id"] == "plain"):
                    self.server.records[record["id"]] = record
                results.append({"success": True, "data": {"id": record["id"]}})
            else:
                code = "InternalServerError" if self.fault == "another code" else "UnprocessableEntity"
                results.append({"success": False, "errors": [{"code": code}]})
        if self.fault == "another order":
            results.reverse()
        succeeded = sum(result["success"] for result in results)
        progress = {"total": len(results), "processed": len(results), "succeeded": succeeded}
        progress["failed"] = len(results) - succeeded + (self.fault == "counts wrong")
        status = {"stuck": "processing", "fails jobs": "failed"}.get(self.fault, "completed")
        return {"job_status": status, "results": results, "progress": progress, "polls": 0}

    def on_get(self, path, query, _):
        server = self.server
        if path.startswith("/jobs/"):
            job = server.jobs[path.removeprefix("/jobs/")]
            job["polls"] += 1
            # At first it is not ended.
            shown = {**job, "job_status": "queued"} if job["polls"] == 1 else job
            self.answer(200, {"data": shown})
        elif path == "/objects/records":
            if self.fault == "another shape":
                self.answer(200, {"records": []})
                return
            self.answer(200, {"data": [record for record in server.records.values() if record["type"] in query["type"]]})
        elif path.removeprefix("/objects/types/") in server.types:
            self.answer(200, {"data": {}})
        else:
            # To a GET /jobs, which is only asked without credentials, too.
            self.error(404)

    def on_delete(self, path, *_):
        key = path.removeprefix("/objects/types/")
        if any(record["type"] == key for record in self.server.records.values()):
            self.error(422)
            return
        if self.fault != "keeps types":
            self.server.types.discard(key)
        self.answer(204)


class Server(ThreadingHTTPServer):
    """A stand-in that misbehaves in this way, or in none."""

    daemon_threads = True

    def __init__(self, fault=""):
        super().__init__(("127.0.0.1", 0), type("Handler", (Api,), {"fault": fault}))
        self.types, self.jobs, self.records, self.seen = set(), {}, {}, []
        self.elsewhere = ""
        self.over = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/api/sunshine"

    def handle_error(self, *_):
        """A client that has gone is none of the test's business."""

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.shutdown()
        self.server_close()


def smoke(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(SMOKE), *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


def rows(printed):
    """The names that the table has, by whether they held."""
    names = {"held": [], "FAILED": []}
    for line in printed.splitlines():
        names[line[:6].strip()].append(line[8:].split("  ")[0].strip())
    return names


class Smoke(unittest.TestCase):
    def tried(self, server, *arguments):
        return smoke("--url", server.url, "--token", TOKEN, "--wait", "2", "--timeout", "10", *arguments)

    def test_an_api_that_behaves(self):
        for arguments in [(), ("--origin", ORIGIN)]:
            with Server() as server:
                server.types.add("theirs")
                server.records["1"] = {"id": "1", "type": "theirs"}
                done = self.tried(server, *arguments)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
                self.assertEqual(rows(done.stdout), {"held": ALL, "FAILED": []})
                # Nothing of its own is left, and nothing of others is gone.
                self.assertEqual((server.types, list(server.records)), ({"theirs"}, ["1"]))
                self.assertNotIn(TOKEN, done.stdout)

    def test_each_check_can_fail(self):
        # Most of the time is waiting: so they are tried side by side.
        faults = [
            ("open", [REACHED]),
            ("another 401", [REACHED]),
            ("no JSON", [TYPE]),
            ("any password", [PASSWORD]),
            ("any origin", [BROWSER]),
            ("no types", [TYPE]),
            ("no jobs", [PLAIN, GZIP, FAILING, RECORDS]),
            ("stuck", [PLAIN, GZIP, FAILING, DELETED]),
            ("fails jobs", [PLAIN, GZIP, FAILING, DELETED]),
            ("counts wrong", [PLAIN, GZIP, FAILING]),
            ("no gzip", [GZIP, RECORDS]),
            ("damaged gzip", [RECORDS]),
            ("lenient", [FAILING, RECORDS]),
            ("another order", [FAILING]),
            ("another code", [FAILING]),
            ("loses records", [RECORDS]),
            ("another shape", [RECORDS, DELETED]),
            ("refuses deletes", [DELETED]),
            ("keeps records", [DELETED]),
            ("keeps types", [DELETED]),
        ]

        sentences = {
            "no JSON": "the body of a 201 is no JSON: '<html>'",
            "no gzip": "POST /jobs: 400 instead of 201: '.*errors",
            "stuck": "the job [-0-9a-f]{36} is still processing after 2 s",
            "another shape": "an answer has another shape than docs/api.md says: KeyError: 'data'",
            "refuses deletes": 'is "InternalServerError" instead of "NotFound". The object type smoke-[0-9a-f]{12} and its',
            "another order": "the success of each item is \\[false, true\\] instead of \\[true, false\\]",
            "keeps types": "The object type smoke-[0-9a-f]{12} and its records are left",
        }

        def attempt(fault):
            with Server(fault) as server:
                return self.tried(server)

        with ThreadPoolExecutor(8) as pool:
            attempts = list(pool.map(attempt, [fault for fault, _ in faults]))
        for (fault, failed), done in zip(faults, attempts, strict=True):
            with self.subTest(fault):
                self.assertEqual((done.returncode, done.stderr), (1, ""), done.stdout)
                self.assertEqual(rows(done.stdout)["FAILED"], failed, done.stdout)
                # What was expected, and what came.
                self.assertRegex(done.stdout, sentences.get(fault, "instead of"))

    def test_an_origin_that_is_not_let_in_is_seen(self):
        with Server("no preflight") as server:
            done = self.tried(server, "--origin", ORIGIN)
            self.assertEqual((done.returncode, rows(done.stdout)["FAILED"]), (1, [BROWSER]))
        with Server() as server:
            done = self.tried(server, "--origin", "https://other.example.com")
            self.assertEqual((done.returncode, rows(done.stdout)["FAILED"]), (1, [BROWSER]))

    def test_what_was_made_before_a_failure_is_deleted(self):
        with Server("no gzip") as server:
            done = self.tried(server)
            self.assertEqual(rows(done.stdout)["FAILED"], [GZIP, RECORDS])
            self.assertEqual((server.types, server.records), (set(), {}))

    def test_it_ends_whatever_the_other_side_does(self):
        for fault in ["silent", "drips", "not HTTP"]:
            with self.subTest(fault), Server(fault) as server:
                began = time.monotonic()
                done = self.tried(server, "--wait", "1", "--timeout", "1")
                self.assertLess(time.monotonic() - began, 20)
                self.assertEqual((done.returncode, done.stderr), (1, ""))
                self.assertEqual(rows(done.stdout), {"held": [], "FAILED": [REACHED]})
        with Server() as server:
            pass
        # Nobody listens there any more.
        done = self.tried(server)
        self.assertEqual((done.returncode, done.stderr, rows(done.stdout)["FAILED"]), (1, "", [REACHED]))

    def test_the_token_is_sent_nowhere_else(self):
        with Server() as other, Server("elsewhere") as server:
            server.elsewhere = f"{other.url}/objects/types"
            done = self.tried(server)
            self.assertEqual(rows(done.stdout)["FAILED"], [TYPE])
            self.assertIn("307 instead of 201", done.stdout)
            self.assertEqual(other.seen, [])

    def test_what_it_is_told_is_checked(self):
        for arguments, sentence in [
            (["--token", TOKEN], "--url"),
            (["--url", "https://jobs.example.com/api/sunshine"], "a token is needed"),
            (["--url", "jobs.example.com", "--token", TOKEN], "an address such as https://HOST/api/sunshine"),
            (["--url", "http://jobs.example.com", "--token", TOKEN], "sent in clear to jobs.example.com"),
            (["--url", "http://localhost", "--token", TOKEN, "--wait", "0"], "more than 0 and at most 600 seconds, not 0"),
        ]:
            done = smoke(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn(sentence, done.stderr)

    def test_the_token_may_be_in_the_environment(self):
        with Server() as server:
            done = smoke("--url", f"{server.url}/", "--wait", "1", SUNDIAL_TOKEN=TOKEN)
            self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
