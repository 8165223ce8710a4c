# SPDX-License-Identifier: BSD-2-Clause
"""The data that every server of the bench gets: services, as registrations or as a zone file.

Instance k of all has the address 10.0.0.1 + k, port 8080 and the identity that rosterd would give
it, so that the zone file has the very records that rosterd answers.
"""

import json
import struct

ZONE = "service.local"
TTL_S = 5
PORT = 8080
PRIORITY = 10
WEIGHT = 100
ARRAY = 1000  # registrations a request

TYPE_A = 1
TYPE_SRV = 33
NOERROR = 0
NXDOMAIN = 3

HEAD = f"""$TTL {TTL_S}
@ SOA ns hostmaster 1 3600 600 86400 {TTL_S}
@ NS ns
ns A 127.0.0.1
"""


class Dataset:
    """A list of (service, number of instances)."""

    def __init__(self, name, services):
        self.name = name
        self.services = services

    def __len__(self):
        return len(self.services)

    def instances(self):
        """(service, dotted address) of each."""
        number = 0
        for service, count in self.services:
            for _ in range(count):
                number += 1
                yield service, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"

    def arrays(self):
        """Bodies of POST /registry/register."""
        array = []
        for service, address in self.instances():
            array.append({"name": service, "ip": address, "port": PORT})
            if len(array) == ARRAY:
                yield json.dumps(array).encode()
                array = []
        if array:
            yield json.dumps(array).encode()

    def write_zone(self, path):
        with open(path, "w", encoding="ascii") as file:
            file.write(HEAD)
            for service, address in self.instances():
                target = f"{address.replace('.', '-')}-{PORT}.{service}"
                file.write(f"{service} A {address}\n"
                           f"{service} SRV {PRIORITY} {WEIGHT} {PORT} {target}\n"
                           f"{target} A {address}\n")

    def sample(self, size):
        """(label, type, rcode, records in the answer) that a server must give."""
        step = max(1, len(self.services) // size)
        for service, count in self.services[::step] + self.services[-1:]:
            yield service, TYPE_A, NOERROR, count
            yield service, TYPE_SRV, NOERROR, count
        for number in range(size):
            yield f"nxd{number:06}", TYPE_A, NXDOMAIN, 0


def uniform(n_services, n_instances=4):
    """What load asks for with --services."""
    return Dataset(f"{n_services:,} services",
                   [(f"svc{number:06}", n_instances) for number in range(n_services)])


def of_sizes(*sizes):
    """One service of each size, with names of one length."""
    return Dataset("sizes", [(f"svc-{size:05}", size) for size in sizes])


def query(label, rrtype, number=1):
    question = b"".join(bytes([len(part)]) + part.encode()
                        for part in (label, *ZONE.split("."))) + b"\0"
    return struct.pack("!6H", number, 0, 1, 0, 0, 0) + question + struct.pack("!2H", rrtype, 1)


def summary(reply):
    """(rcode, truncated, records in the answer) of a message."""
    _, flags, _, answers = struct.unpack_from("!4H", reply)
    return flags & 15, bool(flags & 0x200), answers
