# SPDX-License-Identifier: BSD-2-Clause
"""The status page while something goes wrong: the server or what is between ends a reply in its
middle, says nothing, or is busy; tabs that nobody looks at; who decides elsewhere. The page's own
waits are shortened, so that no test has to sit them out; how long it waits for a reply only where
none will come, as a busy machine may take longer over one."""

import http.client
import http.server
import threading

import harness
from browser import Browser
from d38_ui import LIMIT_S, ROW, change_token, check_console, wait_row, wait_shown, wait_text
from harness import expect, expect_equal, wait_for

# RETRY_MS of store.js, HIDDEN_MS and READY_MS of main.js; 20000, where there is one, is REPLY_MS of
# server.js.
HASTE = """window.waits = { 3000: 100, 5000: 100 };
    const wait = window.setTimeout;
    window.setTimeout = (f, ms, ...more) => wait(f, waits[ms] ?? ms, ...more);"""


class Between:
    """An HTTP proxy in front of a daemon, which does worse things than to pass on where told."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.faults = []  # (part of a path, "cut", "hang" or "busy"), each for one request
        self.is_over = threading.Event()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.pass_on(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        harness.cleanups.append(self.end)

    def end(self):
        self.is_over.set()
        self.server.shutdown()

    def take_fault(self, path):
        for fault in self.faults:
            if fault[0] in path:
                self.faults.remove(fault)
                return fault[1]
        return None

    def pass_on(self, handler):
        fault = self.take_fault(handler.path)
        if fault == "hang":
            self.is_over.wait(harness.WHOLE_TEST_S)
            return
        if fault == "busy":
            handler.send_error(503)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port)
        connection.request("GET", handler.path)
        reply = connection.getresponse()
        handler.send_response(reply.status)
        for name in ("Content-Type", "Content-Security-Policy"):
            if reply.getheader(name):
                handler.send_header(name, reply.getheader(name))
        if reply.getheader("Content-Length"):
            handler.send_header("Content-Length", reply.getheader("Content-Length"))
        handler.end_headers()
        try:
            if fault == "cut":
                handler.wfile.write(reply.read(20))
            else:
                while octets := reply.read1(65536):
                    handler.wfile.write(octets)
        except OSError:
            pass  # the browser has gone
        handler.close_connection = True
        connection.close()


def check_cut(between, browser):
    """A page that was opened just before the server went stayed at "reading" for ever."""
    between.faults = [("registry/services", "cut")]
    browser.go(f"{between.url}/ui/")
    wait_row(browser, "payment/a", "passing")
    browser.go("about:blank")
    between.faults = [("server/access", "cut")]
    browser.go(f"{between.url}/ui/")
    wait_row(browser, "payment/a", "passing")


def check_busy(daemon, between, browser):
    """What could not be read when its event came was never shown."""
    wait_text(browser, "#link", "live")
    between.faults = [("services/late", "busy")]
    daemon.register(name="late", id="l", ip="10.0.0.7", port=80)
    wait_row(browser, "late/l", "10.0.0.7:80")
    expect_equal(between.faults, [], "faults that are left")


def check_hang(between, browser):
    """The head said "ready" for as long as a server did not say that it was not."""
    wait_text(browser, "#server", "ready")
    browser.run("window.waits[20000] = 400")
    between.faults = [("health/ready", "hang")] * 3
    wait_text(browser, "#server", "unreachable")
    between.faults = []
    browser.run("delete window.waits[20000]")
    wait_text(browser, "#server", "ready")


def check_silence(browser):
    """Screen readers were told the rate, "ready" and each second of a drain, again and again."""
    browser.run("""window.said = [];
        for (const place of document.querySelectorAll("[role=status], [aria-live], output"))
            new MutationObserver((records) => window.said.push(...records.filter(({ target }) =>
                !(target.parentElement ?? target).closest("[aria-hidden]")).map(() => place.id)))
                .observe(place, { childList: true, characterData: true, subtree: true });
        window.rates = 0;
        new MutationObserver(() => window.rates++).observe(document.querySelector("#line"),
            { attributes: true, subtree: true });""")
    browser.wait("return window.rates >= 2")
    expect_equal(browser.run("return window.said"), [], "what was said while nothing changed")


def check_row_said(browser):
    """A row was read out as bare numbers, and as "no results yet" where there is no check."""
    def rows():
        nodes = browser.devtools("Accessibility.getFullAXTree")["nodes"]
        return [node["name"]["value"] for node in nodes
                if not node["ignored"] and node["role"]["value"] == "row"]

    wait_for(lambda: "passing a 10.0.0.1:80 priority 10 weight 100 50 %" in rows(), LIMIT_S,
             "the row is said")


def check_denied(browser):
    """What somebody else's token had shown stayed on the page of one that may not read it."""
    daemon = harness.Daemon(config=harness.access(
        {"name": "ops", "token": "token-of-ops", "admin": "*"},
        {"name": "metrics", "token": "token-of-metrics"}), token="token-of-ops")
    daemon.register(name="payment", id="a", ip="10.0.0.1", port=80)
    browser.go(f"http://127.0.0.1:{daemon.http_port}/ui/")
    wait_shown(browser, "#token")
    browser.press("token-of-ops", "Enter")
    wait_row(browser, "payment/a", "passing")
    browser.click('[data-key="payment/a"]')
    change_token(browser, "token-of-metrics")
    wait_text(browser, "#empty", "this takes the right")
    expect_equal(browser.run(ROW, "payment/a"), "", "what is shown of others")
    wait_shown(browser, "#details", False)
    browser.click("#empty .main")
    wait_shown(browser, "#token")
    browser.press("token-of-ops", "Enter")
    wait_row(browser, "payment/a", "passing")


def check_safe(daemon, browser):
    """The page said "safe to stop" of a drain that somebody else had begun anew, or nothing, and
    counted on for an instance that had gone."""
    path = "/registry/services/payment/instances/a/admin"
    browser.click('[data-key="payment/a"]')
    browser.click("[data-admin=drain]")
    browser.click("#confirm .main")
    wait_text(browser, "#details .safe", "Safe to stop")
    daemon.http("PUT", "/registry/services/payment/policy", {"ttl": 60})
    daemon.http("PUT", path, {"state": "auto"})
    wait_for(lambda: daemon.addresses("payment.service.local"), LIMIT_S, "it is handed out")
    daemon.http("PUT", path, {"state": "drain"})
    wait_text(browser, "#details .safe", "Clients may still use it")
    wait_row(browser, "payment/a", "draining", "safe in")
    daemon.http("PUT", path, {"state": "auto"})
    wait_shown(browser, "[data-admin=auto][aria-pressed=true]")
    browser.click("[data-admin=drain]")
    browser.click("#confirm .main")
    wait_text(browser, "#details .safe", "afe to stop")
    daemon.http("DELETE", path.removesuffix("/admin"))
    wait_text(browser, "#details .state", "not registered")
    wait_shown(browser, "#details .safe", False)
    browser.press("Escape")


def check_narrow(browser):
    """Between phones and desks the names of columns stood above rows that had none, cut off; on
    small phones addresses were cut."""
    for width, is_phone in ((820, False), (320, True)):
        browser.devtools("Emulation.setDeviceMetricsOverride", width=width, height=700,
                         deviceScaleFactor=1, mobile=is_phone)
        browser.wait("return document.querySelector('#registry').dataset.size === 's'")
        wait_shown(browser, "#columns", False)
        cut = browser.run("""return [...document.querySelectorAll('.row.instance .c-address')]
            .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)""")
        expect_equal(cut, [], f"addresses that are cut at {width}")
    browser.devtools("Emulation.clearDeviceMetricsOverride")


def check_unseen(daemon, browser):
    """An instance showed itself under the name of another, by characters that turn the others."""
    daemon.register(name="payment", id="\u202eevil", ip="10.0.0.66", port=80)
    daemon.register(name="payment", id="b\u200b", ip="10.0.0.67", port=80, meta={"note": "\u2066x"})
    wait_row(browser, "payment/\u202eevil", "\\u{202e}evil")
    wait_row(browser, "payment/b\u200b", "b\\u{200b}")
    wait_text(browser, "#log", "\\u{202e}evil")
    browser.click('[data-key="payment/b\u200b"]')
    wait_text(browser, "#details", "\\u{2066}x")
    browser.click("[data-admin=drain]")
    wait_text(browser, "#confirm-title", "b\\u{200b}")
    browser.click("#confirm .main")
    wait_row(browser, "payment/b\u200b", "draining")
    browser.press("Escape")


def check_v6(daemon, browser):
    """Of an instance with IPv6 alone, which is served, the page said that it is out."""
    daemon.register(name="six", id="s", ip="2001:db8::6", port=80)
    wait_row(browser, "six/s", "[2001:db8::6]:80")
    browser.click('[data-key="six/s"]')
    wait_shown(browser, "#details .why [data-served=true]")
    browser.press("Escape")
    browser.click('[data-key="payment/b"]')
    wait_shown(browser, "#details .why [data-served=true]")
    browser.press("Escape")


def watchers(daemon):
    lines = daemon.http("GET", "/metrics")[1].splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rosterd_watchers "))


def check_tabs(daemon, browser):
    """Six tabs took all connections that a browser has to one server: the seventh hung."""
    url = f"http://127.0.0.1:{daemon.http_port}/ui/"
    first = browser.send("GET", f"{browser.session}/window")
    for _ in range(7):
        tab = browser.post(f"{browser.session}/window/new", type="tab")["handle"]
        browser.post(f"{browser.session}/window", handle=tab)
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=HASTE)
        browser.go(url)
        wait_text(browser, "#link", "live")
    wait_for(lambda: watchers(daemon) == 1, LIMIT_S, "tabs that nobody sees follow no events")
    daemon.register(name="meanwhile", id="m", ip="10.0.0.8", port=80)
    browser.post(f"{browser.session}/window", handle=first)
    wait_row(browser, "meanwhile/m", "10.0.0.8:80")
    wait_text(browser, "#link", "live")


def main():
    browser = Browser()
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=HASTE)
    daemon = harness.Daemon()
    daemon.register(name="payment", id="a", ip="10.0.0.1", port=80, ttl=1)
    daemon.register(name="payment", id="b", ip="10.0.0.2", port=80, ttl=1)
    between = Between(daemon)
    check_cut(between, browser)
    check_busy(daemon, between, browser)
    check_hang(between, browser)
    check_console(browser, "net::ERR_", "status of 503")
    browser.go(f"http://127.0.0.1:{daemon.http_port}/ui/")
    wait_row(browser, "payment/a", "passing")
    wait_text(browser, "#link", "live")
    wait_text(browser, "#server", "ready")
    check_silence(browser)
    check_row_said(browser)
    check_safe(daemon, browser)
    check_unseen(daemon, browser)
    check_v6(daemon, browser)
    check_narrow(browser)
    check_tabs(daemon, browser)
    check_denied(browser)


if __name__ == "__main__":
    harness.run(main)
