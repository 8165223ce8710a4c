# SPDX-License-Identifier: BSD-2-Clause
"""RFC 8906 section 8, by dig, over UDP and TCP: every query gets the answer that it should."""

import harness
from harness import expect, expect_equal

ZONE = "service.local"


class Case:
    """One query and what the reply must be."""

    def __init__(self, section, *arguments, status="NOERROR", flags=(), never=(), answer=None,
                 edns=None, opcode="QUERY"):
        self.section = section
        self.arguments = arguments
        self.status = status
        self.flags = flags
        self.never = never
        self.answer = answer  # the type of the one record; False: no record
        self.edns = edns      # True: version 0 is in the reply; False: no OPT
        self.opcode = opcode

    def check(self, daemon, transport):
        reply = daemon.dig(*self.arguments, transport)
        about = f"{self.section}: dig {' '.join(self.arguments)} {transport}\n{reply.text}"
        expect_equal(reply.status, self.status, about)
        expect_equal(reply.opcode, self.opcode, about)
        expect("qr" in reply.flags, about)
        for flag in self.flags:
            expect(flag in reply.flags, f"{flag} is missing, {about}")
        for flag in self.never:
            expect(flag not in reply.flags, f"{flag} is set, {about}")
        if self.answer:
            expect_equal([r.type for r in reply.answer], [self.answer], about)
        elif self.answer is False:
            expect_equal(reply.answer, [], about)
        if self.edns is True:
            expect(reply.edns, f"no OPT, {about}")
            expect_equal(reply.edns["version"], 0, about)
            expect("MBZ" not in reply.text, f"unknown EDNS flags come back, {about}")
            expect("OPT=100" not in reply.text, f"an unknown option comes back, {about}")
        elif self.edns is False:
            expect(reply.edns is None, f"an OPT that nobody asked for, {about}")


SOA = ("+noad", "+norec", ZONE, "SOA")
CASES = [
    # 8.1: without EDNS
    Case("8.1.1", "+noedns", *SOA, flags=["aa"], never=["rd", "ad"], answer="SOA", edns=False),
    Case("8.1.1", "+noedns", *SOA[:3], "A", flags=["aa"], answer=False, edns=False),
    Case("8.1.2", "+noedns", *SOA[:3], "TYPE1000", flags=["aa"], never=["rd", "ad"],
         answer=False, edns=False),
    Case("8.1.3.1", "+noedns", "+norec", "+cdflag", "+noad", ZONE, "SOA", flags=["aa"],
         never=["rd", "ad"], answer="SOA", edns=False),
    Case("8.1.3.2", "+noedns", "+norec", "+adflag", ZONE, "SOA", flags=["aa"],
         never=["rd"], answer="SOA", edns=False),
    Case("8.1.3.3", "+noedns", "+norec", "+noad", "+zflag", ZONE, "SOA", flags=["aa"],
         never=["rd", "ad"], answer="SOA", edns=False),
    Case("8.1.3.4", "+noedns", "+noad", "+rec", ZONE, "SOA", flags=["aa", "rd"],
         never=["ra", "ad"], answer="SOA", edns=False),
    Case("8.1.4", "+noedns", "+noad", "+norec", "+opcode=15", "+header-only", status="NOTIMP",
         opcode="RESERVED15", never=["aa", "tc", "rd", "ra", "ad", "cd"], answer=False,
         edns=False),
    # 8.2: with EDNS
    Case("8.2.1", "+edns=0", "+nocookie", *SOA, flags=["aa"], never=["rd", "ad"], answer="SOA",
         edns=True),
    Case("8.2.2", "+edns=1", "+noednsneg", "+nocookie", *SOA, status="BADVERS",
         never=["rd", "ad"], answer=False, edns=True),
    Case("8.2.3", "+edns=0", "+nocookie", "+ednsopt=100", *SOA, flags=["aa"], answer="SOA",
         edns=True),
    Case("8.2.4", "+edns=0", "+nocookie", "+ednsflags=0x80", *SOA, flags=["aa"], answer="SOA",
         edns=True),
    Case("8.2.5", "+edns=1", "+noednsneg", "+nocookie", "+ednsflags=0x80", *SOA,
         status="BADVERS", answer=False, edns=True),
    Case("8.2.6", "+edns=1", "+noednsneg", "+nocookie", "+ednsopt=100", *SOA, status="BADVERS",
         answer=False, edns=True),
    Case("8.2.7", "+edns=0", "+nocookie", "+dnssec", *SOA, flags=["aa"], answer="SOA", edns=True),
    Case("8.2.8", "+edns=0", "+cookie", "+nsid", "+expire", "+subnet=0.0.0.0/0", *SOA,
         flags=["aa"], answer="SOA", edns=True),
    # And what resolvers ask besides.
    Case("case", "PAYMENT.Service.LOCAL", "A", flags=["aa"], answer="A"),
    Case("unknown name", f"nobody.{ZONE}", "A", status="NXDOMAIN", flags=["aa"], answer=False),
    Case("below a name", f"a.b.c.payment.{ZONE}", "A", status="NXDOMAIN", answer=False),
    Case("minimisation", f"_tcp.{ZONE}", "A", flags=["aa"], answer=False),
    Case("URI", f"_payment._tcp.{ZONE}", "URI", flags=["aa"], answer=False),
    Case("DS", ZONE, "DS", flags=["aa"], answer=False),
    Case("elsewhere", "example.com", "A", status="REFUSED", never=["aa"], answer=False),
    Case("root", ".", "NS", status="REFUSED", never=["aa"], answer=False),
    Case("class CH", "version.bind", "TXT", "-c", "CH", status="REFUSED", answer=False),
    Case("ANY", f"payment.{ZONE}", "ANY", flags=["aa"]),
]


def main():
    harness.need("dig")
    daemon = harness.Daemon()
    daemon.register(name="payment", ip="10.0.0.1", port=80)
    for transport in ("+notcp", "+tcp"):
        for case in CASES:
            case.check(daemon, transport)
    reply = daemon.dig(f"nobody.{ZONE}", "A")
    expect_equal([(r.owner, r.type, r.ttl) for r in reply.authority],
                 [(f"{ZONE}.", "SOA", 5)], "authority of a negative answer")
    daemon.stop()


harness.run(main)
