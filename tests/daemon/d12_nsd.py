# SPDX-License-Identifier: BSD-2-Clause
"""The same names asked of rosterd and of NSD, which has loaded a dump of rosterd's zones.

They may differ in the order of records, in TTLs and in what Rules says, in nothing else.
"""

import os
import re
import shutil
import signal
import subprocess

import harness
from harness import expect, expect_equal

ZONE = "service.local"
PART = "eu.example"
TYPES = ["A", "AAAA", "SRV", "TXT", "NS", "SOA", "MX", "CNAME", "DS", "TYPE1000"]
BIG = 80    # instances: over 1,232 octets of A records
MIDDLE = 8  # instances: SRV records fit 512 octets, but not with their targets' addresses

ZONE_FILE = r"""
$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ NS ns.example.net.
@ MX 10 mail
@ MX 20 mail.example.net.
@ TXT "v=spf1 mx -all"
@ TXT "a second one" "of two"
ns A 192.0.2.1
ns AAAA 2001:db8::1
mail A 192.0.2.25
www A 192.0.2.80
www AAAA 2001:db8::80
web CNAME www
chain CNAME web
pay CNAME payment
elsewhere CNAME www.example.com.
part CNAME payment.eu.example.
dangling CNAME nowhere
nothing CNAME deep.name
*.wild A 192.0.2.90
*.wild TXT "any"
there.wild A 192.0.2.91
below.not.wild A 192.0.2.92
*.alias CNAME www
a.very.deep.name A 192.0.2.2
lab NS ns.lab
lab NS ns.example.net.
ns.lab A 192.0.2.3
ns.lab AAAA 2001:db8::3
test NS ns
out NS ns.example.com.
text TXT "say \"hi\"" "" "back \\ slash" "\195\164\000\255"
odd\.dot\032and\"quote A 192.0.2.5
_static._tcp SRV 1 2 80 www
_static._tcp SRV 1 2 80 www.example.com.
"""

NSD_CONF = """
server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/pid"
  logfile: "{folder}/nsd.log"
  zonelistfile: "{folder}/zone.list"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  cookie-secret-file: "{folder}/cookies"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
"""

# Transport and EDNS -> the octets that a reply may have.
VARIANTS = {
    ("+notcp", "+ignore", "+noedns"): 512,
    ("+notcp", "+ignore", "+edns=0", "+bufsize=1232", "+nocookie"): 1232,
    ("+tcp", "+keepopen", "+noedns"): 65535,
    ("+tcp", "+keepopen", "+edns=0", "+nocookie"): 65535,
}


# ---- The two servers ----

def register_all(daemon):
    """All instances of a service have one priority: A records of other tiers are in no answer."""
    many = [{"name": name, "ip": f"10.9.0.{i}", "port": 80, "weight": i}
            for name, n in (("big", BIG), ("middle", MIDDLE)) for i in range(1, n + 1)]
    status, reply = daemon.http("POST", "/registry/register", many + [
        {"name": "payment", "ip": "10.0.0.1", "port": 8080, "tags": ["blue", "eu"],
         "ports": {"metrics": 9100, "admin": 9200}, "meta": {"owner": "a \"b\" \\ c; d"}},
        {"name": "payment", "ip": "10.0.0.2", "port": 8081, "tags": ["green"], "weight": 7,
         "id": "Not a label, but an id"},
        {"name": "payment", "ipv4": "10.0.0.3", "ipv6": "2001:db8:1::3", "port": 8082},
        {"name": "clock", "ip": "10.0.1.1", "port": 123, "protocol": "udp"},
        {"name": "clock", "ip": "10.0.1.2", "port": 123, "protocol": "tcp"},
        {"name": "six", "ip": "2001:db8:1::6", "port": 80, "tags": ["eu"]},
        {"name": "spare", "ip": "10.0.2.1", "port": 80, "weight": 0},
        {"name": "sick", "ip": "10.0.3.1", "port": 1, "protocol": "udp", "tags": ["eu"]},
    ])
    expect(status in (200, 201), f"{status} {reply}")
    status, reply = daemon.http("POST", "/registry/heartbeat",
                                {"service": "sick", "status": "critical"})
    expect_equal(status, 200, reply)


def dump(daemon, *zones):
    """Zone -> path of its dump."""
    daemon.send_signal(signal.SIGUSR1)
    paths = {zone: os.path.join(daemon.data, f"{zone}.dump") for zone in zones}
    for path in paths.values():
        harness.wait_for(lambda p=path: f"event=dumped file={p} " in daemon.log(), 20,
                         f"the log says that {path} is written")
    return paths


def start_nsd(dumps):
    folder = harness.make_folder()
    port = harness.free_port()
    conf = NSD_CONF.format(port=port, folder=folder)
    for zone, path in dumps.items():
        conf += f'zone:\n  name: "{zone}"\n  zonefile: "{path}"\n'
    program = shutil.which("nsd", path=os.environ["PATH"] + ":/usr/sbin")
    process = harness.spawn(program, "-d", "-c", harness.write_file(folder, "nsd.conf", conf))

    def log():
        with open(os.path.join(folder, "nsd.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_ready():
        expect(process.poll() is None, f"nsd ended: {process.returncode}")
        return all(harness.dig(port, zone, "SOA", time_s=1).status == "NOERROR" for zone in dumps)

    harness.wait_for(is_ready, harness.START_S, "nsd answers for every zone")
    bad = [line for line in log().splitlines() if re.search(r"error|warning", line)]
    expect_equal(bad, [], "what nsd thinks of the dump")
    return process, port


# ---- Questions ----

class Question:
    def __init__(self, name, kind):
        self.name = name
        self.kind = kind


def labels(name):
    return re.findall(r"(?:\\.|[^.\\])+", name)


def above(name):
    """The names above, the root not among them."""
    parts = labels(name)
    return {".".join(parts[i:]) + "." for i in range(1, len(parts))}


class Dump:
    """What the files say, by our own reading: it only tells what to ask and what may differ."""

    def __init__(self, paths):
        self.records = []
        self.hidden = set()  # registered names without records
        for path in paths.values():
            with open(path, encoding="ascii") as file:
                for line in file:
                    if line.startswith("; ") and line.endswith(" has no record now\n"):
                        self.hidden.add(line.split()[1])
                    elif not line.startswith(";"):
                        owner, _, _, kind, data = line.rstrip("\n").split("\t")
                        self.records.append((owner, kind, data.lower()))
        self.owners = {record[0] for record in self.records}
        self.between = {name for owner in self.owners for name in above(owner)}
        self.hidden |= {name for owner in self.hidden for name in above(owner)}
        self.hidden -= self.owners | self.between

    def set_of(self, owner, *kinds):
        return {(o, k, d) for o, k, d in self.records if o == owner and k in kinds}

    def names(self):
        """Existing names and names between; names below, and names that are nowhere."""
        served = [f"{ZONE}.", f"{PART}."]
        inside = {name for name in self.between | self.hidden
                  if any(name.endswith("." + zone) or name == zone for zone in served)}
        names = {name for name in self.owners | inside
                 if ".big." not in name or name.startswith("10-9-0-1-")}  # one of them will do
        below = {f"No-Such.{name}" for name in names if not name.startswith("*")}
        below |= {f"a.b.{name}" for name in served}
        below |= {f"x.y.{host}.{ZONE}." for host in
                  ("wild", "lab", "test", "out", "alias", "not.wild", "there.wild", "payment")}
        outside = {"local.", "example.", "www.example.com.", "."}
        swapped = {name.swapcase() for name in names if "\\" not in name}
        return sorted(names), sorted(below | outside | swapped)


def questions_of(content):
    """All types of the names that are there; one of the others, which have no types."""
    there, others = content.names()
    return [Question(name, kind) for name in there for kind in TYPES] + \
        [Question(name, TYPES[i % 4]) for i, name in enumerate(others)]


def start_dig(port, path, variant):
    return subprocess.Popen(
        ["dig", "-r", "@127.0.0.1", "-p", str(port), "+time=2", "+tries=3", *variant, "+noall",
         "+comments", "+question", "+answer", "+authority", "+additional", "+stats", "-f", path],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Reply(harness.Reply):
    """With sections as sets of (owner, type, data) without letter case but for texts."""

    def __init__(self, text):
        super().__init__(text)
        self.size = int(re.search(r"MSG SIZE +rcvd: (\d+)", text).group(1))
        self.sets = {}
        for section in ("answer", "authority", "additional"):
            records = getattr(self, section)
            self.sets[section] = {(r.owner.lower(), r.type,
                                   r.data if r.type == "TXT" else r.data.lower()) for r in records}
            expect_equal(len(self.sets[section]), len(records), f"a record twice:\n{text}")


def read_replies(process, questions):
    text = process.communicate(timeout=60)[0]
    replies = [Reply(part) for part in re.split(r"^(?=;; ->>HEADER<<-)", text, flags=re.M)[1:]]
    said = [line for line in text.splitlines() if re.search(r"rror|timed out|refused|reset", line)]
    expect_equal(len(replies), len(questions), f"replies of dig, which said {said[:20]}")
    for question, reply in zip(questions, replies):
        asked = re.search(r"^;(\S+)\s+IN\s+(\S+)$", reply.text, re.M)
        expect_equal(asked.group(2), question.kind, reply.text)
        if "\\" not in question.name:
            expect_equal(asked.group(1), question.name, f"letter case of\n{reply.text}")
    return replies


def ask(port, path, questions):
    """Variant -> replies."""
    running = {variant: start_dig(port, path, variant) for variant in VARIANTS}
    return {variant: read_replies(process, questions) for variant, process in running.items()}


# ---- The comparison ----

class Rules:
    """Where the two may differ, and exactly how."""

    def __init__(self, content):
        self.content = content
        self.apexes = [content.set_of(f"{zone}.", "NS") for zone in (ZONE, PART)]
        self.n_used = {}

    def use(self, rule):
        self.n_used[rule] = self.n_used.get(rule, 0) + 1

    def is_hidden(self, question):
        """A service with nothing healthy keeps its names (NODATA); a dump has nothing to say."""
        return question.name.lower() in self.content.hidden

    def status_of_nsd(self, question, status):
        if self.is_hidden(question) and status == "NOERROR":
            self.use("hidden name")
            return "NXDOMAIN"
        return status

    def authority_of_nsd(self, ours, theirs):
        """NSD puts the zone's own NS beside answers; we do not (smaller answers)."""
        if ours.sets["answer"] and not ours.sets["authority"] and \
                theirs.sets["authority"] in self.apexes:
            self.use("NS beside an answer")
            return theirs.sets["authority"]
        return ours.sets["authority"]

    def additional_of_nsd(self, ours, theirs):
        """NSD adds addresses of NS and MX targets, and of SRV records from a zone file."""
        targets = set()
        for owner, kind, data in theirs.sets["answer"]:
            if kind in ("NS", "MX") or (kind == "SRV" and owner == f"_static._tcp.{ZONE}."):
                targets.add(data.split()[-1])
        if theirs.sets["authority"] in self.apexes:
            targets |= {data for _, _, data in theirs.sets["authority"]}
        extra = set().union(*[self.content.set_of(name, "A", "AAAA") for name in targets])
        if extra - ours.sets["additional"]:
            self.use("addresses beside an answer")
        return (ours.sets["additional"] | extra) - theirs.sets["answer"]


def compare_cut(ours, theirs, full, about):
    """Truncated: both say so, what is there is part of the whole, and ours is something."""
    for reply in (ours, theirs):
        expect(reply.sets["answer"] <= full.sets["answer"], f"answer, {about}")
        expect(reply.sets["additional"] == set(), f"additional in spite of TC, {about}")
    expect(ours.sets["answer"] and not ours.sets["authority"], f"we said nothing, {about}")


def compare(rules, question, limit, pair, full):
    """`full`: the pair of replies that had all the room."""
    ours, theirs = pair
    about = (f"{question.name} {question.kind}, {limit} octets\n---- rosterd\n{ours.text}"
             f"\n---- nsd\n{theirs.text}")
    expect_equal(theirs.status, rules.status_of_nsd(question, ours.status), f"status, {about}")
    expect_equal(ours.flags, theirs.flags, f"flags, {about}")
    expect_equal(bool(ours.edns), bool(theirs.edns), f"EDNS, {about}")
    expect(max(ours.size, theirs.size) <= limit, f"size, {about}")
    if "tc" in ours.flags:
        compare_cut(ours, theirs, full[0], about)
        rules.use("truncated")
        return
    expect_equal(ours.sets["answer"], theirs.sets["answer"], f"answer, {about}")
    wanted = rules.authority_of_nsd(ours, theirs)
    expect_equal(theirs.sets["authority"], wanted, f"authority, {about}")
    wanted = rules.additional_of_nsd(ours, theirs)
    found = theirs.sets["additional"]
    if full[0].size <= limit and full[1].size <= limit:
        expect_equal(found, wanted, f"additional, {about}")
    else:  # what does not fit is left out, and nobody has to say so (RFC 2181 9)
        rules.use("additional left out")
        whole = rules.additional_of_nsd(full[0], full[1])
        expect(found <= whole and ours.sets["additional"] <= whole, f"additional, {about}")


def check_nothing_dropped(daemon):
    """dig may ask again, as clients do; but rosterd has left nothing unanswered."""
    dropped = re.findall(r'^rosterd_dns_dropped_total\{.*\} (\d+)$',
                         str(daemon.http("GET", "/metrics")[1]).replace("\\n", "\n"), re.M)
    expect(dropped and set(dropped) == {"0"}, f"queries left unanswered: {dropped}")


def main():
    harness.need("dig", "nsd")
    folder = harness.make_folder()
    config = (f"zone:\n  - domain: {ZONE}\n    file: {folder}/static\n"
              f"  - domain: {PART}\n    filter: {{tag: eu}}\n")
    harness.write_file(folder, "static", ZONE_FILE)
    daemon = harness.Daemon(config=config)
    register_all(daemon)
    paths = dump(daemon, ZONE, PART)
    content = Dump(paths)
    questions = questions_of(content)
    path = harness.write_file(folder, "questions",
                              "".join(f"{q.name} {q.kind}\n" for q in questions))
    process, port = start_nsd(paths)
    theirs = ask(port, path, questions)
    process.terminate()
    expect_equal(process.wait(harness.STOP_S), 0, "nsd's exit status")
    ours = ask(daemon.dns_port, path, questions)
    check_nothing_dropped(daemon)

    rules = Rules(content)
    whole = list(VARIANTS)[-1]
    for variant, limit in VARIANTS.items():
        for i, question in enumerate(questions):
            compare(rules, question, limit, (ours[variant][i], theirs[variant][i]),
                    (ours[whole][i], theirs[whole][i]))
    print(f"{len(questions)} questions in {len(VARIANTS)} ways; rules that were used:",
          rules.n_used)
    expect_equal(len(rules.n_used), 5, "every rule has its case")
    daemon.stop()


harness.run(main)
