# SPDX-License-Identifier: BSD-2-Clause
"""GET /openapi.json says what the server does: its routes are the server's, its replies have the
fields that it names and no others, and a body is refused exactly where its schemas say so. The
examples of rosterd-api(7) work as they are printed.

A new route has to be described in src/api/openapi.json, and asked in ask_everything() once for each
status that the description names.
"""

import contextlib
import copy
import http.client
import json
import os
import re
import shutil
import subprocess

import harness
from harness import Failure, expect, expect_equal, wait_for

try:
    import jsonschema
except ImportError:
    jsonschema = None

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.dirname(os.path.abspath(harness.ROSTERD))
ZONE = """$TTL 5
@ SOA ns hostmaster 1 3600 600 86400 5
@ NS ns
ns A 127.0.0.1
fixed A 192.0.2.1
"""
ALL, OTHER = "token-all", "token-other"
CONFIG = "zone:\n  - domain: service.local\n" + harness.access(
    {"name": "all", "token": ALL, "admin": "*"},
    {"name": "other", "token": OTHER, "admin": "other"},
    {"name": "nothing", "token": "token-nothing"})
# Statuses that need a server in trouble: tests of the store and of the start see to them. Also
# "operationId status", of a call that other tests ask.
UNASKED = {"503", "507", "listTargets 413", "showTargets 413", "reload 409", "replace 202",
           "replace 409", "deregister 409", "removeInstance 409"}


# ---- The description ----

class Description:
    """The document as it is served, and what was seen of it."""

    def __init__(self, document):
        self.document = document
        self.seen = set()  # (operationId, status)

    def resolve(self, value):
        """What a reference means; what stands beside it in the same object wins."""
        if "$ref" not in value:
            return value
        found = self.document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        beside = {key: other for key, other in value.items() if key != "$ref"}
        return {**self.resolve(found), **beside}

    def fill(self, path, operation, segments=None):
        """A path with values for what is in braces: these, or the examples of the description."""
        values = {one["name"]: one.get("example") for one in
                  map(self.resolve, operation.get("parameters", []))} | (segments or {})
        return re.sub(r"\{(\w+)\}", lambda match: values[match.group(1)], path)

    def operations(self):
        """Yields (method in capitals, path, operation)."""
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def validator(self, schema):
        """Of a schema in the document, whose references it needs."""
        whole = {**schema, "components": self.document["components"]}
        return jsonschema.Draft202012Validator(whole)

    def is_valid(self, schema, value):
        return self.validator(schema).is_valid(value)

    def check(self, schema, value, about):
        if not jsonschema:
            return
        for error in self.validator(schema).iter_errors(value):
            raise Failure(f"{about}: {error.json_path}: {error.message}: {value}")

    def check_reply(self, operation, status, kind, text, about):
        """That this is a reply that the operation describes, to the last field."""
        replies = operation["responses"]
        expect(str(status) in replies, f"{about}: no reply {status} in openapi.json: {text}")
        content = self.resolve(replies[str(status)]).get("content", {})
        self.seen.add((operation["operationId"], str(status)))
        if not content:
            expect_equal(text, "", f"{about}: {status} has no body")
            return
        kind = kind.split(";")[0]
        expect(kind in content, f"{about}: {status} is no {kind} in openapi.json")
        if kind == "application/json":
            self.check(content[kind]["schema"], json.loads(text), f"{about}: {status}")


def check_document(description, text):
    """That it is well made: the parts of OpenAPI that it uses, and its schemas as such."""
    document = description.document
    with open(os.path.join(TOP, "src/api/openapi.json"), encoding="utf-8") as file:
        expect_equal(text, file.read(), "GET /openapi.json")
    expect(document["openapi"].startswith("3.1."), "OpenAPI 3.1")
    expect_equal(set(document) - {"openapi", "info", "servers", "security", "paths", "components"},
                 set(), "fields of the document")
    names = [operation["operationId"] for _, _, operation in description.operations()]
    expect_equal(len(names), len(set(names)), "operationIds, each once")
    for method, path, operation in description.operations():
        about = f"{method} {path}"
        expect_equal(set(operation) - {"operationId", "summary", "description", "parameters",
                                       "requestBody", "responses", "security"},
                     set(), f"fields of {about}")
        parameters = [description.resolve(one) for one in operation.get("parameters", [])]
        expect_equal([one["name"] for one in parameters if one["in"] == "path"],
                     re.findall(r"\{(\w+)\}", path), f"{about}: what is in braces")
        expect("requestBody" not in operation or method in ("POST", "PUT"), f"{about}: body")
        for status, reply in operation["responses"].items():
            expect(re.fullmatch("[2-5][0-9][0-9]", status), f"{about}: status {status}")
            expect("$ref" not in reply or reply["$ref"].endswith(f"/responses/{status}"),
                   f"{about}: {status} refers to {reply}")
            expect(description.resolve(reply)["description"], f"{about}: {status} has no text")
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', text)):
        description.resolve({"$ref": reference})
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema:
            expect_equal(schema.get("additionalProperties"), False, f"{name}: other fields")
        if jsonschema:
            jsonschema.Draft202012Validator.check_schema(schema)


def check_routes(daemon, description):
    """In both directions by the table of routes; and by what the running server says of a path."""
    described = {f"{method} {path}" for method, path, _ in description.operations()}
    manual = os.path.join(BUILD, "man", "manual")
    done = subprocess.run([manual, "--routes"], capture_output=True, text=True, timeout=60,
                          check=True)
    routes = set(done.stdout.splitlines())
    expect_equal(routes - described, set(), "routes that miss in src/api/openapi.json")
    expect_equal(described - routes, set(), "calls in src/api/openapi.json that are no routes")
    for path, methods in description.document["paths"].items():
        reply = exchange(daemon, "PATCH", description.fill(path, next(iter(methods.values()))))
        expect_equal(reply.status, 405, f"PATCH {path}")
        wanted = {method.upper() for method in methods} | ({"HEAD"} if "get" in methods else set())
        expect_equal(set(reply.headers["Allow"].split(", ")), wanted, f"methods of {path}")
        check_component(description, reply)


# ---- Requests ----

class Reply:
    def __init__(self, status, headers, text):
        self.status = status
        self.headers = headers
        self.text = text

    def json(self):
        return json.loads(self.text)


def exchange(daemon, method, path, body=None, headers=None):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", daemon.http_port,
                                                       timeout=20)) as connection:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return Reply(reply.status, reply.headers, reply.read().decode())


class Client:
    """Asks, and has the description check each reply."""

    def __init__(self, daemon, description):
        self.daemon = daemon
        self.description = description

    def ask(self, method, path, body=None, *, query="", token=ALL, segments=None, headers=None):
        operation = self.description.document["paths"][path][method.lower()]
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        raw = body if body is None or isinstance(body, str) else json.dumps(body)
        asked = self.description.fill(path, operation, segments) + query
        reply = exchange(self.daemon, method, asked, raw, headers)
        self.description.check_reply(operation, reply.status, reply.headers["Content-Type"],
                                     reply.text, f"{method} {asked} {str(raw)[:300]}")
        return reply

    def expect(self, status, *arguments, **options):
        reply = self.ask(*arguments, **options)
        expect_equal(reply.status, status, f"{arguments} {options}: {reply.text[:300]}")
        return reply


def check_component(description, reply):
    """A reply of the transport is the one that the document has for its status."""
    content = description.document["components"]["responses"][str(reply.status)]["content"]
    description.check(content["application/json"]["schema"], reply.json(), reply.status)


def check_transport(daemon, description):
    cases = [
        (421, {"Host": "evil.example"}), (403, {"Origin": "https://evil.example"}),
        (417, {"Expect": "patience"}), (501, {"Transfer-Encoding": "chunked"}),
        (431, {"X-Long": "x" * 9000}), (413, {"Content-Length": "9999999"}),
        (400, {"Content-Length": "+3"}),
    ]
    for status, headers in cases:
        reply = exchange(daemon, "POST", "/registry/register", None, headers)
        expect_equal(reply.status, status, f"with {headers}")
        check_component(description, reply)
    reply = exchange(daemon, "GET", "/registry/nothing")
    expect_equal(reply.status, 404, "an unknown path")
    check_component(description, reply)


def ask_by_rule(client):
    """What every call does alike: who may not, broken paths, bodies that are none."""
    for method, path, operation in client.description.operations():
        replies = operation["responses"]
        body = {} if "requestBody" in operation else None
        is_open = operation.get("security") == []
        expect_equal("401" in replies, not is_open, f"401 of {method} {path}")
        if not is_open:
            reply = client.expect(401, method, path, body, token=None)
            expect(reply.headers["WWW-Authenticate"].startswith("Bearer "), "WWW-Authenticate")
        if "403" in replies and "requestBody" not in operation:
            client.expect(403, method, path, token="token-nothing")
        names = re.findall(r"\{(\w+)\}", path)
        if names and not is_open:
            client.expect(403, method, path, body, token=OTHER)
        if names and "400" in replies:
            client.expect(400, method, path, body, segments=dict.fromkeys(names, "%zz"))
        if names and "404" in replies:
            client.expect(404, method, path, {"state": "up"} if path.endswith("/admin") else body,
                          segments=dict.fromkeys(names, "no-such-name"))
        if "requestBody" in operation:
            client.expect(400, method, path, "{")
            client.expect(400, method, path, "[]" if "207" in replies else "[{}]")
            client.expect(413, method, path, " " * 65536 + "{}")


def ask_writes(client):
    check_url = {"kind": "http", "path": "/x", "timeout": "100ms", "headers": {"X-Key": "secret"}}
    whole = {"name": "payment", "id": "p1", "ipv4": "127.0.0.1", "ipv6": "::1", "port": 9,
             "ports": {"metrics": 9100}, "tags": ["blue"], "meta": {"owner": "a"}, "ttl": "9s",
             "lease": "1h", "version": "1", "sidecar": True, "health": "/health",
             "checks": [{"kind": "tcp"}, check_url, {**check_url, "kind": "https"},
                        {"kind": "ttl", "ttl": 60}]}
    register = "POST", "/registry/register"
    client.expect(201, *register, whole)
    client.expect(200, *register, {**whole, "weight": 50})
    client.expect(201, *register, {"name": "other", "ip": "::1", "port": 9})
    client.expect(400, *register, {**whole, "colour": "red"})
    client.expect(403, *register, whole, token=OTHER)
    client.expect(409, *register, {**whole, "name": "fixed"})
    client.expect(413, *register, [{}] * 1001)
    client.expect(207, *register, [{"name": "other", "ip": "::1", "port": 9}, {}, whole],
                  token=OTHER)
    client.expect(201, *register, [{"name": "other", "ip": "::1", "port": 8}])
    client.expect(400, *register, [{}])
    heartbeat = "POST", "/registry/heartbeat"
    told = {"service": "payment", "id": "p1", "status": "healthy", "output": "ok"}
    client.expect(200, *heartbeat, told)
    client.expect(200, *heartbeat, [told, {"name": "payment"}])
    client.expect(207, *heartbeat, [told, {"name": "no-such-service"}])
    client.expect(404, *heartbeat, {"service": "no-such-service"})
    client.expect(400, *heartbeat, {"service": "other"})  # which of them?
    client.expect(403, *heartbeat, told, token=OTHER)
    client.expect(413, *heartbeat, [{}] * 10001)
    policy = "PUT", "/registry/services/{service}/policy"
    client.expect(200, *policy, {"ttl": 7, "answer_limit": 1, "failure": "last",
                                 "panic_threshold": 0.5})
    admin = "PUT", "/registry/services/{service}/instances/{id}/admin"
    for state in "drain", "down", "up", "auto":
        client.expect(200, *admin, {"state": state})


def ask_reads(client):
    page = client.expect(200, "GET", "/registry/services").json()
    expect_equal([one["service"] for one in page["services"]], ["other", "payment"], "services")
    client.expect(200, "GET", "/registry/services", query="?after=other")
    client.expect(400, "GET", "/registry/services", query="?after=*")
    client.expect(200, "GET", "/registry/services/{service}")
    client.expect(200, "GET", "/registry/services/{service}/instances/{id}")
    why = "GET", "/registry/why"
    for query in ("name=payment.service.local", "name=_other._tcp.service.local",
                  "name=p1.payment.service.local&type=aaaa&client=192.0.2.1",
                  "name=payment.service.local&type=TXT"):
        client.expect(200, *why, query=f"?{query}")
    client.expect(400, *why)
    client.expect(404, *why, query="?name=no-such-service.service.local")
    client.expect(403, *why, query="?name=payment.service.local", token=OTHER)
    for path in "/health/live", "/health/ready", "/openapi.json":
        client.expect(200, "GET", path, token=None)
    client.expect(200, "GET", "/metrics", token="token-nothing")


def ask_server(client):
    for path in "/server", "/server/access":
        client.expect(200, "GET", path)
    client.expect(200, "GET", "/server/zones/{zone}")
    reload = "POST", "/server/reload"
    client.expect(200, *reload)
    client.expect(403, *reload, token=OTHER)
    config = client.daemon.config
    harness.write_file(client.daemon.folder, "rosterd.conf", "nonsense:\n")
    client.expect(400, *reload)
    harness.write_file(client.daemon.folder, "rosterd.conf", config)
    client.expect(403, "POST", "/server/replace", token=OTHER)


def ask_pages(client):
    for path in "/", "/ui":
        client.expect(302, "GET", path, token=None)
    for path in "/ui/", "/ui/{file}":
        reply = client.expect(200, "GET", path, token=None)
        client.expect(304, "GET", path, token=None,
                      headers={"If-None-Match": reply.headers["ETag"]})


def ask_targets(client):
    for path in "/registry/prometheus", "/registry/prometheus/{service}":
        client.expect(200, "GET", path)
        client.expect(200, "GET", path, query="?port=metrics")
        client.expect(400, "GET", path, query="?port=*")
    client.expect(200, "GET", "/registry/prometheus/{service}", segments={"service": "other"})


def ask_watch(client, start):
    watch = "GET", "/registry/watch"
    poll = client.expect(200, *watch, query=f"?index={start}&wait=10s").json()
    expect(poll["events"], "events since the start")
    client.expect(200, *watch, query=f"?index={poll['index']}&wait=0")
    for query in "wait=soon", "colour=red", "since=-1", "since=x", "wait=301s", "service=*":
        client.expect(400, *watch, query=f"?{query}")
    client.expect(410, *watch, query="?since=1")
    headers = {"Authorization": f"Bearer {ALL}", "Last-Event-ID": str(start)}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", client.daemon.http_port,
                                                       timeout=20)) as connection:
        connection.request("GET", "/registry/watch", None, headers)
        reply = connection.getresponse()
        expect_equal(reply.headers["Content-Type"], "text/event-stream", "a stream")
        kinds, schema = set(), {"$ref": "#/components/schemas/Event"}
        for _ in range(500):
            line = reply.readline().decode()
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                client.description.check(schema, event, "an event")
                kinds.add(event["event"])
            if {"registered", "updated", "admin", "policy"} <= kinds or line.startswith(":"):
                break
    expect_equal({"registered", "updated", "admin", "policy"} - kinds, set(), "events that miss")


def ask_removals(client):
    deregister = "POST", "/registry/deregister"
    client.expect(403, *deregister, {"service": "payment", "id": "p1"}, token=OTHER)
    client.expect(200, *deregister, {"service": "payment", "id": "p1"})
    client.expect(404, *deregister, {"service": "payment", "id": "p1"})
    client.expect(201, "POST", "/registry/register",
                  {"name": "payment", "id": "p1", "ip": "::1", "port": 9})
    client.expect(200, "DELETE", "/registry/services/{service}/instances/{id}")


def ask_everything(client):
    """Every call, once at least for each status that the description has for it."""
    start = client.expect(200, "GET", "/registry/services").json()["revision"]
    ask_by_rule(client)
    ask_writes(client)
    ask_reads(client)
    ask_targets(client)
    ask_watch(client, start)
    ask_server(client)
    ask_pages(client)
    ask_removals(client)
    for method, path, operation in client.description.operations():
        name = operation["operationId"]
        for status in operation["responses"]:
            expect((name, status) in client.description.seen
                   or not UNASKED.isdisjoint({status, f"{name} {status}"}),
                   f"{method} {path}: this test never sees the status {status}; ask for it above")


# ---- What bodies are taken ----

ANYTHING = [None, True, False, 0, 1, -1, 0.5, 1.5, 64, 65, 100, 101, 65535, 65536, 86401, 10 ** 12,
            "", " ", "x", "30s", "-1s", "1s30m", "a b", "-x",
            "GET", "CONNECT", "200", "600", "x,y", "k=v", "/p", "\u007f", "\u0000",
            "y" * 64, "z" * 256, [], ["x"], ["x", "x"], [1], [{}], [None],
            ["t"] * 33, {}, {"a": 1}, {"a": "b"}, {"a=b": "c"}, {"-": 1}, {"": ""}]
# Texts that the schema allows, as it has no words for what they must be.
WORDLESS = {"ip", "ipv4", "ipv6", "server_name"}


def good_values(description, schema):
    """Values that a schema names: its examples, its choices, its bounds."""
    schema = description.resolve(schema)
    if "examples" in schema:
        return list(schema["examples"])
    if "enum" in schema:
        return list(schema["enum"])
    kind = schema.get("type")
    if kind == "boolean" or kind == ["string", "boolean"]:
        return [True, False]
    if "minimum" in schema:
        return [schema["minimum"], schema["maximum"]]
    return {"string": ["x"], "array": [[]], "object": [{}]}.get(str(kind), ["x", 1])


def bodies(base, field, values):
    """The base with each value in a field, in place of what means the same."""
    aliases = {"ip": "ip", "ipv4": "ip", "ipv6": "ip", "name": "service"}
    for value in values:
        body = copy.deepcopy(base)
        alias = aliases.get(field)
        if alias in body and "port" in body or alias == "service":
            body.pop(alias, None)
        body[field] = value
        yield body


def check_bodies(client, name, bases, method, path, wrap=lambda body: body):
    """The server takes a body where the schema does, and where it does not answers 400."""
    description = client.description
    schema = {"$ref": f"#/components/schemas/{name}"}
    properties = description.document["components"]["schemas"][name]["properties"]
    refused = accepted = 0

    def send(body):
        nonlocal refused, accepted
        reply = client.ask(method, path, wrap(body))
        if description.is_valid(schema, body):
            expect(reply.status != 400, f"{name}: refused: {body}: {reply.text}")
            accepted += 1
        else:
            expect_equal(reply.status, 400, f"{name}: {body}: {reply.text}")
            refused += 1

    for base in bases:
        send(base)
        send({**base, "colour": "red"})
        for field in base:
            send({key: value for key, value in base.items() if key != field})
        for field, property_schema in properties.items():
            values = good_values(description, property_schema)
            values += [value for value in ANYTHING
                       if not (field in WORDLESS and isinstance(value, str))]
            for body in bodies(base, field, values):
                send(body)
    expect(accepted and refused, f"{name}: {accepted} bodies accepted, {refused} refused")
    print(f"{name}: {accepted} bodies accepted, {refused} refused")


def check_schemas(client):
    instance = {"name": "payment", "id": "p1", "ip": "127.0.0.1", "port": 9}
    client.expect(201, "POST", "/registry/register", instance)
    check_bodies(client, "Registration", [instance], "POST", "/registry/register")
    client.ask("POST", "/registry/register", instance)
    # With an interval than which no timeout is longer, for which schemas have no words.
    bases = [{"kind": kind, "interval": "1h"} for kind in ("http", "https", "tcp")]
    check_bodies(client, "Check", [*bases, {"kind": "ttl", "ttl": 30}], "POST",
                 "/registry/register", lambda check: {**instance, "checks": [check]})
    check_bodies(client, "Policy", [{}, {"failure": "all"}], "PUT",
                 "/registry/services/{service}/policy")
    check_bodies(client, "Admin", [{"state": "up"}], "PUT",
                 "/registry/services/{service}/instances/{id}/admin")
    for known in client.ask("GET", "/registry/services/{service}").json()["instances"]:
        client.ask("POST", "/registry/deregister", {"service": "payment", "id": known["id"]})
    client.expect(201, "POST", "/registry/register", instance)
    target = {"service": "payment", "id": "p1"}
    check_bodies(client, "Heartbeat", [target], "POST", "/registry/heartbeat")
    check_bodies(client, "Target", [target], "POST", "/registry/deregister")


# ---- The manual ----

# Fields whose values differ from run to run.
RUNNING = {"revision", "index", "safe_after", "safe_after_s"}


def plain(text):
    """What man shows of literal lines."""
    for roff, shown in (r"\e", "\\"), (r"\(dq", '"'), (r"\&", ""):
        text = text.replace(roff, shown)
    return text


def masked(json_value):
    """Without what differs from run to run."""
    if isinstance(json_value, dict):
        return {key: 0 if key in RUNNING else masked(value)
                for key, value in json_value.items()}
    return [masked(one) for one in json_value] if isinstance(json_value, list) else json_value


def run_example(daemon, command):
    """What a command prints. A stream is left after its first event."""
    command = command.replace("127.0.0.1:8500", f"127.0.0.1:{daemon.http_port}")
    command = command.replace("curl ", "curl -sS ", 1)
    variable = re.match(r"(\w+)=", command)
    if variable:
        command += f"; echo ${variable.group(1)}"
    if "curl -sS -N" in command:
        process = subprocess.Popen(["bash", "-c", f"exec {command}"], stdout=subprocess.PIPE,
                                   text=True, cwd=daemon.folder)
        harness.helpers.append(process)
        seen = [process.stdout.readline() for _ in range(8)]
        harness.end(process)
        expect("event: registered\n" in seen, f"{command}: {seen}")
        return ""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30,
                          cwd=daemon.folder, check=False)
    expect_equal((done.returncode, done.stderr), (0, ""), command)
    if variable:
        os.environ[variable.group(1)] = done.stdout.strip()
    return done.stdout


def check_examples():
    """The commands of rosterd-api(7), one behind the other, print what it says."""
    if not shutil.which("curl"):
        print("curl is not installed: left out")
        return
    daemon = harness.Daemon()
    harness.write_file(daemon.folder, "token", "any\n")
    with open(os.path.join(BUILD, "man", "rosterd-api.7"), encoding="utf-8") as file:
        section = re.search(r"^\.Sh EXAMPLES\n(.*?)^\.Sh ", file.read(), re.M | re.S).group(1)
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section, re.M | re.S)
    examples = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", plain("".join(blocks)), re.M)
    expect(len(examples) >= 8, f"examples in rosterd-api(7): {len(examples)}")
    for command, wanted in examples:
        found = run_example(daemon, command)
        if wanted:
            expect_equal(masked(json.loads(found)), masked(json.loads(wanted.replace("\n", ""))),
                         command)


def main():
    folder = harness.make_folder()
    os.mkdir(os.path.join(folder, "zones"))
    harness.write_file(os.path.join(folder, "zones"), "service.local.zone", ZONE)
    daemon = harness.Daemon(folder=folder, config=CONFIG, token=ALL)
    text = exchange(daemon, "GET", "/openapi.json").text
    description = Description(json.loads(text))
    check_document(description, text)
    check_routes(daemon, description)
    check_transport(daemon, description)
    client = Client(daemon, description)
    ask_everything(client)
    if jsonschema:
        check_schemas(client)
    else:
        print("python3-jsonschema is not installed: schemas are left out")
    check_examples()


if __name__ == "__main__":
    harness.run(main)
