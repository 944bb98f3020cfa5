# SPDX-License-Identifier: MIT
"""A cz-gate that keeps history, for the tests and benchmarks of it."""
import json
import os
import urllib.parse

import live
from gate import Gate


class HistoryGate(Gate):
    """history: the file; its folder is made by cz-gate for its user."""

    def __init__(self, czd, history, arguments=()):
        super().__init__(czd, arguments=("--history", history, *arguments))
        self.history = history

    def said(self):
        return live.read(self.log) if os.path.exists(self.log) else ""

    def tell(self, path, **query):
        """(status, body) of /api/v1/PATH."""
        status, _, body = self.ask(f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
        return status, json.loads(body)

    def values(self, **query):
        status, body = self.tell("history", **query)
        return [value for value in body["mean"] if value is not None] if status == 200 else []

    def kill(self):
        self.child.kill()
        self.child.wait()


def file_of(czd):
    return os.path.join(czd.folder, "history", "history.db")
