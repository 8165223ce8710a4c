# SPDX-License-Identifier: BSD-2-Clause
"""contrib/recipes/clients/client.go: go vet finds nothing, and it does what it should."""

import os
import subprocess

import clients
import harness
from harness import expect_equal

# Where Go was never used, its library is compiled first.
harness.WHOLE_TEST_S = 280

# Nothing is fetched, and the toolchain is the one that is here.
ENV = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0",
       "GO111MODULE": "auto"}


def go(*arguments, folder):
    done = subprocess.run(["go", *arguments], cwd=folder, text=True, capture_output=True,
                          timeout=harness.WHOLE_TEST_S, check=False,
                          env={**os.environ, "HOME": os.environ.get("HOME", folder), **ENV})
    expect_equal((done.returncode, done.stdout, done.stderr), (0, "", ""), f"go {arguments}")


def start(path):
    folder = os.path.dirname(path)
    go("vet", "client.go", folder=folder)
    go("build", "-o", "client", "client.go", folder=folder)
    return clients.Client(os.path.join(folder, "client"))


def main():
    harness.need("go")
    clients.check("client.go", start)


harness.run(main)
