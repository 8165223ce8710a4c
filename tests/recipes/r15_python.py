# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/clients/client.py, with dnspython: of this Python, or of Debian's."""

import subprocess
import sys

import clients
import harness


def find_python():
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            if subprocess.run([python, "-c", "import dns.resolver"], stderr=subprocess.DEVNULL,
                              check=False).returncode == 0:
                return python
        except FileNotFoundError:
            pass
    raise harness.Skip("dnspython is not installed")


def main():
    python = find_python()
    clients.check("client.py", lambda path: clients.Client(python, path))


harness.run(main)
