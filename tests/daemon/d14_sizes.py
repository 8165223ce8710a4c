# SPDX-License-Identifier: BSD-2-Clause
"""A service of 10,000 instances, and one of 30: what fits where, and where names are compressed."""

import struct

import harness
import wire
from harness import expect, expect_equal

ZONE = "service.local"
MANY = 10000
FEW = 30
BATCH = 1000
A_LEN = 16  # octets: a pointer, ten octets, an address
OPT_LEN = 11
TARGET = struct.Struct(">3H")  # priority, weight, port; the name follows
SRV_LEN = 12 + TARGET.size + len(wire.name(f"n9999.many.{ZONE}"))  # the largest
POINTER_MAX = 0x3fff


def address(number):
    return bytes([10, number >> 16, number >> 8 & 255, number & 255])


def register_many(daemon):
    for start in range(0, MANY, BATCH):
        body = [{"name": "many", "id": f"n{number}", "port": 8080,
                 "ip": ".".join(map(str, address(number)))}
                for number in range(start, start + BATCH)]
        status, reply = daemon.http("POST", "/registry/register", body)
        expect_equal(status, 201, f"register: {str(reply)[:200]}")
    body = [{"name": "few", "id": f"f{number:02}", "port": 8000 + number, "weight": number,
             "priority": number % 3, "ip": f"10.9.0.{number}", "ipv6": f"2001:db8::{number:x}"}
            for number in range(FEW)]
    expect_equal(daemon.http("POST", "/registry/register", body)[0], 201, "register the few")


def check_owners(reply):
    """Every answer's owner is a pointer to the question's name."""
    for record in reply.answer:
        expect_equal((record.owner, record.owner_len), (reply.name, 2), "an answer's owner")


def check_targets(reply):
    """Whole names in SRV data, as they would stand in a reply without compression."""
    for record in reply.answer:
        name = record.rdata[TARGET.size:]
        labels, taken = wire.read_name(name, 0)  # a pointer would point ahead, which fails
        expect_equal(taken, len(name), "octets of a target")
        expect(max(name) < 0xc0, f"a pointer in a target: {name}")
        expect_equal(labels[-2:], [b"service", b"local"], "a target's zone")


def check_additional(reply):
    """Addresses of targets in this very reply, each once; a pointer wherever one reaches."""
    targets = {tuple(wire.read_name(record.rdata, TARGET.size)[0]): record.rdata_at + TARGET.size
               for record in reply.answer}
    seen = set()
    for record in reply.addresses():
        owner = tuple(record.owner)
        expect(owner in targets, f"additional for {owner}")
        expect((owner, record.type) not in seen, f"twice: {owner} {record.type}")
        seen.add((owner, record.type))
        expect_equal(record.owner_len == 2, targets[owner] <= POINTER_MAX,
                     f"a pointer to a target at {targets[owner]}")


def check_full(reply, limit, record_len, about):
    """TC, and the room used to the last record that fits."""
    size = len(reply.octets)
    expect(reply.is_cut, f"no TC, {about}")
    expect_equal(reply.rcode, wire.NOERROR, f"rcode, {about}")
    expect(reply.answer, f"an empty answer, {about}")
    expect(limit - record_len < size <= limit, f"{size} octets of {limit}, {about}")
    expect_equal(reply.addresses(), [], f"additional records beside TC, {about}")
    expect_equal(len({record.rdata for record in reply.answer}), len(reply.answer),
                 f"different records, {about}")


def check_udp(daemon, client):
    for name, kind in ((f"many.{ZONE}", wire.A), (f"_many._tcp.{ZONE}", wire.SRV),
                       (f"many.{ZONE}", wire.SRV)):
        for said, limit in ((None, 512), (0, 512), (100, 512), (512, 512), (600, 600),
                            (1231, 1231), (1232, 1232), (1233, 1232), (4096, 1232),
                            (65535, 1232)):
            about = f"{name} {kind}, EDNS {said}"
            reply = wire.ask_udp(client, wire.query(1, name, kind, said))
            largest = A_LEN if kind == wire.A else SRV_LEN
            check_full(reply, limit, largest, about)
            check_owners(reply)
            expect_equal(len(reply.edns()), 0 if said is None else 1, f"OPT, {about}")
            if kind == wire.SRV:
                check_targets(reply)
                # Clients that take what they get would see servers come and go otherwise.
                again = wire.ask_udp(client, wire.query(1, name, kind, said))
                expect_equal([record.rdata for record in again.answer],
                             [record.rdata for record in reply.answer], f"asked again, {about}")
            else:
                room = limit - wire.HEADER.size - len(wire.question(name))
                room -= 0 if said is None else OPT_LEN
                expect_equal(len(reply.answer), room // A_LEN, f"records, {about}")


def check_tcp(daemon, client):
    """65,535 octets, filled as far as whole records go."""
    known = {address(number) for number in range(MANY)}
    name = f"many.{ZONE}"
    for said in (None, 512, 4096):
        reply = wire.ask_tcp(client, wire.query(2, name, wire.A, said))
        room = 65535 - wire.HEADER.size - len(wire.question(name))
        room -= 0 if said is None else OPT_LEN
        check_full(reply, 65535, A_LEN, f"A over TCP, EDNS {said}")
        expect_equal(len(reply.answer), room // A_LEN, "A records over TCP")
        expect(all(record.rdata in known for record in reply.answer), "registered addresses")
        check_owners(reply)
        reply = wire.ask_tcp(client, wire.query(3, f"_many._tcp.{ZONE}", wire.SRV, said))
        check_full(reply, 65535, SRV_LEN, f"SRV over TCP, EDNS {said}")
        check_owners(reply)
        check_targets(reply)


def check_few(daemon, udp, tcp):
    """30 SRV records: all of them before any address, and no TC for addresses that are missing."""
    name = f"_few._tcp.{ZONE}"
    wanted = {(number % 3, number, 8000 + number) for number in range(FEW)}
    whole = wire.ask_tcp(tcp, wire.query(4, name, wire.SRV))
    answer_len = max(record.end for record in whole.answer)
    expect_equal(whole.is_cut, False, "TC over TCP")
    expect_equal(len(whole.addresses()), 2 * FEW, "addresses over TCP")
    expect(answer_len + OPT_LEN > 1232, "30 SRV records do not fit 1,232 octets")
    short = wire.ask_udp(udp, wire.query(5, name, wire.SRV, 1232))
    check_full(short, 1232, 64, "30 SRV records over UDP")
    for reply in (whole, short):
        check_owners(reply)
        check_targets(reply)
        check_additional(reply)
    found = {TARGET.unpack_from(record.rdata) for record in whole.answer}
    expect_equal(found, wanted, "priority, weight, port")
    priorities = [TARGET.unpack_from(record.rdata)[0] for record in whole.answer]
    expect_equal(priorities, sorted(priorities), "the order of priorities")

    # Fewer, until their answers fit: addresses are what goes first, one by one.
    had_some = had_none = False
    for number in reversed(range(8, FEW)):
        status, _ = daemon.http("DELETE", f"/registry/services/few/instances/f{number:02}")
        expect_equal(status, 200, "deregister")
        reply = wire.ask_udp(udp, wire.query(6, name, wire.SRV, 1232))
        if reply.is_cut:
            continue
        expect_equal(len(reply.answer), number, "records without TC")
        check_owners(reply)
        check_targets(reply)
        check_additional(reply)
        left = len(reply.addresses())
        if left < 2 * number:
            expect(len(reply.octets) > 1232 - 28, f"{len(reply.octets)} octets, {left} addresses")
        had_some = had_some or 0 < left < 2 * number
        had_none = had_none or left < 2
    expect(had_some and had_none, "replies with a part of the addresses")
    expect_equal(left, 16, "all addresses of the last eight")


def check_far(daemon, client):
    """600 targets with their addresses fit TCP, but not all within a pointer's reach."""
    body = [{"name": "some", "id": f"s{number}", "port": 80,
             "ip": f"10.8.{number // 250}.{number % 250}"} for number in range(600)]
    expect_equal(daemon.http("POST", "/registry/register", body)[0], 201, "register some")
    reply = wire.ask_tcp(client, wire.query(7, f"_some._tcp.{ZONE}", wire.SRV))
    expect_equal((reply.is_cut, len(reply.answer), len(reply.addresses())), (False, 600, 600),
                 "600 targets over TCP")
    check_owners(reply)
    check_targets(reply)
    check_additional(reply)
    expect({record.owner_len == 2 for record in reply.addresses()} == {True, False},
           "targets on both sides of what a pointer reaches")


def main():
    daemon = harness.Daemon("--workers", "1")
    register_many(daemon)
    with wire.udp_client(daemon.dns_port) as udp, wire.tcp_client(daemon.dns_port) as tcp:
        check_udp(daemon, udp)
        check_tcp(daemon, tcp)
        check_few(daemon, udp, tcp)
        check_far(daemon, tcp)
    daemon.stop()


harness.run(main)
