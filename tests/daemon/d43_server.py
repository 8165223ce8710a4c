# SPDX-License-Identifier: BSD-2-Clause
"""The server over HTTP: reloaded, replaced, its zones read; by rosterctl too, and by who may."""

import http.client
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess

import harness
from harness import expect, expect_equal, wait_for

STEADY = os.path.join(harness.BUILD, "tests/daemon/steady")
QUERY_RATE = "500"
NAME = "payment.service.local"
SERVICES, EACH = 400, 25  # a zone of some megabytes: more than sockets hold
OPS = {"name": "ops", "token": "token-of-ops", "admin": "*"}
READER = {"name": "reader", "token": "token-of-reader", "read": "*"}
TEAM = {"name": "team", "token": "token-of-team", "admin": ["pay-*"], "read": ["web"]}
ENTRIES = (OPS, READER, TEAM)
SLEEPER = "#!/bin/sh\nexec sleep 60\n"


class Server(harness.Daemon):
    """A daemon of a program of its own, which tests put others in place of."""

    def __init__(self):
        self.program = os.path.join(harness.make_folder(), "rosterd")
        shutil.copy(harness.ROSTERD, self.program)
        super().__init__(config=config(), token=OPS["token"])
        self.pid = self.process.pid

    def command(self):
        command = super().command()
        return [self.program, *command[1:]]

    def write(self, text):
        self.config = text
        harness.write_file(self.folder, "rosterd.conf", text)

    def ask(self, method, path, token=None):
        """As somebody else."""
        kept, self.token = self.token, token
        try:
            return self.http(method, path)
        finally:
            self.token = kept

    def ctl(self, *words, status=0):
        """Standard output and error of rosterctl, which must end so."""
        done = subprocess.run(
            [harness.ROSTERCTL, *words], capture_output=True, text=True, timeout=100, check=False,
            stdin=subprocess.DEVNULL, env=self.environment())
        expect_equal(done.returncode, status, f"{words}: {done.stdout} {done.stderr}")
        return done.stdout, done.stderr

    def start_on_terminal(self, *words):
        """rosterctl with a terminal for both of its outputs; what that gets comes by a pipe."""
        return harness.spawn("script", "-qefc", shlex.join([os.path.abspath(harness.ROSTERCTL), *words]),
                             "/dev/null", stdout=subprocess.PIPE, text=True, env=self.environment())

    def environment(self):
        environment = {name: os.environ[name] for name in ("PATH", "ASAN_OPTIONS", "TSAN_OPTIONS")
                       if name in os.environ}
        return {**environment, "HOME": self.folder, "LC_ALL": "C.UTF-8", "TERM": "dumb",
                "ROSTERD_HTTP": f"127.0.0.1@{self.http_port}", "ROSTERD_TOKEN": self.token}

    def put_program(self, *, text=None):
        """Another program at the place of the one that runs."""
        aside = self.program + ".new"
        if text:
            with open(aside, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(aside, 0o755)
        else:
            shutil.copy(harness.ROSTERD, aside)
        os.rename(aside, self.program)

    def adopt(self, pid):
        """The process that serves now is no child of the test's."""
        self.pid = pid
        harness.cleanups.append(lambda: harness.is_running(pid) and os.kill(pid, signal.SIGKILL))

    def server(self):
        status, reply = self.http("GET", "/server")
        expect_equal(status, 200, f"/server: {reply}")
        return reply


def config(zone="service.local", more=""):
    return (f"server:\n  workers: 1\n{more}zone:\n  - domain: {zone}\n" + harness.access(*ENTRIES))


# ---- Who may ----


def check_access(server):
    for entry, read, register, admin in ((OPS, ["*"], ["*"], ["*"]), (READER, ["*"], [], []),
                                         (TEAM, ["pay-*", "web"], ["pay-*"], ["pay-*"])):
        status, reply = server.ask("GET", "/server/access", entry["token"])
        expect_equal((status, reply["name"], sorted(reply["read"]), reply["register"],
                      reply["admin"]), (200, entry["name"], read, register, admin), reply)
    expect_equal(server.ask("GET", "/server/access")[0], 401, "nobody")
    for method, path, allowed in (("POST", "/server/reload", ()), ("POST", "/server/replace", ()),
                                  ("GET", "/server/zones/service.local", (READER,))):
        for entry in (READER, TEAM):
            status, reply = server.ask(method, path, entry["token"])
            expect_equal(status, 200 if entry in allowed else 403, f"{entry['name']} {path}")
        expect_equal(server.ask(method, path)[0], 401, path)
    expect_equal(server.server()["pid"], server.pid, "nothing was replaced")
    expect("reloaded" not in server.log(), "nothing was reloaded")
    out, err = server.ctl("reload", "--token-file",
                          harness.write_file(server.folder, "t", READER["token"]), status=1)
    expect(not out and "refused (403)" in err and "--token-file" in err, err)


# ---- reload ----


def check_reload(server):
    """The reply comes when DNS has it, or says why not with the line of the file."""
    server.register(name="payment", ip="10.0.0.1", port=80)
    server.write(config("other.local"))
    expect_equal(server.http("POST", "/server/reload"),
                 (200, {"status": "reloaded", "takes_restart": []}), "good")
    expect_equal(server.addresses("payment.other.local"), ["10.0.0.1"], "right behind the reply")
    expect_equal(server.dig(NAME).status, "REFUSED", "the old zone")
    expect_equal(server.server()["zones"], ["other.local"], "zones")

    path = os.path.join(server.folder, "rosterd.conf")
    server.write(config().replace("workers", "wokers"))
    status, reply = server.http("POST", "/server/reload")
    expect_equal(status, 400, reply)
    expect(reply["error"]["message"].startswith(f"{path}:2:3: unknown key 'wokers'"), reply)
    expect_equal(server.addresses("payment.other.local"), ["10.0.0.1"], "after a bad file")
    _, err = server.ctl("reload", status=1)
    expect(f"{path}:2:3: " in err and "nothing was changed" in err, err)
    server.write(config(more="  identity: second\n"))
    out, err = server.ctl("reload")
    expect_equal(out, "reloaded\n", "rosterctl")
    expect("identity\n" in err and "rosterctl replace" in err, err)
    expect_equal(server.addresses(NAME), ["10.0.0.1"], "the zone is back")
    for ttl in range(10, 20):
        server.write(config(more=f"  ttl: {ttl}s\n"))
        server.http("POST", "/server/reload")
        expect_equal(server.dig(NAME, "A").answer[0].ttl, ttl, "the TTL right behind the reply")
    # Whoever reloads may take its own rights away.
    server.write(config().replace("admin", "read", 1))
    expect_equal(server.http("POST", "/server/reload")[0], 200, "the last thing it may do")
    expect_equal(server.http("POST", "/server/reload")[0], 403, "no right any more")
    server.write(config())
    server.send_signal(signal.SIGHUP)
    wait_for(lambda: server.http("POST", "/server/reload")[0] == 200, 10, "the right is back")


# ---- Zones ----


def register_many(server):
    for start in range(0, SERVICES * EACH, 1000):
        status, reply = server.http("POST", "/registry/register", [
            {"name": f"s{i // EACH}", "ip": f"10.1.{i // 250}.{i % 250 + 1}", "port": 80,
             "tags": ["blue"], "meta": {"text": "x" * 100}} for i in range(start, start + 1000)])
        expect_equal(status, 201, reply)


def read_file(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def records_of(text):
    return sorted(line for line in text.splitlines() if not line.startswith(";"))


def is_zone(path):
    """Programs that are not ours read it."""
    commands = [["ldns-read-zone", path]]
    if shutil.which("named-checkzone"):
        commands.append(["named-checkzone", "-k", "ignore", "-i", "none", "service.local", path])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        expect_equal(done.returncode, 0, f"{command[0]}: {done.stdout[-500:]} {done.stderr[-500:]}")


def check_zone(server):
    """What rosterctl writes is what SIGUSR1 writes, and queries go on meanwhile."""
    register_many(server)
    path = os.path.join(server.folder, "out.zone")
    steady = harness.spawn(STEADY, str(server.dns_port), QUERY_RATE, NAME, "10.0.0.1",
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    out, err = server.ctl("zone", "dump", "service.local", path)
    expect_equal((out, err), ("", ""), "rosterctl into a file")
    server.send_signal(signal.SIGUSR1)
    wait_for(lambda: "event=dumped" in server.log(), 30, "a dump by signal")
    text, _ = steady.communicate(timeout=20)
    numbers = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}
    expect(numbers["sent"] > 0 and numbers["answered"] == numbers["sent"] and
           numbers["wrong"] == 0, text)

    text = read_file(path)
    wanted = records_of(read_file(os.path.join(server.data, "service.local.dump")))
    expect_equal(records_of(text) == wanted, True, "the same records as by SIGUSR1")
    expect_equal(text.splitlines()[-1], f"; {len(wanted)} records", "the last line")
    is_zone(path)
    expect(server.ctl("zone", "dump", "Service.LOCAL.")[0] == text, "on standard output")
    expect_equal(server.ctl("zone")[0], "service.local\n", "the zones")
    _, err = server.ctl("zone", "dump", "x.service.local", status=4)
    expect("not served" in err and "zone list" in err, err)
    out, err = server.ctl("zone", "dump", "service.local", "--json", status=2)
    expect(out == "" and "--json" in err, out + err)
    _, err = server.ctl("zone", "dump", "service.local", "/nowhere/at/all", status=5)
    expect_equal([name for name in os.listdir(server.folder) if "zone" in name], ["out.zone"],
                 "files")
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    connection.request("HEAD", "/server/zones/service.local", headers=authorization())
    reply = connection.getresponse()
    expect_equal((reply.status, reply.getheader("Content-Type"), reply.read()),
                 (200, "text/dns", b""), "HEAD")
    connection.close()


def authorization():
    return {"Authorization": f"Bearer {OPS['token']}"}


def begin_zone(server):
    """A client that reads the beginning of the zone and no more."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    client.connect(("127.0.0.1", server.http_port))
    client.sendall(b"GET /server/zones/service.local HTTP/1.1\r\nHost: localhost\r\n"
                   b"Authorization: Bearer " + OPS["token"].encode() + b"\r\n\r\n")
    expect(client.recv(15) == b"HTTP/1.1 200 OK", "a zone begins")
    return client


def read_rest(client):
    """What comes up to the end of the connection, however that ends."""
    octets = []
    try:
        while octets[-1:] != [b""]:
            octets.append(client.recv(1 << 20))
    except ConnectionResetError:
        pass
    client.close()
    return b"".join(octets)


def count_threads(server):
    return len(os.listdir(f"/proc/{server.pid}/task"))


def limit_hits(server, limit):
    text = server.http("GET", "/metrics")[1]
    return int(re.search(rf'rosterd_limit_hit_total{{limit="{limit}"}} (\d+)', text)[1])


def check_readers(server):
    """Who reads slowly holds up nobody, and has the whole in the end; who leaves is forgotten."""
    before = count_threads(server)
    clients = [begin_zone(server) for _ in range(4)]
    status, reply = server.http("GET", "/server/zones/service.local")
    expect_equal(status, 503, reply)
    expect_equal(limit_hits(server, "zone-streams"), 1, "counted")
    server.register(name="payment", ip="10.0.0.1", port=80)
    expect_equal(server.addresses(NAME), ["10.0.0.1"], "meanwhile")
    for client in clients[1:]:
        client.close()
    expect(read_rest(clients[0]).endswith(b" records\n\r\n0\r\n\r\n"), "the whole zone")
    wait_for(lambda: count_threads(server) <= before, 10, "the threads are gone")
    expect_equal(server.http("GET", "/server/zones/service.local")[0], 200, "there is room again")


def watchers(server):
    lines = server.http("GET", "/metrics")[1].splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rosterd_watchers "))


def check_watch(server):
    """An event came to stand behind "trying again", on the same line, when the stream was back."""
    watch = server.start_on_terminal("watch", "--count", "1")
    wait_for(lambda: watchers(server) == 1, 10, "it watches")
    server.write(config() + harness.access({"name": "new", "token": "token-of-new"})[8:])
    server.ctl("reload")
    # How long it is away is its own affair; what it says is not lost.
    said = ""
    while "trying again" not in said:
        said += (more := watch.stdout.read(1))
        expect(more, f"it has ended: {said!r}")
    wait_for(lambda: watchers(server) == 1, 10, "it has come again")
    server.register(name="web", ip="10.0.0.2", port=80)
    said += watch.stdout.read()
    watch.wait(20)
    expect("registered  web" in said.rpartition("\033[K")[2], repr(said))
    server.write(config())
    server.ctl("reload")


# ---- replace ----


def check_replace(server):
    """Under queries; a zone that is being read breaks off, and cannot be taken for a whole one."""
    steady = harness.spawn(STEADY, str(server.dns_port), QUERY_RATE, NAME, "10.0.0.1",
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    client = begin_zone(server)
    old = server.process
    harness.helpers.append(old)
    server.write(config(more="  identity: second\n"))
    out, _ = server.start_on_terminal("replace").communicate(timeout=100)
    pid = server.server()["pid"]
    said = rf"replaced: process {pid}, version \S+, serves in place of {old.pid}\s*"
    expect(re.fullmatch(said, out.rpartition("\033[K")[2]) and pid != old.pid, repr(out))
    server.adopt(pid)
    expect_equal(old.wait(harness.START_S), 0, "the old server's exit status")
    rest = read_rest(client)
    expect(b" records\n" not in rest and not rest.endswith(b"\r\n0\r\n\r\n"),
           "a part of a zone has an end")
    expect_equal(server.dig("id.server", "TXT", "CH").data(), ['"second"'],
                 "the new configuration")
    text, _ = steady.communicate(timeout=20)
    numbers = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}
    expect(numbers["sent"] > 0 and numbers["answered"] == numbers["sent"] and
           numbers["wrong"] == 0, text)


def check_refused(server):
    """A new server that cannot start says why, and the old one goes on."""
    pid = server.pid
    path = os.path.join(server.folder, "rosterd.conf")
    server.write(config().replace("workers", "wokers"))
    _, err = server.ctl("replace", status=1)
    expect(f"not replaced: {path}:2:3: unknown key 'wokers'" in err and
           f"process {pid} goes on" in err, err)
    replacement = server.server()["replacement"]
    expect_equal((replacement["status"], replacement["reason"].startswith(f"{path}:2:3: ")),
                 ("failed", True), replacement)
    expect("replacement" not in server.ask("GET", "/server", READER["token"])[1],
           "who may not replace hears nothing of it")

    # It has begun to take over when it fails: the port of HTTP is there, another one is not.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        address = f"127.0.0.1@{taken.getsockname()[1]}"
        server.write(config(more=f"  dns-tls: [{address}]\n  tls: {{certificate: c, key: k}}\n"))
        make_certificate(server.folder)
        out, err = server.ctl("replace", "--json", status=1)
        expect("listen-failed" in err and address in err and '"status": "failed"' in out, out + err)
    expect_equal((server.server()["pid"], server.addresses(NAME)), (pid, ["10.0.0.1"]), "as before")
    server.write(config())


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", os.path.join(folder, "k"),
                    "-out", os.path.join(folder, "c"), "-days", "1", "-subj", "/CN=test"],
                   check=True, capture_output=True, timeout=30)


def check_hanging(server):
    """A new program that does nothing: it is told so, and is not waited for longer than is said."""
    pid = server.pid
    server.put_program(text=SLEEPER)
    _, err = server.ctl("replace", "--timeout", "3s", status=1)
    expect("does not serve here yet" in err, err)
    status, reply = server.http("POST", "/server/replace")
    expect_equal((status, reply["error"]["message"]), (409, "one runs already"), reply)
    replacement = server.server()["replacement"]
    expect_equal(replacement["status"], "running", replacement)
    os.kill(replacement["pid"], signal.SIGTERM)
    replacement = wait_for(
        lambda: server.server()["replacement"]["status"] == "failed" and
        server.server()["replacement"], 10, "its end is seen")
    expect_equal(replacement["reason"], "ended by signal 15", replacement)
    os.unlink(server.program)
    status, reply = server.http("POST", "/server/replace")
    expect_equal((status, reply["error"]["message"]),
                 (409, f"{server.program}: No such file or directory"), reply)
    server.put_program()
    expect_equal(server.server()["pid"], pid, "the server")
    server.ctl("replace")
    server.adopt(server.server()["pid"])
    expect(server.pid != pid and not harness.is_running(pid) or
           wait_for(lambda: not harness.is_running(pid), 10, "the old one ends"), "replaced")


def main():
    harness.need("dig", "ldns-read-zone", "openssl", "script")
    if not os.path.exists(STEADY):
        raise harness.Skip(f"{STEADY} is not built")
    server = Server()
    check_access(server)
    check_reload(server)
    check_zone(server)
    check_readers(server)
    check_watch(server)
    check_replace(server)
    check_refused(server)
    check_hanging(server)
    os.kill(server.pid, signal.SIGTERM)
    wait_for(lambda: not harness.is_running(server.pid), harness.STOP_S, "the end")
    server.check_log()


harness.run(main)
