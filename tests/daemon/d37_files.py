# SPDX-License-Identifier: BSD-2-Clause
"""Registration from files: what is in the directory is registered, however it is written, and a bad
file disturbs neither what it said before nor the others."""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess

import harness
from harness import expect, expect_equal

LIMIT_S = 40
MANY = 3000
USER = "nobody"


def service(name, ip, **fields):
    return {"name": name, "ip": ip, "port": 80, **fields}


class Directory:
    """A directory of files of services, and a daemon that reads it."""

    def __init__(self, files=(), extra="", start=True):
        self.folder = harness.make_folder()
        os.chmod(self.folder, 0o755)
        self.path = os.path.join(self.folder, "services.d")
        os.mkdir(self.path)
        for name, text in dict(files).items():
            self.put(name, text)
        self.daemon = harness.Daemon(folder=self.folder, config=self.configuration(extra),
                                     wait=start)

    @staticmethod
    def configuration(extra="", key="services-dir: services.d"):
        return f"server:\n  {key}\n  {extra}\nzone:\n  - domain: service.local\n"

    def file(self, name):
        return os.path.join(self.path, name)

    def put(self, name, content):
        """As a careful program does: written aside, and renamed."""
        text = content if isinstance(content, str) else json.dumps(content)
        aside = harness.write_file(self.folder, "aside", text)
        os.chmod(aside, 0o644)
        os.rename(aside, self.file(name))

    def wait(self, name, *ips):
        self.daemon.wait_addresses(f"{name}.service.local", list(ips), LIMIT_S)

    def wait_log(self, pattern, about, count=1):
        harness.wait_for(lambda: len(re.findall(pattern, self.daemon.log())) >= count, LIMIT_S,
                         about)

    def barrier(self):
        """Returns when what was done to the directory before was looked at: a change behind it is
        seen."""
        self.number = getattr(self, "number", 0) + 1
        name = f"barrier-{self.number}"
        self.put(f"zz-{name}.json", service(name, "10.9.9.9"))
        self.wait(name, "10.9.9.9")

    def instance(self, name, ident):
        status, found = self.daemon.http("GET", f"/registry/services/{name}/instances/{ident}")
        expect_equal(status, 200, f"GET {name} {ident}")
        return found

    def metric(self, line):
        text = self.daemon.http("GET", "/metrics")[1]
        return int(re.search(rf"^{re.escape(line)} (\d+)$", text, re.M).group(1))

    def wait_metric(self, line, wanted):
        """A round over the files has its end a moment behind what it changes in DNS."""
        harness.wait_for(lambda: self.metric(line) == wanted, LIMIT_S, f"{line} is {wanted}")

    def ips(self, name):
        return self.daemon.addresses(f"{name}.service.local")


def check_create_and_change():
    """All is there when the server is ready; what stays the same is not touched."""
    directory = Directory({"web.json": [service("web", "10.0.0.1", id="a"),
                                        service("web", "10.0.0.2", id="b")],
                           "consul.json": {"service": {
                               "name": "redis", "id": "r1", "address": "10.0.0.9", "port": 6379,
                               "Tags": ["primary"], "check": {"ttl": "1h", "status": "passing"}}},
                           "notes.txt": "not a file of services"})
    daemon = directory.daemon
    expect_equal(directory.ips("web"), ["10.0.0.1", "10.0.0.2"], "at start")
    expect_equal(directory.ips("redis"), ["10.0.0.9"], "Consul's form")
    expect_equal(daemon.dig("primary.redis.service.local", "SRV").data("SRV"),
                 ["10 1 6379 r1.redis.service.local."], "Consul's tags and weight")
    directory.wait_metric('rosterd_service_files{state="good"}', 2)
    a, b = directory.instance("web", "a"), directory.instance("web", "b")
    expect_equal(a["file"], "web.json", "whose it is")

    # A change of one, an addition, in place.
    harness.write_file(directory.path, "web.json", json.dumps(
        [service("web", "10.0.0.1", id="a"), service("web", "10.0.0.3", id="b"),
         service("web", "10.0.0.4", id="c")]))
    directory.wait("web", "10.0.0.1", "10.0.0.3", "10.0.0.4")
    expect_equal(directory.instance("web", "a")["revision_modified"], a["revision_modified"],
                 "the revision of what stayed")
    expect(directory.instance("web", "b")["revision_modified"] > b["revision_modified"],
           "what changed has a new revision")

    # A definition less; then the file goes.
    directory.put("web.json", [service("web", "10.0.0.1", id="a")])
    directory.wait("web", "10.0.0.1")
    os.unlink(directory.file("web.json"))
    directory.wait("web")
    expect_equal(directory.ips("redis"), ["10.0.0.9"], "the others")
    return directory


def check_moves(directory):
    """Renaming a file, or moving what is in it, takes nothing from DNS meanwhile."""
    daemon = directory.daemon
    directory.put("a.json", service("move", "10.1.0.1", id="x"))
    directory.wait("move", "10.1.0.1")
    created = directory.instance("move", "x")["revision_created"]
    os.rename(directory.file("a.json"), directory.file("b.json"))
    harness.wait_for(lambda: directory.instance("move", "x")["file"] == "b.json", LIMIT_S,
                     "the new name")
    expect_equal(directory.instance("move", "x")["revision_created"], created, "never gone")

    # The same in two files: the first by name has it.
    directory.put("c.json", [service("move", "10.1.0.3", id="x"), service("other", "10.1.0.4")])
    directory.wait_log(r'c\.json:1:2: service \\"move\\", id \\"x\\": is in \\"b\.json\\" already',
                       "the second is told")
    expect_equal(directory.ips("move"), ["10.1.0.1"], "the first has it")
    expect_equal(directory.ips("other"), [], "the second is bad as a whole")
    directory.put("a.json", service("move", "10.1.0.5", id="x"))
    directory.wait("move", "10.1.0.5")
    directory.wait_log(r'b\.json:1:1: service \\"move\\".* is in \\"a\.json\\" already',
                       "who had it is told")
    os.unlink(directory.file("a.json"))
    directory.wait("move", "10.1.0.1")
    os.unlink(directory.file("b.json"))
    directory.wait("move", "10.1.0.3")
    directory.wait("other", "10.1.0.4")
    expect_equal(directory.instance("move", "x")["revision_created"], created, "never gone")
    os.unlink(directory.file("c.json"))
    directory.wait("move")
    directory.wait_metric('rosterd_service_files{state="bad"}', 0)
    expect(directory.metric('rosterd_service_file_reads_total{result="bad"}') >= 2, "bad reads")
    expect(daemon.process.poll() is None, "it runs")


def check_bad_files(directory):
    """A bad file keeps what it said, is named with its line, and the others work."""
    directory.put("web.json", [service("web", "10.2.0.1", id="a"),
                               service("web", "10.2.0.2", id="b")])
    directory.wait("web", "10.2.0.1", "10.2.0.2")
    # Half of it first, as slow programs write.
    text = json.dumps([service("web", "10.2.0.3", id="a")], indent=1)
    with open(directory.file("web.json"), "w", encoding="utf-8") as file:
        file.write(text[:20])
        file.flush()
        directory.barrier()
        expect_equal(directory.ips("web"), ["10.2.0.1", "10.2.0.2"], "half of a file")
        file.write(text[20:])
    directory.wait("web", "10.2.0.3")

    # One wrong field, on a line of its own.
    directory.put("web.json", '[\n {"name": "web", "id": "a", "ip": "10.2.0.4", "port": 80},\n'
                              ' {"name": "web", "id": "b", "ip": "10.2.0.5",\n  "port": 0}\n]\n')
    directory.wait_log(r'event=services-refused error="?\S*/services\.d/web\.json:4:3: port: must be',
                       "the line is told")
    directory.put("good.json", service("good", "10.2.1.1"))
    directory.wait("good", "10.2.1.1")
    expect_equal(directory.ips("web"), ["10.2.0.3"], "what it said before stays, all of it")
    directory.wait_metric('rosterd_service_files{state="bad"}', 1)
    directory.barrier()
    expect_equal(len(re.findall(r"web\.json:4:3", directory.daemon.log())), 1, "told once")

    # A reader that may not, a directory of that name, a link to nowhere: all bad, nothing lost.
    os.mkdir(directory.file("folder.json"))
    os.symlink("nowhere", directory.file("link.json"))
    directory.wait_log(r"folder\.json: is a directory", "a directory")
    directory.wait_log(r"link\.json: No such file", "a link")
    os.rmdir(directory.file("folder.json"))
    os.unlink(directory.file("link.json"))

    # Mended.
    directory.put("web.json", [service("web", "10.2.0.6", id="a")])
    directory.wait("web", "10.2.0.6")
    directory.wait_log("event=services-accepted file=web.json", "it is good again")
    directory.wait_metric('rosterd_service_files{state="bad"}', 0)


def check_http(directory):
    """What is a file's is changed there alone; what was HTTP's is taken over."""
    daemon = directory.daemon
    directory.put("own.json", service("own", "10.3.0.1", id="x",
                                      checks=[{"kind": "ttl", "ttl": "1h"}]))
    directory.wait_log('event=services-read', "read")
    harness.wait_for(lambda: daemon.http("GET", "/registry/services/own")[0] == 200, LIMIT_S, "own")
    for method, path, body in (
            ("POST", "/registry/register", service("own", "10.3.0.2", id="x")),
            ("POST", "/registry/deregister", {"service": "own", "id": "x"}),
            ("DELETE", "/registry/services/own/instances/x", None)):
        status, reply = daemon.http(method, path, body)
        expect_equal(status, 409, f"{method} {path}: {reply}")
        expect('"own.json"' in reply["error"]["message"], reply)
    status, reply = daemon.http("POST", "/registry/register", [service("own", "10.3.0.2", id="x"),
                                                               service("http", "10.3.0.3")])
    expect_equal((status, [slot["status"] for slot in reply["results"]]), (207, [409, 201]), "array")
    daemon.http("POST", "/registry/heartbeat", {"service": "own", "id": "x", "status": "passing"})
    directory.wait("own", "10.3.0.1")
    status, _ = daemon.http("PUT", "/registry/services/own/instances/x/admin", {"state": "drain"})
    expect_equal(status, 200, "drain")
    directory.wait("own")
    # The file changes: what the operator said stays.
    directory.put("own.json", service("own", "10.3.0.4", id="x"))
    harness.wait_for(lambda: directory.instance("own", "x")["ip"] == "10.3.0.4", LIMIT_S, "changed")
    expect_equal(directory.instance("own", "x")["admin"], "drain", "admin state")

    daemon.register(**service("taken", "10.3.1.1", id="x", lease="1h"))
    expect("file" not in directory.instance("taken", "x"), "no file")
    directory.put("taken.json", service("taken", "10.3.1.2", id="x"))
    directory.wait("taken", "10.3.1.2")
    directory.wait_log("event=service-taken-over service=taken id=x file=taken.json", "taken over")
    expect_equal(directory.instance("taken", "x")["lease"], None, "no lease any more")
    # An id that only the directory's own name tells from its file's.
    status, reply = daemon.http("POST", "/registry/register",
                                {**service("taken", "10.3.1.9"), "file": "taken.json"})
    expect_equal(status, 400, reply)


def check_restart(directory):
    """What changed while nobody looked is found at start; the rest goes on as it was."""
    daemon = directory.daemon
    directory.put("gone.json", service("gone", "10.4.0.1"))
    directory.put("half.json", service("half", "10.4.0.2", id="x"))
    directory.put("same.json", service("same", "10.4.0.3", id="x"))
    directory.put("more.json", service("more", "10.4.0.4"))
    for number, name in enumerate(("gone", "half", "same", "more"), 1):
        directory.wait(name, f"10.4.0.{number}")
    created = directory.instance("same", "x")["revision_created"]
    for end in (signal.SIGTERM, signal.SIGKILL):
        daemon.send_signal(end)
        daemon.wait_exit()
        if end == signal.SIGTERM:
            os.unlink(directory.file("gone.json"))
            directory.put("half.json", "[{")
            directory.put("more.json", service("more", "10.4.0.5"))
        daemon.start()
        # Ready is when the files are read, so nothing has to be waited for.
        expect_equal(directory.ips("half"), ["10.4.0.2"], "a file that is bad by now")
        expect_equal(directory.ips("same"), ["10.4.0.3"], "a file that is the same")
        expect_equal(directory.ips("more"), ["10.4.0.5"], "a file that has changed")
        directory.wait("gone")
        expect_equal(directory.instance("own", "x")["admin"], "drain", "admin state")
        expect_equal(directory.instance("same", "x")["file"], "same.json", "whose it is")
    expect(directory.instance("same", "x")["revision_modified"] >= created, "revisions")


def check_directory(directory):
    """A directory that is not there, or is not mounted, deregisters nothing."""
    daemon = directory.daemon
    before = directory.ips("same")
    os.rename(directory.path, directory.path + ".away")
    directory.wait_log(r"event=services-dir-refused error=\S*services\.d: No such file|"
                       r'event=services-dir-refused error="\S*services\.d: No such file',
                       "the directory is gone")
    expect_equal(directory.ips("same"), before, "without the directory")
    directory.wait_metric("rosterd_services_dir_refused", 1)
    os.mkdir(directory.path)
    directory.wait_log("perhaps it is not mounted", "an empty one in its place")
    expect_equal(directory.ips("same"), before, "with an empty directory")
    os.rmdir(directory.path)
    os.rename(directory.path + ".away", directory.path)
    directory.wait_log("event=services-dir-read", "it is back")
    directory.put("back.json", service("back", "10.5.0.1"))
    directory.wait("back", "10.5.0.1")
    directory.wait_metric("rosterd_services_dir_refused", 0)

    # Another directory, and none, by a reload.
    other = os.path.join(directory.folder, "other.d")
    os.mkdir(other)
    harness.write_file(other, "same.json", json.dumps(service("same", "10.5.0.3", id="x")))
    reload_with(directory, "services-dir: other.d")
    directory.wait("same", "10.5.0.3")
    directory.wait("back")
    reload_with(directory, "ttl: 5s")
    harness.wait_for(lambda: daemon.http("DELETE", "/registry/services/same/instances/x")[0] == 200,
                     LIMIT_S, "nobody reads files any more")
    reload_with(directory, "services-dir: other.d")
    directory.wait("same", "10.5.0.3")
    # One that is empty before our eyes is meant; so is what a reload finds.
    os.unlink(os.path.join(other, "same.json"))
    directory.wait("same")
    daemon.stop()


def reload_with(directory, key):
    daemon = directory.daemon
    count = daemon.log().count("event=reloaded ")
    harness.write_file(directory.folder, "rosterd.conf", directory.configuration("", key))
    daemon.send_signal(signal.SIGHUP)
    directory.wait_log("event=reloaded ", "reloaded", count + 1)


def check_empty_at_start():
    directory = Directory({"one.json": service("one", "10.6.0.1")})
    directory.daemon.stop()
    os.unlink(directory.file("one.json"))
    directory.daemon.start()
    directory.wait_log("perhaps it is not mounted", "told")
    expect_equal(directory.ips("one"), ["10.6.0.1"], "kept")
    directory.daemon.send_signal(signal.SIGHUP)
    directory.wait("one")
    directory.daemon.stop()


def check_collision():
    """A name of a zone file is refused, with the file's name, and tried again."""
    directory = Directory({"www.json": service("www", "10.7.0.1")}, start=False)
    zones = os.path.join(directory.folder, "zones")
    os.mkdir(zones)
    head = ("@ 5 SOA ns.service.local. root.service.local. 1 2 3 4 5\n@ 5 NS ns\n"
            "ns 5 A 127.0.0.1\n")
    harness.write_file(zones, "service.local.zone", head + "www 5 A 10.7.0.9\n")
    directory.daemon.start()
    directory.wait_log(r'www\.json:1:1: service \\"www\\", id \\"10-7-0-1-80\\": '
                       r"www\.service\.local\.? is a name of the zone file", "told")
    expect_equal(directory.ips("www"), ["10.7.0.9"], "the zone file has it")
    harness.write_file(zones, "service.local.zone", head)
    directory.daemon.send_signal(signal.SIGHUP)
    directory.wait("www", "10.7.0.1")
    directory.daemon.stop()


def check_many():
    """Thousands of definitions at once: all come, and go, and the server answers meanwhile."""
    directory = Directory()
    directory.put("many.json", [service("many", f"10.8.{i // 250}.{i % 250}", id=f"i{i}")
                                for i in range(MANY)])
    for i in range(20):
        directory.put(f"small-{i}.json", service(f"small-{i}", "10.8.100.1"))
    count = lambda: len(directory.daemon.http("GET", "/registry/services/many")[1]
                        .get("instances", []))
    harness.wait_for(lambda: count() == MANY, LIMIT_S, "all are there")
    directory.wait("small-19", "10.8.100.1")
    os.unlink(directory.file("many.json"))
    harness.wait_for(lambda: count() == 0, LIMIT_S, "all are gone")
    directory.wait("small-19", "10.8.100.1")
    directory.daemon.stop()


def check_removed_meanwhile():
    """A file that was removed while those before it were read was refused as if it were bad; a
    link that leads nowhere is."""
    directory = Directory({"z.json": service("late", "10.8.200.1")})
    directory.wait("late", "10.8.200.1")
    for number in range(3):
        directory.put("z.json", service("late", "10.8.200.1", weight=number))
        directory.put("a.json", [service("early", "10.8.200.2", id=f"{number}-{i}")
                                 for i in range(2 * MANY)])
        harness.wait_for(lambda: directory.daemon.http("GET", "/registry/services/early")[0] == 200,
                         LIMIT_S, "the first file is being read", every_s=0)
        os.unlink(directory.file("z.json"))
        directory.wait("late")
        os.unlink(directory.file("a.json"))
        directory.wait("early")
    expect("services-refused" not in directory.daemon.log(), "a file that is gone is refused")
    directory.put("z.json", service("late", "10.8.200.1"))
    directory.wait("late", "10.8.200.1")
    os.symlink("nowhere", directory.file("link"))
    os.rename(directory.file("link"), directory.file("z.json"))
    directory.wait_log(r"event=services-refused .*z\.json: No such file", "the link is refused")
    expect_equal(directory.ips("late"), ["10.8.200.1"], "with a link that leads nowhere")
    directory.daemon.stop()


def check_stop_at_start():
    """Who is told to stop while it reads files for the first time does not become ready any more."""
    directory = Directory({f"{number}.json": [service(f"web-{number}", "10.9.0.1", id=f"i{i}")
                                              for i in range(200)] for number in range(200)},
                          start=False)
    daemon = directory.daemon
    daemon.launch()
    directory.wait_log("event=restored", "restored")
    with socket.create_connection(("127.0.0.1", daemon.dns_port)) as client:
        client.send(bytes(1))  # half a length, which the end waits for
        daemon.stop()
    expect("event=ready" not in daemon.log().partition("event=stopping")[2], daemon.log())


def check_sandboxed():
    """As another user, sealed: files are watched, and what it may not read is told."""
    if os.geteuid() != 0:
        return
    directory = Directory({"web.json": service("web", "10.10.0.1")}, extra=f"user: {USER}")
    directory.wait("web", "10.10.0.1")
    directory.put("web.json", service("web", "10.10.0.2"))
    directory.wait("web", "10.10.0.2")
    with open(directory.file("closed.json"), "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), stat.S_IRUSR)
        file.write(json.dumps(service("closed", "10.10.0.3")))
    directory.wait_log(r"closed\.json: Permission denied", "told")
    os.chmod(directory.file("closed.json"), 0o644)
    directory.wait("closed", "10.10.0.3")
    os.chmod(directory.path, 0o700)
    directory.wait_log(rf"services\.d: Permission denied\" uid={pwd.getpwnam(USER).pw_uid}", "told")
    expect_equal(directory.ips("web"), ["10.10.0.2"], "kept")
    os.chmod(directory.path, 0o755)
    directory.put("web.json", service("web", "10.10.0.4"))
    directory.wait("web", "10.10.0.4")
    directory.daemon.stop()


def check_full_disk():
    """What cannot be saved is not registered, and is as soon as it can be."""
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
                           capture_output=True, check=False)
    if probe.returncode != 0:
        return
    directory = Directory({"old.json": service("old", "10.12.0.1"),
                           "less.json": [service("less", "10.12.1.1", id="x"),
                                         service("less", "10.12.1.2", id="y")]}, start=False)
    daemon = directory.daemon
    os.mkdir(daemon.data)
    daemon.prefix = ["unshare", "-m", "sh", "-c",
                     f'mount -t tmpfs -o size=4m none "{daemon.data}" && exec "$@"', "sh"]
    daemon.start()
    expect_equal(directory.ips("old"), ["10.12.0.1"], "at start")
    filler = f"/proc/{daemon.process.pid}/root{daemon.data}/filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)) == 4096:
                pass
        except OSError:
            pass
    directory.put("new.json", [service("new", f"10.12.{i // 250}.{i % 250}", id=f"i{i}",
                                       meta={"k": "v" * 200}) for i in range(MANY)])
    os.unlink(directory.file("old.json"))
    # Read, and good, before the round fails.
    directory.put("less.json", [service("less", "10.12.1.1", id="x")])
    directory.wait_log("event=store-degraded", "the disk is full")
    expect_equal(directory.ips("old"), ["10.12.0.1"], "nothing is half done")
    expect_equal(directory.ips("less"), ["10.12.1.1", "10.12.1.2"], "nothing is half done")
    os.unlink(filler)

    def is_whole():
        # Whoever writes beside the files all the time keeps nobody from looking at them again.
        harness.write_file(directory.path, "notes.txt", "not a file of services")
        found = daemon.http("GET", "/registry/services/new")[1]
        return len(found.get("instances", [])) == MANY

    harness.wait_for(is_whole, LIMIT_S, "all of it, when there is room")
    directory.wait("old")
    directory.wait("less", "10.12.1.1")
    expect("services-refused" not in daemon.log(), "the file is not at fault")
    daemon.stop()


def check_successor():
    """The server that takes over watches the files; the one before lets go of them."""
    directory = Directory({"web.json": service("web", "10.13.0.1", id="x")})
    daemon = directory.daemon
    daemon.send_signal(signal.SIGUSR2)
    directory.wait_log("event=replaced ", "replaced")
    directory.wait_log("event=stopped", "the first has ended")
    pid = int(re.findall(r"event=successor-started pid=(\d+)", daemon.log())[-1])
    harness.cleanups.append(lambda: harness.is_running(pid) and os.kill(pid, signal.SIGKILL))
    directory.put("web.json", service("web", "10.13.0.2", id="x"))
    directory.wait("web", "10.13.0.2")
    os.kill(pid, signal.SIGTERM)
    harness.wait_for(lambda: not harness.is_running(pid), harness.STOP_S, "the successor ends")
    daemon.check_log()


def rosterd(directory, *flags, text=None):
    return subprocess.run([harness.ROSTERD, "-c", os.path.join(directory.folder, "rosterd.conf"),
                           "--data", directory.daemon.data, *flags], capture_output=True,
                          text=True, input=text, timeout=30, check=False)


def check_commands():
    """--check-config names every bad file; --export and --import keep whose an instance is."""
    directory = Directory({"a.json": service("a", "10.11.0.1"), "b.json": service("b", "10.11.0.2")})
    expect_equal(rosterd(directory, "--check-config").returncode, 0, "good files")
    directory.daemon.stop()
    exported = rosterd(directory, "--export", "-").stdout
    expect_equal(sorted(json.loads(line).get("file") for line in exported.splitlines()
                        if "registration" in line), ["a.json", "b.json"], exported)
    shutil.rmtree(directory.daemon.data)
    expect_equal(rosterd(directory, "--import", "-", text=exported).returncode, 0, "import")
    os.unlink(directory.file("b.json"))
    directory.daemon.start()
    expect_equal(directory.ips("a"), ["10.11.0.1"], "imported")
    directory.wait("b")
    directory.daemon.stop()

    directory.put("b.json", service("a", "10.11.0.1"))
    directory.put("c.json", "{\n 5")
    directory.put("d.json", [service("d", "10.0.0.1", id="x"), service("d", "10.0.0.2", id="x")])
    done = rosterd(directory, "--check-config")
    expect_equal(done.returncode, 78, "exit status")
    for pattern in (r'b\.json:1:1: .*is in \\"a\.json\\" already', r"c\.json:2:\d: ",
                    r"d\.json:1:\d+: .*is in this file twice"):
        expect(re.search(pattern, done.stderr), f"{pattern} in {done.stderr}")
    expect_equal(done.stderr.count("event=services-refused"), 3, done.stderr)
    shutil.rmtree(directory.path)
    done = rosterd(directory, "--check-config")
    expect(done.returncode == 78 and "services.d: No such file" in done.stderr, done.stderr)


def main():
    harness.need("dig")
    directory = check_create_and_change()
    check_moves(directory)
    check_bad_files(directory)
    check_http(directory)
    check_restart(directory)
    check_directory(directory)
    check_empty_at_start()
    check_collision()
    check_many()
    check_removed_meanwhile()
    check_stop_at_start()
    check_sandboxed()
    check_full_disk()
    check_successor()
    check_commands()


harness.run(main)
