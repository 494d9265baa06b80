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


@schemathesis.hook
def filter_query(ctx, query):
    """An empty parameter is as if it were not there, so that it breaks no schema. There is none for a cursor that was given out."""
    return all(value != "" for name, value in (query or {}).items() if name != "cursor")
