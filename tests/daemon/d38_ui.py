# SPDX-License-Identifier: BSD-2-Clause
"""The status page in a real browser: what it shows, what one can do with it by keys and pointer, who
may, and that nothing that others wrote is ever more than text. ROSTERD_SHOTS: a folder for
screenshots."""

import http.client
import os

import harness
from browser import Browser
from harness import expect, expect_equal, wait_for

SHOTS = os.environ.get("ROSTERD_SHOTS")
LIMIT_S = 30  # until the page shows something, on a machine that has other things to do
ROWS_MAX = 80
ELEMENTS_MAX = 3000
EVIL = '<img src=x onerror="window.hacked = 1">'
SCRIPT = "<script>window.hacked = 2</script>"
TTL_CHECK = [{"kind": "ttl", "ttl": "300s"}]

ROW = """return [...document.querySelectorAll('#grid .row')]
    .find((row) => row.dataset.key === arguments[0])?.textContent ?? ''"""
TEXT = "return document.querySelector(arguments[0])?.textContent ?? ''"
SHOWN = "return document.querySelector(arguments[0])?.checkVisibility() ?? false"
FOCUS = "return document.activeElement.id"


def shoot(browser, name):
    if SHOTS:
        browser.shoot(os.path.join(SHOTS, f"{name}.png"))


def url_of(daemon):
    return f"http://127.0.0.1:{daemon.http_port}"


def beat(daemon, *heartbeats):
    reply = daemon.http("POST", "/registry/heartbeat", list(heartbeats))
    expect_equal(reply[0], 200, f"heartbeats: {reply[1]}")


def wait_row(browser, key, *texts):
    wait_for(lambda: all(text in browser.run(ROW, key) for text in texts), LIMIT_S,
             f"the row of {key} has {texts}")


def wait_text(browser, selector, text):
    wait_for(lambda: text in browser.run(TEXT, selector), LIMIT_S, f"{selector} has {text!r}")


def wait_shown(browser, selector, is_shown=True):
    wait_for(lambda: browser.run(SHOWN, selector) == is_shown, LIMIT_S,
             f"{selector} shown: {is_shown}")


def check_console(browser, *allowed):
    """The browser reports each reply that is an error: those are known before, nothing else is."""
    for message in browser.console():
        known = message["source"] == "network" and any(text in message["message"]
                                                       for text in allowed)
        expect(known, f"on the console: {message}")


def check_headers(daemon):
    for path, status in (("/", 302), ("/ui", 302), ("/ui/", 200), ("/ui/main.js", 200)):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=10)
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read()
        expect_equal(reply.status, status, path)
        if status == 200:
            policy = reply.getheader("Content-Security-Policy")
            expect("default-src 'none'" in policy and "unsafe" not in policy, policy)
            expect_equal(reply.getheader("X-Content-Type-Options"), "nosniff", path)
            connection.request("GET", path, headers={"If-None-Match": reply.getheader("ETag")})
            reply = connection.getresponse()
            expect_equal((reply.status, reply.read()), (304, b""), f"{path} again")
        connection.close()


def check_list(daemon, browser):
    daemon.register(name="payment", id="a", ip="10.0.0.1", port=8080, weight=300, lease=300,
                    tags=["eu"], version="1.2", checks=TTL_CHECK)
    daemon.register(name="payment", id="b", ip="10.0.0.2", port=8080, checks=TTL_CHECK)
    daemon.register(name="cart", id="c", ip="10.0.0.3", port=80)
    beat(daemon, *({"service": "payment", "id": i, "status": s, "output": f"said {s}"}
                   for i in "ab" for s in ("passing", "critical", "passing")))
    browser.go(f"{url_of(daemon)}/")
    wait_row(browser, "payment/a", "passing", "10.0.0.1:8080", "75 %", "v1.2, eu")
    wait_row(browser, "payment/b", "25 %")
    wait_row(browser, "payment", "2 instances", "2 served")
    expect_equal(browser.run("return location.pathname"), "/ui/", "the page's path")
    expect_equal(browser.run("""return document.querySelector('[data-key="payment/a"] .strip')
        .getAttribute("aria-label")"""), "last 3 results: 2 passing, 1 critical", "the history")
    wait_text(browser, "#server", "ready")
    wait_text(browser, "#link", "live")


def check_events(daemon, browser):
    browser.run("window.isSame = true")
    beat(daemon, {"service": "payment", "id": "a", "status": "critical", "output": "boom"})
    wait_row(browser, "payment/a", "critical", "–")
    wait_row(browser, "payment/b", "100 %")
    wait_text(browser, "#log li", "critical")
    daemon.register(name="new", id="n", ip="10.0.0.9", port=80)
    wait_row(browser, "new/n", "10.0.0.9:80")
    daemon.http("DELETE", "/registry/services/new/instances/n")
    wait_for(lambda: not browser.run(ROW, "new"), LIMIT_S, "a service that is gone is not shown")
    wait_text(browser, "#log li", "deregistered")
    beat(daemon, {"service": "payment", "id": "a", "status": "passing"})
    wait_row(browser, "payment/a", "passing", "75 %")
    expect(browser.run("return window.isSame"), "the page was loaded again")


def check_keys(browser):
    """The way of somebody without a pointer."""
    browser.press("/")
    expect_equal(browser.run(FOCUS), "filter", "the focus behind /")
    browser.press("10.0.0.2", "Enter")
    wait_for(lambda: not browser.run(ROW, "cart"), LIMIT_S, "the filter acts")
    expect_equal(browser.run(FOCUS), "grid", "the focus behind Enter")
    active = """const grid = document.querySelector("#grid");
        return document.getElementById(grid.getAttribute("aria-activedescendant"))?.dataset.key"""
    expect_equal(browser.run(active), "payment", "the active row")
    browser.press("ArrowDown", "Enter")
    wait_shown(browser, "#details")
    wait_text(browser, "#details h2", "b")
    wait_text(browser, "#details .why", "in")
    wait_text(browser, "#details", "said passing")
    expect(browser.run('return document.activeElement.matches("#details h2")'), "the focus")
    shoot(browser, "details")
    browser.press("Escape")
    wait_shown(browser, "#details", False)
    expect_equal(browser.run(FOCUS), "grid", "the focus behind Escape")
    expect_equal(browser.run(active), "payment/b", "the active row behind Escape")
    browser.press("ArrowLeft", "ArrowLeft")
    wait_for(lambda: not browser.run(ROW, "payment/b"), LIMIT_S, "the service is folded")
    browser.press("ArrowRight", "Escape")
    wait_row(browser, "payment/b", "passing")
    wait_row(browser, "cart", "1 instance")


def check_filter(daemon, browser):
    beat(daemon, {"service": "payment", "id": "b", "status": "warning"})
    wait_row(browser, "payment/b", "warning")
    browser.click("[data-filter=warning]")
    wait_for(lambda: not browser.run(ROW, "payment/a"), LIMIT_S, "the status filter acts")
    wait_row(browser, "payment", "1 of 2 instances")
    browser.click("[data-filter=all]")
    wait_row(browser, "payment/a", "passing")


def check_drain(daemon, browser):
    """What the buttons do is in DNS."""
    daemon.wait_addresses("payment.service.local", ["10.0.0.1", "10.0.0.2"], LIMIT_S)
    browser.click('[data-key="payment/b"]')
    browser.click("[data-admin=drain]")
    wait_shown(browser, "#confirm")
    browser.press("Escape")
    wait_shown(browser, "#confirm", False)
    expect_equal(len(daemon.addresses("payment.service.local")), 2, "addresses behind Escape")
    browser.click("[data-admin=drain]")
    wait_shown(browser, "#confirm")
    shoot(browser, "confirm")
    browser.click("#confirm .main")
    daemon.wait_addresses("payment.service.local", ["10.0.0.1"], LIMIT_S)
    wait_row(browser, "payment/b", "draining", "safe")
    wait_text(browser, "#details .safe", "afe to stop")
    wait_text(browser, "#log li", "admin: drain")
    wait_text(browser, "#details .why", "out")
    wait_text(browser, "#states [data-filter=out]", "1")
    browser.click('[data-key="payment/a"]')
    browser.click("[data-admin=down]")
    wait_text(browser, "#confirm-warning", "the only instance")
    browser.click("#confirm [value=cancel]")
    browser.click('[data-key="payment/b"]')
    browser.click("[data-admin=auto]")
    daemon.wait_addresses("payment.service.local", ["10.0.0.1", "10.0.0.2"], LIMIT_S)
    wait_row(browser, "payment/b", "warning")
    browser.press("Escape")


def check_hostile_text(daemon, browser):
    """Whatever others can write stays text wherever it is shown."""
    daemon.register(name="evil", id=EVIL, ip="10.6.6.6", port=666, checks=TTL_CHECK,
                    version=SCRIPT, meta={"note": EVIL, "more": SCRIPT}, description="</dd>" + EVIL)
    beat(daemon, {"service": "evil", "id": EVIL, "status": "critical", "output": EVIL + SCRIPT})
    wait_row(browser, f"evil/{EVIL}", EVIL, "critical")
    wait_text(browser, "#log", EVIL)
    browser.click(".row[data-key^='evil/']")
    for text in (EVIL, SCRIPT, EVIL + SCRIPT, "</dd>" + EVIL):
        wait_text(browser, "#details", text)
    browser.click("[data-admin=down]")
    wait_text(browser, "#confirm-title", EVIL)
    browser.click("#confirm .main")
    wait_row(browser, f"evil/{EVIL}", "down")
    wait_text(browser, "#notes", EVIL)
    shoot(browser, "hostile")
    expect_equal(browser.run("""return [window.hacked ?? null, document.querySelectorAll(
        "main img, main script, main b b, dialog img, #notes img").length]"""), [None, 0],
        "what became of hostile text")
    browser.press("Escape")


def check_reconnect(daemon, browser):
    browser.run("window.isSame = true")
    daemon.stop()
    wait_text(browser, "#link", "disconnected")
    daemon.start()
    wait_text(browser, "#link", "live")
    daemon.register(name="after", id="x", ip="10.0.0.20", port=80)
    wait_row(browser, "after/x", "10.0.0.20:80")
    expect(browser.run("return window.isSame"), "the page was loaded again")


def check_many(daemon, browser):
    for k in range(10):
        status, _ = daemon.http("POST", "/registry/register", [
            {"name": f"fleet-{k}", "id": f"node-{i:03}", "ip": f"10.{100 + k}.{i // 250}.{i % 250}",
             "port": 9000, "lease": 300} for i in range(1000)])
        expect_equal(status, 201, "a thousand registrations")
    browser.go(f"{url_of(daemon)}/ui/")
    browser.wait("return document.querySelector('[data-filter=all] b')?.textContent >= '10,0'")
    shoot(browser, "many")
    browser.press("/", "fleet", "Enter", "End")
    wait_row(browser, "fleet-9/node-999", "10.109.3.249:9000")
    wait_text(browser, "#pinned", "fleet-9")
    n_rows, n_elements = browser.run("""return [document.querySelectorAll('.row').length,
        document.querySelectorAll('*').length]""")
    expect(10 < n_rows <= ROWS_MAX, f"{n_rows} rows")
    expect(n_elements <= ELEMENTS_MAX, f"{n_elements} elements")
    daemon.http("PUT", "/registry/services/fleet-9/instances/node-998/admin", {"state": "down"})
    wait_row(browser, "fleet-9/node-998", "down")
    browser.press("/", "fleet-3 node-123", "Enter")
    wait_row(browser, "fleet-3/node-123", "passing")
    expect_equal(browser.run(TEXT, "#grid").count("node-"), 1, "rows that the filter lets through")


def check_phone(browser):
    browser.devtools("Emulation.setDeviceMetricsOverride", width=390, height=844,
                     deviceScaleFactor=1, mobile=True)
    browser.wait("return document.querySelector('#registry').dataset.size === 's'")
    shoot(browser, "phone")
    expect(browser.run("return document.documentElement.scrollWidth <= innerWidth"),
           "the page is wider than a phone")
    browser.devtools("Emulation.clearDeviceMetricsOverride")


def check_tokens(browser):
    """Who may read sees, who may administrate has buttons; a token is for this tab alone."""
    daemon = harness.Daemon(config="server:\n  workers: 1\n" + harness.access(
        {"name": "ops", "token": "token-of-ops", "admin": "*"},
        {"name": "viewer", "token": "token-of-viewer", "read": "*", "admin": ["cart"]},
        {"name": "shop", "token": "token-of-shop", "read": ["cart", "cart-*"]},
        {"name": "cart", "token": "token-of-cart", "read": ["cart"]}), token="token-of-ops")
    daemon.register(name="payment", id="a", ip="10.0.0.1", port=80)
    daemon.register(name="cart", id="c", ip="10.0.0.3", port=80)
    browser.go(f"{url_of(daemon)}/ui/")
    wait_shown(browser, "#token")
    wait_text(browser, "#token-reason", "this takes a token")
    expect_equal(browser.run(ROW, "payment/a"), "", "what is shown without a token")
    shoot(browser, "token")
    browser.press("token-of-nobody", "Enter")
    wait_text(browser, "#token-reason", "no token that is known here")
    wait_shown(browser, "#token")
    browser.press("token-of-viewer", "Enter")
    wait_row(browser, "payment/a", "passing")
    wait_text(browser, "#link", "live")
    wait_text(browser, "#who", "viewer")
    browser.click('[data-key="payment/a"]')
    wait_text(browser, "#details .why", "in")
    wait_shown(browser, "#details .actions", False)
    browser.click('[data-key="cart/c"]')
    wait_shown(browser, "#details .actions")
    change_token(browser, "token-of-shop")
    wait_for(lambda: not browser.run(ROW, "payment"), LIMIT_S, "what others may read is gone")
    wait_row(browser, "cart/c", "passing")
    wait_text(browser, "#link", "no events")
    change_token(browser, "token-of-cart")
    wait_row(browser, "cart/c", "passing")
    wait_text(browser, "#link", "live")
    change_token(browser, "token-of-ops")
    wait_row(browser, "payment/a", "passing")
    browser.click('[data-key="payment/a"]')
    browser.click("[data-admin=up]")
    wait_text(browser, "#details .state", "admin: up")
    expect_equal(browser.run("return [sessionStorage.length, localStorage.length, "
                             "document.cookie]"), [1, 0, ""], "where the token is")
    browser.click("#who")
    browser.click("#token-forget")
    wait_text(browser, "#token-reason", "this takes a token")
    expect_equal(browser.run("return sessionStorage.length"), 0, "tokens behind Forget")
    expect_equal(browser.run(ROW, "payment/a"), "", "what is shown behind Forget")
    return daemon


def change_token(browser, token):
    browser.click("#who")
    wait_shown(browser, "#token")
    browser.press(token, "Enter")
    wait_shown(browser, "#token", False)


def main():
    browser = Browser()
    daemon = harness.Daemon()
    check_headers(daemon)
    check_list(daemon, browser)
    check_events(daemon, browser)
    check_keys(browser)
    check_filter(daemon, browser)
    check_drain(daemon, browser)
    check_hostile_text(daemon, browser)
    check_phone(browser)
    check_console(browser)
    check_reconnect(daemon, browser)
    # 503: what it is told of a server that starts, or stops; 410: of changes from before.
    check_console(browser, "net::ERR_", "status of 410", "status of 503")
    check_many(daemon, browser)
    check_console(browser)
    guarded = check_tokens(browser)
    check_console(browser, "status of 401", "status of 403")
    for url in browser.urls():
        expect(url.startswith((f"{url_of(daemon)}/", f"{url_of(guarded)}/")), f"asked for {url}")


if __name__ == "__main__":
    harness.run(main)
