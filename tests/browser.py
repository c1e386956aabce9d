"""A real browser without a window, driven over the W3C WebDriver protocol with the standard library alone."""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import urllib.request

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")
MISSING = None if CHROMIUM and CHROMEDRIVER else "Chromium and chromedriver are not installed"
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking --disable-sync "
    "--no-first-run --disable-default-apps --disable-extensions --disable-component-update --hide-scrollbars"
).split()
# Of a browser that has much else to wait for; a page that is broken fails at once.
PATIENCE = 120


class Browser:
    """One page at a time.

    Args:
        address: of chromedriver.
        profile: folder for what the browser keeps.
    """

    def __init__(self, address, profile):
        self.address = address
        options = {"binary": CHROMIUM, "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self.session = self._send("POST", "/session", {"capabilities": {"alwaysMatch": always}})["sessionId"]
        # The page for new tabs is still busy with its own.
        self._send("POST", self._at("/url"), {"url": "about:blank"})

    def open(self, path, width=1280, height=900, scheme="light", media="screen"):
        """Show a file in a window of this size, as a reader with this preference or a printer has it."""
        self.logs("browser"), self.logs("performance")
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=media, features=features)
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self._send("POST", self._at("/url"), {"url": path.as_uri()})

    def run(self, script):
        """What a script returns."""
        return self._send("POST", self._at("/execute/sync"), {"script": script, "args": []})

    def command(self, name, **parameters):
        """A command of the DevTools protocol."""
        return self._send("POST", self._at("/goog/cdp/execute"), {"cmd": name, "params": parameters})

    def logs(self, kind):
        """Lines of "browser" (the console) or "performance" since they were last asked for."""
        return self._send("POST", self._at("/se/log"), {"type": kind})

    def requests(self):
        """Addresses that the page asked for, itself and data URIs apart."""
        events = [json.loads(line["message"])["message"] for line in self.logs("performance")]
        sent = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("data:", "file:///"))]

    def picture(self):
        """The whole page as PNG."""
        found = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def close(self):
        self._send("DELETE", self._at(""))

    def _at(self, path):
        return f"/session/{self.session}{path}"

    def _send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]


@contextlib.contextmanager
def started(profile):
    """A browser, and its driver on any free port."""
    driver = subprocess.Popen([CHROMEDRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = next(
            found[1] for found in (re.search(r"successfully on port (\d+)", line) for line in driver.stdout) if found
        )
        browser = Browser(f"http://127.0.0.1:{port}", profile)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        driver.terminate()
        driver.wait(PATIENCE)
        driver.stdout.close()
