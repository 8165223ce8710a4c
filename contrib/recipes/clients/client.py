# SPDX-License-Identifier: BSD-2-Clause
"""python3 client.py: for each line of input, GET / from an instance of "web", and the reply.

SRV takes dnspython (Debian: python3-dnspython).
"""

import random
import sys
import urllib.error
import urllib.request

import dns.exception
import dns.resolver

SERVICE = "_web._tcp.service.local"

resolver = dns.resolver.Resolver(configure=False)  # True: what resolv.conf says
resolver.nameservers = ["127.0.0.1"]
resolver.port = 8600
resolver.timeout, resolver.lifetime = 1, 2
resolver.cache = dns.resolver.Cache()  # for as long as TTLs say

known = []  # what DNS said last, used on while it says nothing


def instances():
    global known
    try:
        known = [(record, resolver.resolve(record.target, "A")[0].address)
                 for record in resolver.resolve(SERVICE, "SRV")]
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        known = []
    except dns.exception.DNSException:
        pass  # SERVFAIL, or no answer at all
    return list(known)


def draw(pairs):
    """RFC 2782: the lowest priority first, and among equals a draw by weight."""
    priority = min(record.priority for record, _ in pairs)
    tier = [pair for pair in pairs if pair[0].priority == priority]
    weights = [record.weight for record, _ in tier]
    return random.choices(tier, weights if any(weights) else None)[0]


def get(path):
    """Tries one instance after the other: one that cannot be reached costs no request."""
    rest = instances()
    failure = OSError(f"no instance of {SERVICE}")
    while rest:
        chosen = draw(rest)
        record, address = chosen
        try:
            with urllib.request.urlopen(f"http://{address}:{record.port}{path}", timeout=5) as reply:
                return reply.read().decode()
        except urllib.error.HTTPError:
            raise  # it was reached, and said no
        except OSError as error:
            failure = error
            rest.remove(chosen)
    raise failure


for _ in sys.stdin:
    try:
        print(get("/").strip(), flush=True)
    except OSError as error:
        print(f"error: {error}", flush=True)
