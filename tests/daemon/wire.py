# SPDX-License-Identifier: BSD-2-Clause
"""DNS messages as octets, for what dig would not send and does not show.

Nothing here is shared with rosterd. Message() checks the form of a reply down to the last octet and
raises Failure where something is not as RFC 1035 4 says.
"""

import socket
import struct

from harness import Failure, expect

HEADER = struct.Struct(">6H")
QR, AA, TC, RD = 0x8000, 0x0400, 0x0200, 0x0100
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
A, SOA, TXT, AAAA, SRV, OPT, IXFR, AXFR, ANY = 1, 6, 16, 28, 33, 41, 251, 252, 255
IN, CH = 1, 3


def name(text):
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question(text, kind=A, klass=IN):
    return name(text) + struct.pack(">HH", kind, klass)


def opt(size=1232, options=b"", version=0, flags=0, owner=b"\0"):
    return owner + struct.pack(">HHBBHH", OPT, size, 0, version, flags, len(options)) + options


def option(code, data=b""):
    return struct.pack(">HH", code, len(data)) + data


def query(number, text, kind=A, edns=None, flags=RD):
    """One question; `edns` is the size that the client says, None: no EDNS."""
    records = b"" if edns is None else opt(edns)
    return HEADER.pack(number, flags, 1, 0, 0, 1 if records else 0) + question(text, kind) + records


def frame(message):
    """As it goes over TCP."""
    return struct.pack(">H", len(message)) + message


class Record:
    """One resource record; `owner` is where its name begins: a compressed one is two octets."""

    def __init__(self, octets, at):
        self.owner, self.owner_len = read_name(octets, at)
        at += self.owner_len
        expect(at + 10 <= len(octets), f"a record is cut off at {at}")
        self.type, self.klass, self.ttl, length = struct.unpack_from(">HHIH", octets, at)
        self.rdata_at = at + 10
        self.end = self.rdata_at + length
        expect(self.end <= len(octets), f"a record's data is cut off at {self.rdata_at}")
        self.rdata = octets[self.rdata_at:self.end]


def read_name(octets, at):
    """(labels, octets taken) of a name, compressed or not."""
    labels, taken, jumps = [], None, 0
    start = at
    while True:
        expect(at < len(octets), f"the name at {start} goes beyond the end")
        length = octets[at]
        if length >= 0xc0:
            expect(at + 1 < len(octets), f"the pointer at {at} is cut off")
            target = (length & 0x3f) << 8 | octets[at + 1]
            expect(target < at, f"the pointer at {at} does not point back")
            taken = taken or at + 2 - start
            at, jumps = target, jumps + 1
            expect(jumps < 10, f"the name at {start} jumps too often")
            continue
        expect(length < 64, f"the label at {at} is of no known type")
        if length == 0:
            return labels, taken or at + 1 - start
        labels.append(octets[at + 1:at + 1 + length].lower())
        at += 1 + length


class Message:
    """A reply, taken apart."""

    def __init__(self, octets):
        expect(len(octets) >= HEADER.size, f"a reply of {len(octets)} octets")
        self.octets = octets
        self.id, self.flags, self.questions, *counts = HEADER.unpack_from(octets)
        expect(self.flags & QR, "QR is not set in a reply")
        expect(self.questions <= 1, f"{self.questions} questions")
        at = HEADER.size
        if self.questions:
            self.name, taken = read_name(octets, at)
            at += taken + 4
        sections = []
        for count in counts:
            sections.append([])
            for _ in range(count):
                record = Record(octets, at)
                sections[-1].append(record)
                at = record.end
        expect(at == len(octets), f"{len(octets) - at} octets behind the last record")
        self.answer, self.authority, self.additional = sections

    @property
    def rcode(self):
        return self.flags & 15

    @property
    def is_cut(self):
        return bool(self.flags & TC)

    def edns(self):
        return [record for record in self.additional if record.type == OPT]

    def addresses(self):
        """The additional records but OPT."""
        return [record for record in self.additional if record.type != OPT]


def udp_client(port):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("127.0.0.1", port))
    client.settimeout(10)
    return client


def tcp_client(port, source=None):
    client = socket.create_connection(("127.0.0.1", port), timeout=10,
                                      source_address=source and (source, 0))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def receive(client, count):
    """Exactly `count` octets."""
    octets = bytearray()
    while len(octets) < count:
        more = client.recv(count - len(octets))
        if not more:
            raise Failure(f"the connection ended after {len(octets)} of {count} octets")
        octets += more
    return bytes(octets)


def receive_frame(client):
    """The message in the next frame."""
    return receive(client, struct.unpack(">H", receive(client, 2))[0])


def ask_udp(client, message):
    client.send(message)
    return Message(client.recv(65536))


def ask_tcp(client, message):
    client.sendall(frame(message))
    return Message(receive_frame(client))
