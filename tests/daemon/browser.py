# SPDX-License-Identifier: BSD-2-Clause
"""A headless Chromium, by chromedriver and the WebDriver protocol: JSON over HTTP, so that the tests
need no module."""

import base64
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request

import harness
from harness import wait_for

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowDown": "\ue015", "ArrowUp": "\ue013",
        "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "End": "\ue010", "Home": "\ue011",
        "Tab": "\ue004"}
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--disable-extensions", "--no-proxy-server"]


class Browser:
    """One window. Everything waits for its end."""

    def __init__(self, width=1440, height=900):
        harness.need("chromium", "chromedriver")
        port = harness.free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.session = None
        self.requests = []
        # With a group of its own, so that no part of the browser outlives the test.
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       start_new_session=True)
        harness.cleanups.append(self.quit)
        wait_for(self.is_up, 20, "chromedriver is ready")
        options = {"args": [*FLAGS, f"--user-data-dir={harness.make_folder()}",
                            f"--window-size={width},{height}"]}
        reply = self.post("/session", capabilities={"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}})
        self.session = f"/session/{reply['sessionId']}"
        self.go("about:blank")
        self.urls().clear()  # of the page that a new browser begins with

    def is_up(self):
        try:
            return self.send("GET", "/status")["ready"]
        except OSError:
            return False

    def send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method,
                                         headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            message = json.load(error)["value"]["message"]
            raise harness.Failure(f"{path}: {message}") from None

    def post(self, path, **body):
        return self.send("POST", path, body)

    def quit(self):
        try:
            if self.session:
                self.send("DELETE", self.session)
        finally:
            os.killpg(self.driver.pid, signal.SIGKILL)
            self.driver.wait()

    def go(self, url):
        self.post(f"{self.session}/url", url=url)

    def run(self, script, *arguments):
        """What a JavaScript function with this body returns."""
        return self.post(f"{self.session}/execute/sync", script=script, args=list(arguments))

    def wait(self, script, *arguments, limit_s=30):
        """The first true value of such a function."""
        return wait_for(lambda: self.run(script, *arguments), limit_s, script, every_s=0.03)

    def press(self, *keys):
        """As somebody at the keyboard would; each is a name of KEYS, or text."""
        actions = []
        for key in keys:
            for char in KEYS.get(key, key):
                actions += [{"type": "keyDown", "value": char}, {"type": "keyUp", "value": char}]
        self.post(f"{self.session}/actions",
                  actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def click(self, selector):
        """As a pointer would: what covers the element, or hides it, makes this fail."""
        found = self.post(f"{self.session}/element", using="css selector", value=selector)
        self.post(f"{self.session}/element/{found[ELEMENT]}/click")

    def devtools(self, command, **parameters):
        return self.post(f"{self.session}/goog/cdp/execute", cmd=command, params=parameters)

    def console(self):
        """Messages since the last call: errors, warnings, what the policy has stopped."""
        return self.post(f"{self.session}/se/log", type="browser")

    def urls(self):
        """Every URL that a page has asked for, whatever for, since the start."""
        for entry in self.post(f"{self.session}/se/log", type="performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        return self.requests

    def shoot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.send("GET", f"{self.session}/screenshot")))
