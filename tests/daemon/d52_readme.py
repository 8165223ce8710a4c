# SPDX-License-Identifier: BSD-2-Clause
"""README, as a newcomer follows it: its commands are run as they stand there, and say what it says.

In a network namespace of its own, since they have ports that are fixed. What is put in their place:
the start (README's server is this one, with the same configuration but for its data), the folder of
the build and /tmp/demo.
"""

import os
import re
import signal
import subprocess

import browser
import harness
from harness import expect, expect_equal, wait_for

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
END_OF_OUTPUT = "--end of output"
LIMIT_S = 30  # until a command says what README says


class Shell:
    """One bash for all commands, as at a terminal."""

    def __init__(self, replacements):
        self.replacements = replacements
        # With a group of its own, so that nothing that README starts outlives a test that fails.
        self.process = harness.spawn("bash", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, cwd=TOP,
                                     start_new_session=True)
        harness.cleanups.append(self.end_jobs)

    def end_jobs(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def replace(self, text):
        for old, new in self.replacements.items():
            text = text.replace(old, new)
        return text

    def run(self, command):
        """What it printed."""
        self.process.stdin.write(f"{self.replace(command)}\necho '{END_OF_OUTPUT}'\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n").endswith(END_OF_OUTPUT):
                lines.append(line.rpartition(END_OF_OUTPUT)[0])
                break
            lines.append(line)
        return "".join(lines)


def section(title):
    """The indented blocks of a section, as texts."""
    with open(os.path.join(TOP, "README"), encoding="utf-8") as file:
        text = re.search(rf"^{title}\n-+\n(.*?)(?=^[^\n]+\n---|\Z)", file.read(), re.M | re.S).group(1)
    blocks = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", text, re.M)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in blocks]


def steps(block):
    """(command, what it should print or None): what has no prompt, then each prompt's."""
    first, *prompts = re.split(r"^\$ ", block, flags=re.M)
    found = [(first, None)] if first.strip() else []
    for part in prompts:
        command, _, output = part.partition("\n")
        found.append((command, output.strip() or None))
    return found


def comparable(text):
    """Its lines, in any order, without figures that differ from run to run."""
    text = re.sub(r"\b\d+\.\d s\b", "N s", text)
    text = re.sub(r"^ *\d+ 200$", "N 200", text, flags=re.M)
    return sorted(" ".join(line.split()) for line in text.strip().split("\n") if line)


def follow(shell, title):
    blocks = section(title)
    expect(blocks, f"README has no commands in {title!r}")
    for block in blocks:
        for command, wanted in steps(block):
            if "./bootstrap run" in command:
                continue
            said = [shell.run(command)]
            print(f"$ {command}\n{said[-1]}")
            if wanted is None:
                continue

            def is_said():
                if comparable(said[-1]) == comparable(wanted):
                    return True
                said.append(shell.run(command))
                return False

            try:
                wait_for(is_said, LIMIT_S, command, every_s=0.2)
            except harness.Failure as reason:
                raise harness.Failure(f"{reason}; README:\n{wanted}\nfound:\n{said[-1]}") from None


# Notes every instance of "web" that the page shows as draining.
WATCH_PAGE = """
window.seen = {};
new MutationObserver(() => {
    for (const row of document.querySelectorAll('#grid .row[data-key^="web/"]'))
        if (row.textContent.includes('draining'))
            window.seen[row.dataset.key] = true;
}).observe(document.body, {subtree: true, childList: true, characterData: true});
"""


def open_page():
    """The status page, which notes whom it shows as draining; None where there is no browser."""
    try:
        page = browser.Browser()
    except harness.Skip as reason:
        print(reason)
        return None
    page.go("http://127.0.0.1:8500/ui/")
    page.wait("return document.body.textContent.includes('live')")
    page.run(WATCH_PAGE)
    return page


def main():
    harness.enter_namespace([])
    harness.need("haproxy", "curl", "dig")
    with open(os.path.join(TOP, "contrib/demo/rosterd.conf"), encoding="utf-8") as file:
        config = file.read()
    folder = harness.make_folder()
    config = config.replace("../../build/rosterd-data", os.path.join(folder, "data"))
    config = config.replace("../../zones", os.path.join(TOP, "zones"))
    daemon = harness.Daemon(folder=folder, config=config, dns_port=8600, http_port=8500)
    shell = Shell({"build/": harness.BUILD + "/", "/tmp/demo": os.path.join(folder, "demo")})
    follow(shell, "A minute")
    page = open_page()
    follow(shell, "Your own service")
    if page:
        seen = page.run("return Object.keys(window.seen).sort()")
        expect_equal(seen, [f"web/127-0-0-1-{port}" for port in (8091, 8092, 8093)],
                     "drains that the status page showed")
    shell.process.stdin.close()
    daemon.stop()


harness.run(main)
