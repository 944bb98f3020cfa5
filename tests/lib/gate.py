# SPDX-License-Identifier: MIT
"""A cz-gate of one's own, on a free port of loopback, as a client of a live.Czd."""
import json
import os
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import live

CHANGE_TOKEN = "change-token-of-a-test"


class Gate:
    """user: nobody reads only; root may change (czd goes by the uid). The folder of czd is opened up for it."""

    def __init__(self, czd, user="nobody", arguments=(), change=True):
        self.czd, self.log = czd, os.path.join(czd.folder, "gate.log")
        os.chmod(czd.folder, 0o755)
        os.chmod(czd.socket_path, 0o666)
        token = os.path.join(czd.folder, "change-token")
        live.write(token, CHANGE_TOKEN + "\n")
        os.chmod(token, 0o600)
        self.command = [live.program("cz-gate"), "--listen", "127.0.0.1:0", "--socket", czd.socket_path, "--user", user,
                        "--read-token", os.path.join(czd.folder, "no-such-file"),
                        "--change-token", token if change else os.path.join(czd.folder, "no-such-file"), "--history", "none", *arguments]
        self.child, self.port = None, 0

    def start(self):
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          preexec_fn=live.die_with_parent)
        self.port = int(live.wait_for(self.listens, 20, "cz-gate listens").rsplit(" ", 1)[1])
        return self

    def listens(self):
        lines = live.read(self.log).splitlines()
        if self.child.poll() is not None:
            raise RuntimeError(f"cz-gate ended with {self.child.returncode}: {lines}")
        return next((line for line in lines if "listening at" in line), None)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, path, method="GET", body=None, timeout=30, **headers):
        """(status, headers, bytes); header names with _ for -."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.url(path), method=method, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def get(self, path, **headers):
        status, _, body = self.ask(path, **headers)
        if status != 200:
            raise live.RequestError(f"{path}: {status} {body[:300]}")
        return json.loads(body)

    def change(self, path, body=None, token=CHANGE_TOKEN):
        status, _, answer = self.ask(path, "POST", body or {}, Authorization=f"Bearer {token}")
        return status, json.loads(answer)

    def ready(self):
        return self.ask("/readyz")[0] == 200

    def stop(self, timeout_s=10):
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.terminate()
            self.child.wait(timeout_s)
        return self.child.returncode if self.child else 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def quoted(name):
    return urllib.parse.quote(name, safe="")
