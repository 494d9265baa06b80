#!/usr/bin/env python3
"""What Sundial costs on AWS: dollars per million items by action, and the bill of a month in which nothing happens.

Works out `cost.toml` and prints Markdown. Needs Python 3.11 and nothing else:

    python3 infra/cost.py [FILE]
    python3 infra/cost.py --consumer-log LOG

The second prints one of its inputs instead, `consumer_ms_per_item`, from the log of the function consume.

Left out, because it is small or not ours to know: every free tier, X-Ray (one request a second and one in twenty are
traced, $5 a million), data sent to the internet ($0.09 a GB), and what a key or a topic of your own costs.
"""

import json
import math
import re
import sys
import tomllib
from pathlib import Path

MILLION = 1_000_000
GB = 1_000_000_000
QUEUE_REQUEST_BYTES = 64 * 1024
API_REQUEST_BYTES = 512 * 1024
MESSAGES_PER_SEND = 10
BYTES_PER_SEND = 1024 * 1024
POLL_SECONDS = 20
MONTH_SECONDS = 30 * 24 * 60 * 60


def function_cost(prices, invocations, milliseconds, memory_mb):
    """`milliseconds` is what all of the invocations take together."""
    gb_seconds = milliseconds / 1_000 * memory_mb / 1_024
    return gb_seconds * prices["function_gb_seconds"] + invocations / MILLION * prices["function_invocations"]


def consumer_ms_per_item(lines, least_items=450):
    """Milliseconds that Lambda reports of the consumer's invocations, over the items of the chunks that were done in them.

    Invocations of fewer items are left out: what an invocation takes for itself would weigh more than in a large import.
    """
    items, milliseconds = {}, {}
    for line in lines:
        report = re.match(r"REPORT RequestId: (\S+)\s+Duration: ([0-9.]+) ms", line)
        if report:
            milliseconds[report[1]] = float(report[2])
        elif '"platform.report"' in line:
            # The same as JSON, which is how the template has Lambda write it.
            record = json.loads(line)["record"]
            milliseconds[record["requestId"]] = record["metrics"]["durationMs"]
        elif '"chunk processed"' in line:
            chunk = json.loads(line)
            invocation = chunk["invocation.id"]
            items[invocation] = items.get(invocation, 0) + chunk["chunk.items"]
    large = [invocation for invocation in milliseconds if items.get(invocation, 0) >= least_items]
    if not large:
        raise SystemExit(f"cost: no invocation of {least_items} items and more is in the log")
    return sum(milliseconds[each] for each in large) / sum(items[each] for each in large)


def queue_requests(chunks, message_bytes):
    """What SQS bills for sending, receiving and deleting `chunks` messages: a call counts once for each 64 KiB begun."""
    per_send = max(1, min(MESSAGES_PER_SEND, BYTES_PER_SEND // message_bytes))
    sends, rest = divmod(chunks, per_send)
    billed = sends * math.ceil(per_send * message_bytes / QUEUE_REQUEST_BYTES)
    billed += math.ceil(rest * message_bytes / QUEUE_REQUEST_BYTES)
    receives = chunks * math.ceil(message_bytes / QUEUE_REQUEST_BYTES)
    return billed + receives + chunks


def job_cost(figures, action):
    """Dollars for one job, by service."""
    prices, job, functions, access = figures["prices"], figures["job"], figures["functions"], figures["access"]
    items, polls = job["items"], job["polls"]
    requests = 1 + polls
    chunks = math.ceil(items / job["items_per_chunk"])
    message_bytes = action["message_bytes"] * math.ceil(items / chunks)
    write_units = items * (action["write_units"] + action["index_write_units"]) + requests * access["write_units"]
    read_units = items * action["read_units"] + job["read_units_of_polls"] + requests * access["read_units"]
    body = math.ceil(items * action["message_bytes"] / API_REQUEST_BYTES)
    response = math.ceil(job["response_kib"] * 1024 / API_REQUEST_BYTES)
    log_bytes = chunks * functions["log_bytes_per_chunk"] + requests * functions["log_bytes_per_request"]
    consumer_ms = items * functions["consumer_ms_per_item"]
    http_ms = functions["accept_ms_per_job"] + polls * functions["status_ms_per_poll"]
    queue_price = prices["queue_requests"] + prices["fair_queue_requests"]
    return {
        "DynamoDB writes": write_units / MILLION * prices["write_units"],
        "DynamoDB reads": read_units / MILLION * prices["read_units"],
        "SQS": queue_requests(chunks, message_bytes) / MILLION * queue_price,
        "Lambda": function_cost(prices, chunks, consumer_ms, functions["consumer_memory_mb"])
        + function_cost(prices, requests, http_ms, functions["http_memory_mb"]),
        "HTTP API": (body + polls - 1 + response) / MILLION * prices["api_requests"],
        "Logs": log_bytes / GB * prices["log_ingestion"],
    }


def access_cost(figures):
    """Dollars for knowing who makes a million requests, and counting them: one now and then, and many a minute."""
    prices, access = figures["prices"], figures["access"]
    now_and_then = access["write_units"] * prices["write_units"] + access["read_units"] * prices["read_units"]
    return now_and_then, access["busy_write_units"] * prices["write_units"]


def idle_month(figures):
    """Dollars for a month in which nobody calls, by what they are for."""
    prices, idle = figures["prices"], figures["idle"]
    polls = idle["queues"] * idle["pollers_per_queue"] * MONTH_SECONDS / POLL_SECONDS
    sweeps = idle["sweeps"]
    sweep = function_cost(prices, sweeps, sweeps * idle["sweep_ms"], figures["functions"]["http_memory_mb"])
    sweep += sweeps * idle["sweep_read_units"] / MILLION * prices["read_units"]
    sweep += sweeps * idle["sweep_log_bytes"] / GB * prices["log_ingestion"]
    # At most one look-up of the tables' key in five minutes, which is also how often the sweep calls.
    sweep += sweeps / MILLION * prices["key_requests"]
    return {
        "alarms": idle["alarm_metrics"] * prices["alarm_metrics"],
        "dashboard": idle["dashboards"] * prices["dashboards"],
        "polling of empty queues": polls / MILLION * prices["queue_requests"],
        "sweep: runs, reads, logs, key": sweep,
        "metrics": idle["metrics"] * prices["metrics"],
    }


def storage_month(figures):
    """Dollars for a month of the records that are kept, backup included."""
    prices, storage = figures["prices"], figures["storage"]
    table = storage["records"] * storage["record_bytes"] / GB
    index = storage["records"] * storage["index_bytes"] / GB
    return (table + index) * prices["table_storage"] + table * prices["backup_storage"]


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(figures):
    per_million = MILLION / figures["job"]["items"]
    costs = {name: job_cost(figures, action) for name, action in figures["actions"].items()}
    services = list(next(iter(costs.values())))
    rows = []
    for name, cost in costs.items():
        total = sum(cost.values())
        shares = [f"{cost[service] / total:.1%}" for service in services]
        rows.append([name, f"${total * per_million:.2f}", *shares])
    idle = idle_month(figures)
    without = sum(idle.values()) - idle["alarms"] - idle["dashboard"]
    now_and_then, many = access_cost(figures)
    busy = figures["busy"]["metrics"] * figures["prices"]["metrics"]
    idle_rows = [[name, f"${cost:.2f}"] for name, cost in idle.items()]
    idle_rows.append(["**all**", f"**${sum(idle.values()):.2f}**"])
    idle_rows.append(["with `Alarms=false`", f"${without:.2f}"])
    return "\n\n".join(
        [
            table(["a million items", "cost", *services], rows),
            table(["an idle month", "cost"], idle_rows),
            f"A stack that is used in every hour of a month writes about {figures['busy']['metrics']} metrics more: "
            f"${busy:.2f}. {figures['storage']['records']:,} small records kept for a month: "
            f"${storage_month(figures):.2f}. Knowing who makes a million requests, and counting them: "
            f"${now_and_then:.2f} when they come now and then, ${many:.2f} when an account makes many a minute.",
        ]
    )


def load(path):
    return tomllib.loads(Path(path).read_text(encoding="utf-8"))


def main(arguments):
    match arguments:
        case []:
            print(report(load(Path(__file__).with_name("cost.toml"))))
        case ["--consumer-log", log]:
            with open(log, encoding="utf-8") as lines:
                print(f"{consumer_ms_per_item(lines):.3f}")
        case [file] if not file.startswith("-"):
            print(report(load(file)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
