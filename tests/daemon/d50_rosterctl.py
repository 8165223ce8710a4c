# SPDX-License-Identifier: BSD-2-Clause
"""rosterctl: every command against the real server, for people and for programs; exit codes by kind."""

import http.server
import json
import os
import pty
import signal
import socket
import ssl
import subprocess
import threading
import time

import harness
from harness import expect, expect_equal, wait_for

HOSTILE = "a\x1b[31mb\u202ec\x07"


class Tool:
    def __init__(self, daemon):
        self.daemon = daemon
        self.home = harness.make_folder()

    def environment(self, **more):
        kept = {name: os.environ[name] for name in ("PATH", "ASAN_OPTIONS", "TSAN_OPTIONS")
                if name in os.environ}
        return {**kept, "HOME": self.home, "LC_ALL": "C.UTF-8",
                "ROSTERD_HTTP": f"127.0.0.1@{self.daemon.http_port}", **more}

    def run(self, *words, status=0, text=None, **more):
        """Standard output and error of one run that must end so."""
        done = subprocess.run([harness.ROSTERCTL, *words], input=text, capture_output=True, text=True,
                              timeout=30, check=False, env=self.environment(**more))
        expect_equal(done.returncode, status, f"{words}: {done.stdout} {done.stderr}")
        return done.stdout, done.stderr

    def json(self, *words, **more):
        return json.loads(self.run(*words, "--json", **more)[0])

    def start(self, *words):
        return harness.spawn(harness.ROSTERCTL, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env=self.environment())


def check_register(tool):
    out, _ = tool.run("register", "--name", "pay", "--port", "80", "--weight", "20", "--tag", "eu",
                      "--meta", "version=1.4", "--named-port", "metrics=9100", "--lease=1h",
                      "--health", "/health", "--ttl", "7")
    expect_equal(out, "registered pay 127-0-0-1-80\n", "our own address")
    shown = tool.json("services", "show", "pay", "127-0-0-1-80")
    expect_equal((shown["weight"], shown["tags"], shown["meta"], shown["ports"], shown["lease"]),
                 (20, ["eu"], {"version": "1.4"}, {"metrics": 9100}, 3600), shown)
    path = harness.write_file(tool.home, "one.json", json.dumps(
        [{"name": "pay", "id": "b", "ip": "10.0.0.2", "port": 80},
         {"name": "pay", "id": "-c", "ip": "2001:db8::1", "port": 80, "tags": [HOSTILE[:1]]}]))
    expect_equal(tool.run("register", path)[0], "registered 2 of 2\n", "a file")
    reply = tool.json("register", "-", text='{"name":"web","id":"w","ip":"10.0.1.1","port":1,"ttl":1}')
    expect_equal((reply["service"], reply["id"], reply["health"]), ("web", "w", "passing"), reply)
    out, err = tool.run("register", "-", status=1, text='[{"name":"web"}, {"name":"web","id":"w",'
                        '"ip":"10.0.1.1","port":1}]')
    expect("registered 1 of 2" in out and "[0].port: " in err, out + err)
    _, err = tool.run("register", "--name", "no label", "--port", "1", status=1)
    expect("refused (400): name: must be a DNS label" in err, err)
    _, err = tool.run("register", "--name", "x", "--port", "many", status=2)
    expect("--port: 'many'" in err, err)
    tool.run("register", "--name", "x", status=2)
    tool.run("register", path, "--name", "x", status=2)
    tool.run("register", "/nowhere/at/all", status=5)


def check_show(tool):
    out, _ = tool.run("services")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    expect_equal(rows["pay"][0], "3", out)
    expect_equal(tool.run("services", "list")[0], out, "both names")
    expect_equal([s["service"] for s in tool.json("services", "list")["services"]], ["pay", "web"],
                 "JSON")
    out, _ = tool.run("services", "show", "pay")
    expect("[2001:db8::1]:80" in out and "1.4 eu" in out, out)
    _, err = tool.run("services", "show", "nobody", status=4)
    expect("no such service" in err and "services list" in err, err)
    tool.run("services", "show", "pay", "x", status=4)
    out, _ = tool.run("why", "pay.service.local", "A", "127.0.0.1")
    expect("DNS says NOERROR" in out and "yes" in out, out)
    reply = tool.json("why", "web.service.local")
    expect_equal(reply["instances"][0]["served"], True, reply)
    _, err = tool.run("why", "nobody.service.local", status=4)
    expect("DNS says NXDOMAIN" in err, err)
    _, err = tool.run("why", "web", status=4)
    expect("the whole name is asked for" in err and "zone list" in err, err)
    out, _ = tool.run("checks")
    expect("GET :80/health" in out, out)
    checks = tool.json("checks", "pay")
    expect_equal([(c["id"], c["check"]["path"]) for c in checks], [("127-0-0-1-80", "/health")],
                 checks)
    expect_equal(tool.json("checks", "web"), [], "none")


def check_escapes(tool):
    """What others registered cannot reach a terminal as a command to it."""
    tool.daemon.register(name="evil", id="e\u202ei", ip="10.0.2.1", port=1,
                         meta={"version": "\u202e\u009b31m"})
    tool.daemon.http("POST", "/registry/heartbeat",
                     {"service": "evil", "id": "e\u202ei", "status": "warning", "output": HOSTILE})
    for words in (["services", "show", "evil"], ["services", "show", "evil", "e\u202ei"],
                  ["why", "evil.service.local"], ["checks", "evil"]):
        for more in ([], ["--json"]):
            out, err = tool.run(*words, *more)
            bad = [c for c in out + err if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160
                   or c == "\u202e"]
            expect_equal(bad, [], f"{words} {more}: {out!r}")
    out, _ = tool.run("services", "show", "evil")
    expect("e\\u{202e}i" in out and "a\\x1b[31mb" in out, out)
    out, _ = tool.run("services", "--color", "always")
    expect("\x1b[" in out, "colours where they are asked for")
    tool.run("deregister", "evil", "e\u202ei")


def check_states(tool):
    out, _ = tool.run("down", "web", "w")
    expect("web w is down" in out, out)
    expect_equal(tool.daemon.addresses("web.service.local"), [], "down")
    expect_equal(tool.json("auto", "web", "w")["admin"], "auto", "auto")
    expect_equal(tool.daemon.addresses("web.service.local"), ["10.0.1.1"], "auto")
    tool.run("up", "web", "w")
    tool.run("drain", "--no-wait", "pay", "--", "-c")
    tool.run("auto", "pay", "--", "-c")
    tool.run("up", "web", "nobody", status=4)
    tool.run("up", "web", status=2)
    tool.run("up", "web", "w", "x", status=2)
    tool.run("deregister", "pay", "--", "-c")
    tool.run("deregister", "pay", "--", "-c", status=4)


def check_drain(tool):
    """It is over when the last answer that named it has expired, and no earlier."""
    daemon = tool.daemon
    expect_equal(daemon.addresses("web.service.local"), ["10.0.1.1"], "handed out")
    process = tool.start("drain", "web", "w")
    wait_for(lambda: not daemon.addresses("web.service.local"), 20, "it is out")
    out, err = process.communicate(timeout=20)
    expect_equal((process.returncode, out), (0, "web w is drained: it may be stopped\n"), err)
    reply = tool.json("drain", "web", "w")
    expect(reply["safe_after_s"] <= 0.1, f"nothing is left to wait for: {reply}")
    tool.run("auto", "web", "w")
    check_drain_looks_again(tool)


def check_drain_looks_again(tool):
    """It said "it may be stopped" of what had been handed out again, or was in service, meanwhile."""
    daemon = tool.daemon
    path = "/registry/services/web/instances/w/admin"

    def hand_out():
        daemon.http("PUT", path, {"state": "auto"})
        wait_for(lambda: daemon.addresses("web.service.local"), 20, "handed out")

    def drain(change):
        """How one ended during whose wait that was done, and what that returned. It looks again
        when the moment has come that was said at first."""
        for ttl_s in (1, 5, 15):
            daemon.http("PUT", "/registry/services/web/policy", {"ttl": ttl_s})
            hand_out()
            process = tool.start("drain", "web", "w")
            wait_for(lambda: not daemon.addresses("web.service.local"), 20, "it is out")
            looks_at = daemon.http("GET", path.removesuffix("/admin"))[1].get("safe_after", 0)
            done = change()
            in_time = time.time() < looks_at
            out, err = process.communicate(timeout=40)
            if in_time:
                break
        return (process.returncode, out), err, done

    def drain_anew():
        hand_out()
        return daemon.http("PUT", path, {"state": "drain"})[1]

    ended, err, reply = drain(drain_anew)
    expect(time.time() >= reply["safe_after"], f"{ended} is said too soon")
    expect_equal(ended, (0, "web w is drained: it may be stopped\n"), err)
    ended, err, _ = drain(lambda: daemon.http("PUT", path, {"state": "up"}))
    expect_equal(ended, (1, ""), err)
    expect('somebody has set it to "up"' in err, err)
    daemon.http("PUT", path, {"state": "auto"})
    daemon.http("PUT", "/registry/services/web/policy", {"ttl": 1})


def check_watch(tool):
    daemon = tool.daemon
    revision = daemon.http("GET", "/registry/services")[1]["revision"]
    people = tool.start("watch", "--since", str(revision), "--count", "4")
    programs = tool.start("watch", "--json", "--service", "web", "--since", str(revision))
    daemon.register(name="other", id="o", ip="10.0.3.1", port=1)
    daemon.register(name="web", id="w", ip="10.0.1.1", port=1, weight=7)
    for state in ("up", "auto"):
        daemon.http("PUT", "/registry/services/web/instances/w/admin", {"state": state})
    out, err = people.communicate(timeout=20)
    expect("registered  other  o" in out and "updated  web  w" in out and
           "weight 7  admin up\n" in out and "weight 7  admin auto\n" in out and
           out.count("\n") == 4 and out.count("  admin  ") == 2, out + err)
    first = json.loads(programs.stdout.readline())
    expect_equal((first["event"], first["service"], first["weight"]), ("updated", "web", 7), first)
    decided = [json.loads(programs.stdout.readline()) for _ in range(2)]
    expect_equal([one["admin"] for one in decided], ["up", "auto"], decided)

    # The server goes and comes. It may not know any more what was missed; then that is said, and
    # from the revision that is said on nothing is missed.
    daemon.stop()
    daemon.start()
    weight = 8
    daemon.register(name="web", id="w", ip="10.0.1.1", port=1, weight=weight)
    line = json.loads(programs.stdout.readline())
    if line["event"] == "gap":
        expect(line["revision"] > revision, line)
        weight = 9
        daemon.register(name="web", id="w", ip="10.0.1.1", port=1, weight=weight)
        line = json.loads(programs.stdout.readline())
    if line["weight"] == weight - 1:
        line = json.loads(programs.stdout.readline())
    expect_equal(line["weight"], weight, line)
    programs.send_signal(signal.SIGINT)
    programs.wait(10)
    _, err = tool.run("watch", "--since", "words", status=1)
    expect("since: not a revision" in err, err)
    tool.run("watch", "--count", "none", status=2)


def check_server(tool):
    out, _ = tool.run("status")
    expect("ready" in out and f"http://127.0.0.1:{tool.daemon.http_port}" in out, out)
    status = tool.json("status")
    expect_equal((status["status"], status["services"]), ("ready", 3), status)
    expect(status["version"], status)
    out, _ = tool.run("stats", "registrations")
    expect("registrations_total" in out, out)
    _, err = tool.run("stats", "nothing-like-it")
    expect("no counter" in err and "--all" in err, err)
    stats = {(s["name"], s["labels"].get("code")) for s in tool.json("stats", "--all")}
    expect(("rosterd_http_requests_total", "2xx") in stats, stats)
    expect(("rosterd_dns_answer_seconds_bucket", None) in stats, stats)


def check_transfer(tool):
    """Out of one server, into another one, also without a server: the same again."""
    daemon = tool.daemon
    daemon.register(name="full", id="Node/1 ü", ipv4="10.4.0.1", ipv6="2001:db8::4", port=81,
                    ports={"m": 1}, protocol="udp", priority=3, weight=0, tags=["a"], ttl=9,
                    lease="1h", meta={"k": "ä\n"}, checks=[
                        {"kind": "http", "path": "/x", "status": "200-299,404", "method": "HEAD",
                         "interval": "250ms", "timeout": "100ms", "initial": "passing",
                         "headers": {"X-Secret": "s"}},
                        {"kind": "ttl", "ttl": "1h", "initial": "warning"},
                        {"kind": "https", "server_name": "n", "tls_skip_verify": True}])
    daemon.http("PUT", "/registry/services/full/policy",
                {"failure": "last", "panic_threshold": 0.25, "answer_limit": 3})
    tool.run("drain", "--no-wait", "full", "Node/1 ü")
    lines, err = tool.run("export")
    expect("1 of them will not be imported" in err and "full Node/1 ü: the values" in err and
           "rosterd --export" in err, err)
    objects = [json.loads(line) for line in lines.splitlines()]
    expect(len([o for o in objects if "registration" in o]) == 5, lines)

    # What is hidden is not made up for: no other check than there was, by either import.
    other = Tool(harness.Daemon())
    _, err = other.run("import", status=1, text=lines)
    line = 1 + [i for i, o in enumerate(objects)
                if o.get("registration", {}).get("name") == "full"][0]
    expect(f"line {line}: the value of the header X-Secret of a check is hidden" in err and
           "4 instances imported" in err, err)
    expect_equal(other.daemon.http("GET", "/registry/services/full")[0], 404, "not registered")
    reply = json.loads(other.run("import", "--json", status=1, text=lines)[0])
    expect_equal((reply["imported"], [r["line"] for r in reply["refused"]]), (4, [line]), reply)
    path = os.path.join(tool.home, "out.jsonl")
    harness.write_file(tool.home, "out.jsonl", lines)
    done = subprocess.run([os.path.abspath(harness.ROSTERD), "--data", f"{tool.home}/no",
                           "--import", path], capture_output=True, text=True, timeout=30,
                          check=False)
    expect(done.returncode != 0 and "header_names" in done.stderr, done.stderr)

    whole = lines.replace('"header_names":["X-Secret"]', '"headers":{"X-Secret":"s"}')
    _, err = other.run("import", text=whole)
    expect("5 instances imported" in err, err)
    other.run("export", path)
    with open(path, encoding="utf-8") as file:
        expect_equal(file.read(), lines, "there and back")
    harness.write_file(tool.home, "out.jsonl", whole)
    expect_equal(sorted(os.listdir(tool.home)), ["one.json", "out.jsonl"], "files")
    shown = other.json("services", "show", "full", "Node/1 ü")
    expect_equal((shown["admin"], shown["checks"][0]["initial"]), ("drain", "passing"), shown)

    # Without a server: rosterd's own lines are the same kind.
    other.daemon.stop()
    data = os.path.join(tool.home, "data")
    for command in (["--import", path], ["--export", path + ".2"]):
        done = subprocess.run([os.path.abspath(harness.ROSTERD), "--data", data, *command],
                              capture_output=True, text=True, timeout=30, check=False)
        expect_equal(done.returncode, 0, done.stderr)
    other = Tool(harness.Daemon())
    other.run("import", path + ".2")
    expect_equal(other.run("export")[0], lines, "by way of a data directory")

    out, err = other.run("import", status=1, text='{"registration":{"name":"no"}}\nword\n'
                         '{"x":1}\n\n{"registration":{"name":"late","ip":"10.0.0.9","port":1}}\n')
    for text in ("line 1: [0].port", "line 2: ", "line 3: neither", "1 instances imported",
                 "3 lines were refused"):
        expect(text in err, err)
    other.run("import", "/nowhere/at/all", status=5)
    other.run("export", "/nowhere/at/all", status=5)
    other.daemon.stop()


def has_terminals():
    """Not where nobody has mounted /dev/pts, as in a bare chroot."""
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError as reason:
        print(f"no terminal can be had ({reason}): what is shown on one is left out")
        return False
    return True


def run_on_terminal(tool, *words, text=None, interrupt=None, status=0):
    """Standard output and what a terminal got on standard error; an interrupt as soon as it has
    got that."""
    ours, terminal = pty.openpty()
    process = subprocess.Popen([harness.ROSTERCTL, *words], stdin=subprocess.PIPE, stderr=terminal,
                               stdout=subprocess.PIPE, text=True, env=tool.environment())
    harness.helpers.append(process)
    os.close(terminal)
    seen = []

    def read():
        is_interrupted = interrupt is None
        try:
            while chunk := os.read(ours, 4096):
                seen.append(chunk)
                if not is_interrupted and interrupt in b"".join(seen):
                    process.send_signal(signal.SIGINT)
                    is_interrupted = True
        except OSError:  # nobody has the terminal any more
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    out, _ = process.communicate(text, timeout=30)
    reader.join(30)
    os.close(ours)
    expect_equal(process.returncode, status, f"{words}: {seen}")
    return out, b"".join(seen).decode()


def check_progress(tool):
    """A line that goes on, on a terminal alone, and is wiped in the end."""
    daemon = tool.daemon
    daemon.register(name="slow", id="s", ip="10.0.5.1", port=1)
    for ttl_s in (1, 5, 15):
        daemon.http("PUT", "/registry/services/slow/policy", {"ttl": ttl_s})
        tool.run("auto", "slow", "s")
        expect_equal(daemon.addresses("slow.service.local"), ["10.0.5.1"], "handed out")
        out, err = run_on_terminal(tool, "drain", "slow", "s")
        if err:  # else the machine was so slow that there was nothing left to wait for
            break
    expect("slow s: nobody is sent there any more; safe in " in err and err.endswith("\r\033[K"),
           err)
    expect_equal(out, "slow s is drained: it may be stopped\n", "standard output")
    daemon.http("PUT", "/registry/services/slow/policy", {"ttl": 60})
    tool.run("auto", "slow", "s")
    wait_for(lambda: daemon.addresses("slow.service.local"), 20, "handed out again")
    out, err = run_on_terminal(tool, "drain", "slow", "s", interrupt=b"safe in", status=-signal.SIGINT)
    expect(out == "" and err.endswith("\r\033[K"), f"the line stays: {err!r}")
    lines = "".join('{"registration":{"name":"slow","id":"s%d","ip":"10.0.5.2","port":1}}\n' % n
                    for n in range(1500))
    out, err = run_on_terminal(tool, "import", text=lines)
    expect("\r\033[K1000 instances registered" in err and "1500 instances imported" in err, err)
    expect_equal(out, "", "standard output")
    for number in range(1500):
        daemon.http("DELETE", f"/registry/services/slow/instances/s{number}")
    tool.run("deregister", "slow", "s")


def check_many(tool):
    """Several requests each way."""
    line = '{{"registration":{{"name":"s{}","id":"i{}","ip":"10.1.0.1","port":{}}}}}\n'
    lines = "".join(line.format(n % 7, n, n + 1) for n in range(2345))
    _, err = tool.run("import", text=lines)
    expect("2345 instances imported" in err, err)
    out, err = tool.run("export")
    expect("2350 instances exported" in err and out.count('"registration"') == 2350, err)


def check_conf(tool):
    good = harness.write_file(tool.home, "good.conf", "zone:\n  - domain: x.test\n")
    bad = harness.write_file(tool.home, "bad.conf", "zoness:\n  - domain: x.test\n")
    words = ["--rosterd", os.path.abspath(harness.ROSTERD)]
    out, err = tool.run("conf-check", good, *words)
    expect_equal((out, err), (f"{good}: nothing is wrong with it\n", ""), "a good one")
    out, err = tool.run("conf-check", bad, *words, status=78)
    expect(not out and err.startswith(f"rosterctl: {bad}:1:1: unknown key 'zoness'"), out + err)
    expect_equal(tool.json("conf-check", good, *words),
                 {"file": good, "good": True, "said": []}, "for programs")
    reply = tool.json("conf-check", bad, *words, status=78)
    expect_equal((reply["good"], reply["said"][0].startswith(f"{bad}:1:1: ")), (False, True), reply)
    _, err = tool.run("conf-check", good, "--rosterd", "/nowhere/rosterd", status=5)
    expect("/nowhere/rosterd: No such file" in err and "--rosterd FILE" in err, err)


class ChecksHandler(http.server.BaseHTTPRequestHandler):
    """A service with a check that has gone through everything."""

    def do_GET(self):
        check = {"kind": "tcp", "port": 80, "status": "critical", "history": "c" * 41 + "pwc" +
                 "p" * 16, "last_run_ago": 1, "latency_ms": 2, "output": "x"}
        body = json.dumps({"service": "s", "instances": [
            {"service": "s", "id": "i", "checks": [check]}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def check_strip(tool):
    """The newest results of a check, oldest first."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ChecksHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_address[1]}"
    out, _ = tool.run("checks", "s", "--http", address)
    expect(f" x.!x{'.' * 16} " in out, out)
    expect_equal(len(tool.json("checks", "s", "--http", address)[0]["check"]["history"]), 60, "all")
    server.shutdown()


class TokenHandler(http.server.BaseHTTPRequestHandler):
    """Says back what it was shown."""

    def do_GET(self):
        seen.append(self.headers.get("Authorization"))
        if seen[-1] == "Bearer secret":
            body = b'{"services":[],"revision":1}'
            self.send_response(200)
        else:
            body = b'{"error":{"code":"unauthorized","message":"who are you?"}}'
            self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


seen = []


def check_settings(tool):
    """Flags win over the environment, which wins over the file; a file's token is for its server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    _, err = tool.run("services", "--http", f"127.0.0.1:{port}", status=1)
    expect("who are you?" in err and "--token-file" in err, err)
    tool.run("services", ROSTERD_HTTP=f"http://127.0.0.1:{port}/", ROSTERD_TOKEN="secret")
    path = harness.write_file(tool.home, "token", "secret\n")
    tool.run("services", "--http", f"127.0.0.1@{port}", "--token-file", path)
    os.mkdir(os.path.join(tool.home, ".config"))
    conf = os.path.join(".config", "rosterctl.conf")
    harness.write_file(tool.home, conf, f"# ours\nhttp: 127.0.0.1@{port}\ntoken: secret\n")
    tool.run("services", ROSTERD_HTTP="")
    expect_equal(seen[-1], "Bearer secret", "the file's token for the file's server")
    tool.run("services", status=0)  # the environment's server, which is another
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenHandler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    tool.run("services", "--http", f"127.0.0.1:{other.server_address[1]}", status=1)
    expect_equal(seen[-1], None, "the file's token is not for another server")
    harness.write_file(tool.home, conf, "http: 127.0.0.1@1\ntokens: x\n")
    _, err = tool.run("services", status=2)
    expect("line 2: " in err and "rosterctl.conf" in err, err)
    os.remove(os.path.join(tool.home, conf))
    server.shutdown()
    other.shutdown()


def check_tls(tool):
    """A server is believed only if its certificate is."""
    cert, key = os.path.join(tool.home, "cert.pem"), os.path.join(tool.home, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "1",
                    "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_address[1]}"
    _, err = tool.run("services", "--http", url, status=3, ROSTERD_TOKEN="secret")
    expect("certificate" in err and "--cacert FILE" in err and "running there" not in err, err)
    _, err = tool.run("services", "--http", f"https://127.0.0.1:{tool.daemon.http_port}", status=3)
    expect("--http http://" in err, err)
    with socket.create_server(("127.0.0.1", 0)) as mute:  # as a port for TLS does

        def hang_up():
            with mute.accept()[0] as peer:
                peer.recv(65536)

        threading.Thread(target=hang_up, daemon=True).start()
        _, err = tool.run("services", "--http", f"127.0.0.1:{mute.getsockname()[1]}", status=3)
    expect("--http https://" in err, err)
    tool.run("services", "--http", url, "--cacert", cert, ROSTERD_TOKEN="secret")
    tool.run("services", "--http", url, "--cacert", cert, "--cert", cert, "--key", key,
             ROSTERD_TOKEN="secret")
    server.shutdown()


def check_usage(tool):
    _, err = tool.run("status", "--http", f"127.0.0.1@{harness.free_port()}", status=3)
    expect("is rosterd running there?" in err, err)
    tool.run("status", "--http", "no/address", status=2)
    for words in ([], ["stauts"], ["status", "--weight", "1"], ["status", "--bad"], ["--http"],
                  ["status", "--color", "pink"], ["status", "--timeout", "soon"],
                  ["services", "shown"], ["status", "--json=yes"]):
        _, err = tool.run(*words, status=2)
        expect("rosterctl: " in err, err)
    out, _ = tool.run("--help")
    expect("drain SERVICE ID" in out and "--token-file FILE" in out, out)
    out, _ = tool.run("drain", "--help")
    expect("--no-wait" in out and "--weight" not in out, out)
    tool.run("--version")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([harness.ROSTERCTL, "--help"], stdout=full, stderr=subprocess.PIPE,
                              timeout=30, check=False)
    expect_equal(done.returncode, 5, "a disk that is full")


def complete(tool, *words):
    """What bash offers at the end of these words."""
    script = ('eval "$("$0" completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); '
              '_rosterctl; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, harness.ROSTERCTL, "rosterctl", *words],
                          capture_output=True, text=True, timeout=30, check=False, cwd=tool.home,
                          env=tool.environment())
    expect_equal(done.stderr, "", f"completion of {words}")
    return done.stdout.split()


def check_completion(tool):
    expect_equal(complete(tool, "d"), ["deregister", "drain", "down"], "commands")
    expect_equal(complete(tool, "services", ""), ["list", "show"], "second words")
    expect_equal(complete(tool, "re"), ["register", "reload", "replace"], "commands")
    expect_equal(complete(tool, "zone", ""), ["list", "dump"], "second words")
    expect_equal(complete(tool, "zone", "dump", "service.local", "one"), ["one.json"], "files")
    expect_equal(complete(tool, "reload", "--js"), ["--json"], "options")
    expect("services" in complete(tool, ""), "the first word of two")
    expect_equal(complete(tool, "--http", "x", "drain", "--no"), ["--no-wait"], "options")
    expect_equal(complete(tool, "import", "one"), ["one.json"], "files")
    expect_equal(complete(tool, "status", "--cacert", "one"), ["one.json"], "a file as a value")
    expect_equal(complete(tool, "run", "--name", ""), [], "any value")
    expect_equal(complete(tool, "completion", ""), ["bash"], "shells")


def main():
    harness.need("bash", "dig", "openssl")
    tool = Tool(harness.Daemon())
    check_usage(tool)
    check_register(tool)
    check_show(tool)
    check_escapes(tool)
    check_states(tool)
    check_drain(tool)
    check_watch(tool)
    check_server(tool)
    check_transfer(tool)
    if has_terminals():
        check_progress(tool)
    check_many(tool)
    check_strip(tool)
    check_conf(tool)
    check_completion(tool)
    check_settings(tool)
    check_tls(tool)
    tool.daemon.stop()


harness.run(main)
