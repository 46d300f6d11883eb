"""A knowledge source that runs elsewhere: ISBNs, found by a program of its own, over the public HTTP API alone.

    python examples/remote_source.py http://127.0.0.1:8000

Standard library only; docs/remote-sources.md shows the same requests for any language.
"""

import json
import re
import sys
import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

ISBN = {
    "type": "object",
    "properties": {"page": {"type": "integer", "minimum": 1}, "number": {"type": "string", "pattern": "^[0-9]{13}$"}},
    "required": ["page", "number"],
}
DECLARATION = {
    "version": "1",
    "inputs": [{"parameter": "page", "kind": "each", "levels": ["page"]}],
    "outputs": [{"level": "isbn", "schema": ISBN, "named_by": ["page", "number"]}],
}


SERVICE = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)


def call(method, path, body):
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(SERVICE + path, json.dumps(body).encode(), headers, method=method), timeout=60) as answer:
        return json.loads(answer.read() or "null")  # 204: nothing to do just now


def isbns(page):
    found = re.findall(r"97[89][0-9 -]{10,14}", page["text"])
    for number in dict.fromkeys(re.sub("[^0-9]", "", word) for word in found):
        if len(number) == 13 and sum(int(digit) * (1, 3)[at % 2] for at, digit in enumerate(number)) % 10 == 0:
            yield {"level": "isbn", "value": {"page": page["number"], "number": number}}


def keep(task, mine, over):
    while not over.wait(task["lease_s"] / 3):
        call("POST", task["links"]["renew"], mine)


def work(task):
    mine, over = {"board": task["board"], "epoch": task["epoch"]}, threading.Event()
    threading.Thread(target=keep, args=(task, mine, over), daemon=True).start()
    try:
        ending = {"status": "done", "entries": list(isbns(task["inputs"]["page"][0]["value"]))}
    except Exception as error:
        ending = {"status": "failed", "error": {"message": repr(error)}}
    over.set()
    try:
        call("POST", task["links"]["commits"], {**mine, "n": 1, **ending})
        print(task["binding"], ending["status"], len(ending.get("entries", ())), flush=True)
    except HTTPError as problem:  # 409: another worker has it by now, or its board has ended
        print(task["binding"], problem.code, problem.read().decode(), file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        call("PUT", "/v1/sources/isbns", DECLARATION)
    except HTTPError as problem:
        sys.exit(problem.read().decode())
    while True:
        if task := call("POST", "/v1/activations/claim", {"sources": ["isbns@1"], "wait_s": 20}):
            work(task)
