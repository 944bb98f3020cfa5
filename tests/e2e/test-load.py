#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 120
"""cz-load against a real Redis on a private socket, a small HTTP server, and peers that misbehave."""
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BIN = os.environ.get("CZ_BIN", "build/bin")
LOAD = os.path.join(BIN, "cz-load")


def run(*args, expect=0, timeout=30):
    done = subprocess.run([LOAD, *args], capture_output=True, text=True, timeout=timeout)
    if done.returncode != expect:
        raise AssertionError(f"exit {done.returncode}, not {expect}: {done.stderr}{done.stdout}")
    return done


def result(*args, **kw):
    return json.loads(run(*args, "-o", "json", "-q", **kw).stdout)


class Peer:
    """A TCP server whose behaviour is one function per connection."""

    def __init__(self, talk):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.talk, self.connections, self.open = talk, 0, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self.run, args=(connection, self.connections),
                             daemon=True).start()

    def run(self, connection, number):
        try:
            self.talk(connection, number)
        except OSError:
            pass
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A thread in accept() keeps the listener alive: shutdown wakes it.
        for thing in [self.listener, *self.open]:
            try:
                thing.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            thing.close()


def answer(connection, reply):
    """One reply per request: RESP requests end in a known way, so count their '*' lines."""
    while True:
        data = connection.recv(65536)
        if not data:
            return
        connection.sendall(reply * (data.count(b"\r\n$3\r\nGET") + data.count(b"$4\r\nPING")))


class Redis(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="cz-test-load.")
        cls.path = os.path.join(cls.dir, "redis.sock")
        cls.server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", cls.path, "--save", "",
             "--dir", cls.dir], stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.wait()
        shutil.rmtree(cls.dir)

    def redis(self, *words):
        done = subprocess.run(["redis-cli", "-s", self.path, *words], capture_output=True,
                              text=True, check=True)
        return done.stdout

    def calls(self, command):
        for line in self.redis("info", "commandstats").splitlines():
            if line.startswith(f"cmdstat_{command}:"):
                return int(line.split("calls=")[1].split(",")[0])
        return 0

    def test_counts_agree_with_redis(self):
        run("resp", "--wait-ready", "10", "--seconds", "0.1", self.path, "-q")
        self.redis("flushall")
        self.redis("config", "resetstat")
        got = result("resp", "--rate", "2000", "--seconds", "2", "--set-ratio", "25%",
                     "--keys", "100", "--fill", self.path)
        sets, gets = self.calls("set") - 100, self.calls("get")
        self.assertEqual(got["replies"], sets + gets)
        self.assertEqual(got["replies"], got["sent"])
        self.assertEqual(got["intended"], got["sent"])
        self.assertEqual(got["misses"], 0)
        self.assertEqual(got["reply_errors"] + got["lost"] + got["unanswered"], 0)
        # Poisson: 4000 +- 5 sigma; the mix is binomial.
        self.assertLess(abs(got["intended"] - 4000), 5 * 4000 ** 0.5)
        self.assertLess(abs(sets - got["replies"] / 4), 5 * (got["replies"] * 3 / 16) ** 0.5)
        self.assertEqual(got["latency_ns"]["count"], got["replies"])
        self.assertLessEqual(got["latency_ns"]["p50"], got["latency_ns"]["p99"])
        self.assertEqual(int(self.redis("dbsize")), 100)

    def test_misses_and_value_size(self):
        run("resp", "--wait-ready", "10", "--seconds", "0.1", self.path, "-q")
        self.redis("flushall")
        got = result("resp", "--rate", "500", "--seconds", "1", "--set-ratio", "0", self.path)
        self.assertEqual(got["misses"], got["replies"])
        got = result("resp", "--rate", "500", "--seconds", "1", "--set-ratio", "100%",
                     "--keys", "1", "--value-size", "100K", self.path)
        self.assertEqual(got["reply_errors"], 0)
        self.assertEqual(int(self.redis("strlen", "key:0000000000")), 102400)

    def test_a_stalled_server_hides_nothing(self):
        """Stopped for 1 s: about half of 2 s of open-loop requests must show the stall."""
        run("resp", "--wait-ready", "10", "--seconds", "0.1", self.path, "-q")
        load = subprocess.Popen([LOAD, "resp", "--rate", "1000", "--arrival", "fixed", "--seconds",
                                 "2", "-o", "json", "-q", self.path], stdout=subprocess.PIPE)
        time.sleep(0.5)
        self.server.send_signal(signal.SIGSTOP)
        time.sleep(1)
        self.server.send_signal(signal.SIGCONT)
        got = json.loads(load.communicate(timeout=20)[0])
        self.assertGreater(got["latency_ns"]["max"], 800_000_000)
        self.assertEqual(got["replies"], got["intended"])
        # A closed-loop generator would show 8 slow requests, one a connection.
        self.assertGreater(got["latency_ns"]["p90"], 500_000_000)
        self.assertGreater(got["latency_ns"]["mean"], 150_000_000)

    def test_intervals_and_stop(self):
        load = subprocess.Popen([LOAD, "resp", "--rate", "500", "--interval", "200ms",
                                 "--wait-ready", "10", "--interval-json", "-q", self.path],
                                stdout=subprocess.PIPE, text=True)
        first = json.loads(load.stdout.readline())
        load.send_signal(signal.SIGTERM)
        rest = load.communicate(timeout=10)[0].splitlines()
        self.assertEqual(load.returncode, 0)
        self.assertEqual(first["type"], "interval")
        last = json.loads(rest[-1])
        self.assertEqual(last["type"], "result")
        self.assertGreater(last["replies"], 0)
        self.assertEqual(last["unanswered"], 0)

    def test_lag_max(self):
        """While the generator is stopped its own lag grows: that interval is left out, no other."""
        load = subprocess.Popen([LOAD, "resp", "--rate", "1000", "--arrival", "fixed", "--seconds",
                                 "2", "--interval", "100ms", "--lag-max", "50ms", "-o", "json",
                                 "-q", "--wait-ready", "10", self.path], stdout=subprocess.PIPE)
        time.sleep(0.7)
        load.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        load.send_signal(signal.SIGCONT)
        got = json.loads(load.communicate(timeout=20)[0])
        late = [i for i in got["intervals"] if i["lag_ns"].get("p99", 0) > 50_000_000]
        self.assertTrue(late)
        self.assertGreater(got["quiet"]["intervals"], 0)
        self.assertEqual(got["quiet"]["intervals"] + len(late), len(got["intervals"]))
        self.assertGreater(got["latency_ns"]["max"], 400_000_000)
        self.assertLess(got["quiet"]["lag_ns"]["p99"], 50_000_000)
        self.assertLess(got["quiet"]["latency_ns"]["count"], got["latency_ns"]["count"])

    def test_feed(self):
        path = os.path.join(self.dir, "feed.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as feed:
            feed.bind(path)
            feed.settimeout(5)
            got = result("resp", "--rate", "2000", "--seconds", "1.2", "--interval", "500ms",
                         "--wait-ready", "10", "--feed", path, "--zone", "cz-demo", self.path)
            counted = 0
            for interval in got["intervals"]:
                datagram = feed.recv(65536)
                self.assertLessEqual(len(datagram), 8192)
                for line in datagram.decode().splitlines():
                    version, zone, metric, value, count = line.split()
                    self.assertEqual((version, zone, metric), ("v1", "cz-demo", "latency_ns"))
                    self.assertGreater(int(value), 0)
                    counted += int(count)
            self.assertEqual(counted, sum(i["replies"] for i in got["intervals"]))


class Http(unittest.TestCase):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = b"x" * 3000
            self.send_response(200 if self.path == "/ok" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = "127.0.0.1:%d" % self.server.server_address[1]

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def test_get(self):
        got = result("http", "--rate", "100", "--seconds", "1", "--connections", "2",
                     "--path", "/ok", self.address)
        self.assertEqual(got["replies"], got["intended"])
        self.assertEqual(got["reply_errors"], 0)

    def test_errors_are_counted(self):
        done = run("http", "--rate", "100", "--seconds", "0.5", "--path", "/none", self.address,
                   "-q", expect=1)
        self.assertIn("no request succeeded: HTTP/1.1 404", done.stderr)


class Misbehaving(unittest.TestCase):
    def test_garbage(self):
        with Peer(lambda c, n: answer(c, b"\x16\x03\x01\x02")) as peer:
            done = run("resp", "--seconds", "1", peer.address, expect=1)
            self.assertIn(f"{peer.address}: byte 0x16 inside a line", done.stderr)

    def test_wrong_protocol(self):
        with Peer(lambda c, n: answer(c, b"+OK\r\n")) as peer:
            pass  # closed again: its port is free
        done = run("resp", "--seconds", "1", peer.address, expect=1)
        self.assertIn("Connection refused", done.stderr)
        self.assertIn("--wait-ready", done.stderr)

        def pong(connection, _):
            while connection.recv(65536):
                connection.sendall(b"+PONG\r\n")
        with Peer(pong) as peer:
            done = run("http", "--seconds", "1", peer.address, expect=1)
            self.assertIn("'+PONG' is not the status line", done.stderr)

    def test_too_many_replies(self):
        with Peer(lambda c, n: answer(c, b"+OK\r\n+OK\r\n" if n > 1 else b"+OK\r\n")) as peer:
            done = run("resp", "--seconds", "1", "--set-ratio", "0", peer.address, expect=1)
            self.assertIn("a reply nobody asked for", done.stderr)

    def test_closes_without_answering(self):
        with Peer(lambda c, n: c.close()) as peer:
            done = run("http", "--rate", "200", "--seconds", "20", peer.address, expect=1)
            self.assertIn("closes connections without answering", done.stderr)

    def test_reconnects(self):
        def some(connection, number):
            connection.settimeout(20)
            if number == 1:
                answer(connection, b"+OK\r\n")  # the ping before the run
            for _ in range(20):
                data = connection.recv(65536)
                connection.sendall(b"$2\r\nok\r\n" * data.count(b"\r\n$3\r\nGET"))
        with Peer(some) as peer:
            got = result("resp", "--rate", "400", "--seconds", "2", "--connections", "2",
                         "--set-ratio", "0", peer.address)
            self.assertGreater(got["reconnects"], 1)
            self.assertGreater(got["replies"], 50)
            self.assertEqual(got["intended"], got["replies"] + got["lost"] + got["not_sent"] +
                             got["unanswered"])

    def test_error_replies(self):
        with Peer(lambda c, n: answer(c, b"+PONG\r\n" if n == 1 else b"-ERR no\r\n")) as peer:
            done = run("resp", "--seconds", "0.5", "--set-ratio", "0", peer.address, expect=1)
            self.assertIn("no request succeeded: ERR no", done.stderr)

    def test_wait_ready(self):
        with Peer(lambda c, n: None) as peer:
            pass
        start = time.monotonic()
        run("resp", "--wait-ready", "500ms", "--seconds", "1", peer.address, expect=1)
        self.assertGreater(time.monotonic() - start, 0.4)

    def test_usage(self):
        for args, text in ((["--rate", "0", "x:1"], "--rate: 0 is too small"),
                           ([], "no address given"),
                           (["nowhere"], "'nowhere' is not an address"),
                           (["--feed", "/x", "a:1"], "--feed and --zone go together"),
                           (["--rte", "5", "a:1"], "Did you mean --rate?")):
            self.assertIn(text, run("resp", *args, expect=2).stderr)
        self.assertIn("Usage", run("--help").stdout)


if __name__ == "__main__":
    if not shutil.which("redis-server") or not shutil.which("redis-cli"):
        print("redis-server is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
