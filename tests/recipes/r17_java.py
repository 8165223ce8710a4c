# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/clients/Client.java"""

import subprocess

import clients
import harness


def main():
    harness.need("java")
    # A source file as a program takes the compiler, which is in a JDK alone.
    modules = subprocess.run(["java", "--list-modules"], text=True, capture_output=True, timeout=60,
                             check=False).stdout
    if "jdk.compiler" not in modules:
        raise harness.Skip("java is no JDK")
    clients.check("Client.java", lambda path: clients.Client("java", path))


harness.run(main)
