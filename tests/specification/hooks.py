"""What the fuzzer has to be told of this API."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    """Lines of JSON as they are, and any other text as one line of it. What is no text was made up to be refused."""
    if not isinstance(value, str):
        return b"no line of JSON"
    try:
        for line in value.splitlines():
            json.loads(line)
        return value.encode()
    except ValueError:
        return json.dumps(value).encode()


def says_nothing(value):
    """Whether nothing of it is left in a query."""
    if isinstance(value, dict | list):
        return all(says_nothing(part) for part in (value.values() if isinstance(value, dict) else value))
    return value is None or value == ""


@schemathesis.hook
def filter_query(ctx, query):
    """An empty parameter is as if it were not there, so that it breaks no schema. There is none for a cursor that was given out."""
    return not any(says_nothing(value) for name, value in (query or {}).items() if name != "cursor")
