"""Sends a gateway what its document describes and what it rules out, and fails where it answers otherwise.

URL and TOKEN say where and who, EXISTING what there is to ask about, by operation and field, as JSON:
{"chat": {"model": "ns/m"}}.
"""

import json
import os
import sys
import tempfile
import urllib.error
import urllib.request

from schemathesis.cli import schemathesis

url = os.environ["URL"]
existing = json.loads(os.environ["EXISTING"])
with urllib.request.urlopen(f"{url}/openapi.json") as answer:
    served = answer.read()

def has_feedback():
    """Whether this gateway keeps feedback: else it says so with a status that is no server's fault."""
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    request = urllib.request.Request(f"{url}/v1/feedback", b"{}", headers, method="POST")
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        return error.code != 501
    return True


# A valid request about what exists has to be answered.
STRICT = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx"]
"""


def run(name, document, settings, *selection):
    """One run over `document`."""
    print(f"== {name}", flush=True)
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        with open("openapi.json", "w") as file:
            json.dump(document, file)
        with open("schemathesis.toml", "w") as file:
            file.write(settings)
        arguments = ["run", "openapi.json", "--url", url, "--header", f"Authorization: Bearer {os.environ['TOKEN']}"]
        arguments += ["--checks", "all", "--mode", "all", "--max-examples", os.environ.get("EXAMPLES", "100")]
        arguments += ["--seed", "1", "--no-color", "--continue-on-failure", "--exclude-tag", "admin", *selection]
        try:
            schemathesis(["--config-file", "schemathesis.toml", *arguments], standalone_mode=False)
        except SystemExit as exit:
            return exit.code or 0
        return 0


def narrowed():
    """The document for operations on what exists."""
    document = json.loads(served)
    for item in document["paths"].values():
        for operation in item.values():
            fields = existing.get(operation.get("operationId")) if isinstance(operation, dict) else None
            for field, value in (fields or {}).items():
                content = operation["requestBody"]["content"]["application/json"]
                name = content["schema"]["$ref"].rsplit("/", 1)[1]
                document["components"]["schemas"][name]["properties"][field] = {"enum": [value]}
    return document


without = [] if has_feedback() else ["--exclude-operation-id", "giveFeedback"]
failed = run("as it is served", json.loads(served), "", *without)
selection = [part for operation in existing for part in ("--include-operation-id", operation)]
failed |= run("about what exists", narrowed(), STRICT, *selection)
if failed:
    sys.exit("the gateway is not as it says")
print("all good")
