# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/clients/client.mjs"""

import clients
import harness


def main():
    harness.need("node")
    clients.check("client.mjs", lambda path: clients.Client("node", path))


harness.run(main)
