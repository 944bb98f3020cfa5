# SPDX-License-Identifier: MIT
"""A headless Chromium, driven over its own pipe (no port, no driver program)."""
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

import live

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe"]


class Browser:
    """One tab. `errors` collects what the console and the network complained of."""

    def __init__(self, width=1100, height=800):
        self.folder = tempfile.mkdtemp(prefix="cz-browser-")
        self.size, self.number, self.errors, self.text, self.session = f"--window-size={width},{height}", 0, [], b"", None

    def __enter__(self):
        to_read, self.to = os.pipe()
        self.come, from_write = os.pipe()

        def pipes():  # Chromium reads from 3 and writes to 4
            live.die_with_parent()
            high = [os.dup2(fd, 50 + i) for i, fd in enumerate((to_read, from_write))]
            for number, fd in enumerate(high, 3):
                os.dup2(fd, number)
        self.child = subprocess.Popen([shutil.which("chromium"), *FLAGS, self.size, f"--user-data-dir={self.folder}", "about:blank"],
                                      preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        tab = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=tab["targetId"], flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page", "Network", "Performance"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        os.close(self.to)
        os.close(self.come)
        shutil.rmtree(self.folder, ignore_errors=True)

    def message(self, timeout_s):
        """The next one; None: none came."""
        deadline = time.monotonic() + timeout_s
        while b"\0" not in self.text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.come], [], [], left)[0]:
                return None
            data = os.read(self.come, 1 << 20)
            if not data:
                raise RuntimeError("the browser has gone")
            self.text += data
        line, self.text = self.text.split(b"\0", 1)
        message = json.loads(line)
        self.note(message)
        return message

    def note(self, message):
        method, told = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(told["exceptionDetails"].get("exception", {}).get("description") or told["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(told["args"])[:300])
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")

    def call(self, method, timeout_s=60, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        while True:
            message = self.message(timeout_s)
            if message is None:
                raise TimeoutError(f"{method}: no answer within {timeout_s} s")
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, script, timeout_s, what):
        return live.wait_for(lambda: self.run(script), timeout_s, what)

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def emulate(self, width, scheme):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        import base64
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))
