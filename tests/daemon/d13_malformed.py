# SPDX-License-Identifier: BSD-2-Clause
"""What is no query, or a broken one: the reply that it is due or silence, and the next good query
is answered every time."""

import random
import struct

import harness
import wire
from harness import expect, expect_equal

NAME = "payment.service.local"
SEED = 20240229
RANDOM = 1000  # messages of each of two kinds
GOOD = 0x8000  # the bit of a good query's id
SILENCE, A_REPLY = "silence", "a reply"
QUESTION = wire.question(NAME)
COOKIE = wire.option(10, b"12345678")


class Case:
    """A message without its id, and what comes of it: SILENCE, A_REPLY, or an rcode."""

    def __init__(self, about, rest, due, udp_due=None):
        self.about = about
        self.rest = rest
        self.due = {"TCP": due, "UDP": due if udp_due is None else udp_due}

    def message(self, number):
        """Cut within the id where `rest` is a number of octets."""
        identity = struct.pack(">H", number)
        return identity[:self.rest] if isinstance(self.rest, int) else identity + self.rest

    def check(self, reply, transport):
        about = f"{transport}, {self.about}"
        due = self.due[transport]
        if due == SILENCE:
            expect(reply is None, f"{about}: a reply")
            return
        expect(reply is not None, f"{about}: no reply")
        asked = struct.unpack(">H", self.rest[:2])[0]
        opcode = asked & 0x7800
        expect_equal(reply.flags & 0x7800, opcode, f"opcode, {about}")
        if due != A_REPLY:
            expect_equal(reply.rcode, due, f"rcode, {about}")
        if reply.rcode in (wire.FORMERR, wire.NOTIMP):
            expect_equal(reply.flags & ~(wire.QR | opcode | 15), 0, f"other flags, {about}")
            expect_equal(len(reply.octets), wire.HEADER.size, f"octets, {about}")
        if transport == "UDP":
            expect(len(reply.octets) <= 1232, f"{len(reply.octets)} octets, {about}")


def head(flags=wire.RD, questions=1, answers=0, authority=0, additional=0):
    return wire.HEADER.pack(0, flags, questions, answers, authority, additional)[2:]


def cut_cases():
    yield Case("nothing", 0, SILENCE)
    yield Case("one octet", 1, SILENCE)
    whole = head(additional=1) + QUESTION + wire.opt(options=COOKIE)
    for length in range(len(whole)):
        yield Case(f"cut after {2 + length}", whole[:length],
                   SILENCE if length < 10 else wire.FORMERR)
    plain = head() + QUESTION
    for length in range(10, len(plain)):
        yield Case(f"no EDNS, cut after {2 + length}", plain[:length], wire.FORMERR)
    yield Case("whole", whole, wire.NOERROR)


def long_name(length):
    """The octets of a name of that many, root label included."""
    labels = b""
    while len(labels) + 65 < length:
        labels += b"\x3f" + b"a" * 63
    rest = length - len(labels) - 2
    return labels + bytes([rest]) + b"a" * rest + b"\0"


def name_cases():
    tail = struct.pack(">HH", wire.A, wire.IN)

    def with_name(octets):
        return head() + octets + tail

    yield Case("a pointer to itself", with_name(b"\xc0\x0c"), wire.FORMERR)
    yield Case("a pointer into the header", with_name(b"\xc0\x00"), wire.FORMERR)
    yield Case("a pointer beyond the end", with_name(b"\xff\xff"), wire.FORMERR)
    yield Case("a pointer behind a label", with_name(b"\x07payment\xc0\x0c"), wire.FORMERR)
    yield Case("a pointer to a name that follows",
               with_name(b"\xc0\x12") + wire.name("service.local"), wire.FORMERR)
    yield Case("half a pointer", head() + b"\xc0", wire.FORMERR)
    for kind in (0x40, 0x80):
        for low in (0, 1, 7, 0x3f):
            yield Case(f"a label of type {kind | low:#x}",
                       with_name(bytes([kind | low]) + b"payment\0"), wire.FORMERR)
    yield Case("a binary label", with_name(b"\x41\x08\xaa\0"), wire.FORMERR)
    yield Case("a name of 255 octets", with_name(long_name(255)), wire.REFUSED)
    for length in (256, 257, 300, 512):
        yield Case(f"a name of {length} octets", with_name(long_name(length)), wire.FORMERR)
    yield Case("128 labels", with_name(b"\1a" * 128 + b"\0"), wire.FORMERR)
    yield Case("127 labels", with_name(b"\1a" * 127 + b"\0"), wire.REFUSED)
    yield Case("a name without an end", head() + b"\1a" * 200, wire.FORMERR)
    yield Case("any octet in a label", with_name(b"\4\0.\xff\\" + wire.name("service.local")),
               wire.NXDOMAIN)


def count_cases():
    for count in (0, 2, 3, 65535):
        yield Case(f"{count} questions said, one there", head(questions=count) + QUESTION,
                   wire.FORMERR)
    yield Case("no question", head(questions=0), wire.FORMERR)
    yield Case("no question but EDNS", head(questions=0, additional=1) + wire.opt(), wire.FORMERR)
    yield Case("two questions", head(questions=2) + QUESTION * 2, wire.FORMERR)
    for section in ("answers", "authority", "additional"):
        for count in (1, 65535):
            yield Case(f"{count} {section} that are not there",
                       head(**{section: count}) + QUESTION, wire.FORMERR)
    for length in (1, 2, 11, 100):
        yield Case(f"{length} octets behind the question", head() + QUESTION + b"\0" * length,
                   wire.FORMERR)
        yield Case(f"{length} octets behind EDNS",
                   head(additional=1) + QUESTION + wire.opt() + b"\0" * length, wire.FORMERR)


def edns_cases():
    def with_records(octets, count=1):
        return head(additional=count) + QUESTION + octets

    opt = wire.opt()
    yield Case("two OPT", with_records(opt * 2, 2), wire.FORMERR)
    yield Case("two OPT, one said", with_records(opt * 2), wire.FORMERR)
    yield Case("OPT with a name", with_records(wire.opt(owner=b"\1a\0")), wire.FORMERR)
    yield Case("OPT with a pointer", with_records(wire.opt(owner=b"\xc0\x0c")), wire.FORMERR)
    yield Case("OPT as an answer", head(answers=1) + QUESTION + opt, wire.FORMERR)
    yield Case("OPT as authority", head(authority=1) + QUESTION + opt, wire.FORMERR)
    for said in (1, 3, 4, 65535):
        yield Case(f"OPT of 0 octets that says {said}",
                   with_records(opt[:-2] + struct.pack(">H", said)), wire.FORMERR)
    for broken in (b"\0", b"\0\x0a", b"\0\x0a\0", b"\0\x0a\0\1", b"\0\x0a\xff\xff12345678",
                   COOKIE + b"\0", COOKIE + b"\0\3\0\1"):
        yield Case(f"options {broken.hex()}", with_records(wire.opt(options=broken)), wire.FORMERR)
    for length in (0, 1, 7, 9, 15, 41):
        yield Case(f"a cookie of {length} octets",
                   with_records(wire.opt(options=wire.option(10, b"x" * length))), wire.FORMERR)
    yield Case("EDNS version 1", with_records(wire.opt(version=1)), wire.NOERROR)  # BADVERS is 16
    yield Case("size 0", with_records(wire.opt(size=0)), wire.NOERROR)
    yield Case("every EDNS flag", with_records(wire.opt(flags=0xffff)), wire.NOERROR)
    yield Case("another record beside OPT",
               with_records(wire.question(NAME) + b"\0\0\0\0\0\4abcd" + opt, 2), wire.NOERROR)
    padding = wire.option(12, b"\0" * 1400)
    yield Case("1,400 octets of padding", with_records(wire.opt(options=padding)), wire.NOERROR)
    padding = wire.option(12, b"\0" * 5000)
    yield Case("5,000 octets of padding", with_records(wire.opt(options=padding)), wire.NOERROR,
               udp_due=SILENCE)


def field_cases():
    for flags in (wire.QR, 0xffff, wire.QR | wire.TC):
        yield Case(f"QR is set, {flags:#x}", head(flags) + QUESTION, SILENCE)
    for opcode in range(16):
        due = {0: wire.NOERROR, 4: wire.REFUSED, 5: wire.REFUSED}.get(opcode, wire.NOTIMP)
        for flags in (0, 0x07ff):
            yield Case(f"opcode {opcode}, flags {flags:#x}", head(opcode << 11 | flags) + QUESTION,
                       due)
        if opcode:
            yield Case(f"opcode {opcode}, no question", head(opcode << 11, 0), due)
    for kind, due in ((0, wire.NOERROR), (wire.ANY, wire.NOERROR), (wire.OPT, wire.NOERROR),
                      (65535, wire.NOERROR), (253, wire.NOERROR), (254, wire.NOERROR),
                      (249, wire.NOERROR), (250, wire.NOERROR),
                      (wire.AXFR, wire.REFUSED), (wire.IXFR, wire.REFUSED)):
        yield Case(f"type {kind}", head() + wire.question(NAME, kind), due)
    for klass in (0, 2, wire.CH, 4, 254, 255, 65535):
        yield Case(f"class {klass}", head() + wire.question(NAME, klass=klass), wire.REFUSED)


def random_cases():
    """What is due is clear from the first octets alone; the rest must only be survived."""
    source = random.Random(SEED)
    whole = head(additional=1) + QUESTION + wire.opt(options=COOKIE)
    for number in range(2 * RANDOM):
        if number < RANDOM:
            rest = source.randbytes(source.randrange(0, 120))
        else:
            octets = bytearray(whole)
            for _ in range(source.randrange(1, 5)):
                octets[source.randrange(len(octets))] = source.randrange(256)
            rest = bytes(octets)
        due = SILENCE if len(rest) < 10 or rest[0] & 0x80 else A_REPLY
        if due == A_REPLY and rest[0] >> 3 & 15:
            due = wire.REFUSED if rest[0] >> 3 & 15 in (4, 5) else wire.NOTIMP
        yield Case(f"random message {number}, seed {SEED}: {rest.hex()}", rest, due)


def expect_good(reply, number, about):
    expect_equal((reply.id, reply.rcode, len(reply.answer)), (GOOD | number, wire.NOERROR, 1),
                 f"the good query after {about}")


def check_udp(daemon, cases):
    """Replies are told apart by id: those to one batch may come in another order."""
    replies = {}
    with wire.udp_client(daemon.dns_port) as client:
        def wait_good(number, about):
            client.send(wire.query(GOOD | number, NAME))
            while GOOD | number not in replies:
                reply = wire.Message(client.recv(65536))
                expect(reply.id not in replies, f"a second reply with id {reply.id:#x}")
                replies[reply.id] = reply
            expect_good(replies[GOOD | number], number, about)

        for number, case in enumerate(cases):
            client.send(case.message(number))
            wait_good(number, f"UDP, {case.about}")
        wait_good(len(cases), "all")
    for number, case in enumerate(cases):
        case.check(replies.get(number), "UDP")


def check_tcp(daemon, cases):
    """One connection for all, replies in order."""
    with wire.tcp_client(daemon.dns_port) as client:
        for number, case in enumerate(cases):
            message = case.message(number)
            if not message:
                continue  # a frame of zero octets ends the connection: d07
            client.sendall(wire.frame(message) + wire.frame(wire.query(GOOD | number, NAME)))
            reply = wire.Message(wire.receive_frame(client))
            if reply.id == number:
                case.check(reply, "TCP")
                reply = wire.Message(wire.receive_frame(client))
            else:
                case.check(None, "TCP")
            expect_good(reply, number, f"TCP, {case.about}")


def main():
    daemon = harness.Daemon("--workers", "1")
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    cases = [*cut_cases(), *name_cases(), *count_cases(), *edns_cases(), *field_cases(),
             *random_cases()]
    expect(len(cases) < GOOD, "the ids suffice")
    check_udp(daemon, cases)
    check_tcp(daemon, cases)
    expect(daemon.process.poll() is None, "it lives")
    daemon.stop()


harness.run(main)
