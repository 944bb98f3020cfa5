#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 300
"""cz-gate as programs meet it, on a real czd with real harm: the API as its OpenAPI document says, the
metrics as promtool and a Prometheus read them, the stream; and what must not harm it or czd: slow and
rude clients, other sites, wrong tokens, a czd that dies, and its own death."""
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import dist_packages  # noqa: E402,F401
import jsonschema  # noqa: E402
import live  # noqa: E402
from live import check  # noqa: E402
from gate import CHANGE_TOKEN, Gate, quoted  # noqa: E402
from history import HistoryGate, file_of  # noqa: E402

NAME = f"cz-gate{os.getpid()}"
LC, BE = f"{NAME[3:]}-lc", f"{NAME[3:]}-be"  # as czd names them: without its own prefix
CPU = os.cpu_count() - 1
SLOW_CLIENTS = 1100  # more than half of the connections: then nobody may take his time
SKIPPED = []


@contextlib.contextmanager
def scene():
    """(czd, victim, hog): a protected zone and a hog on its CPU."""
    with live.Czd() as czd, live.Group(f"{NAME}-lc") as victim, live.Group(f"{NAME}-be") as hog:
        live.wait_for(lambda: {f"/{NAME}-lc", f"/{NAME}-be"} <= {z["path"] for z in czd.request("list", all=True)["zones"]},
                      20, "czd sees the zones")
        czd.request("protect", zone=f"/{NAME}-lc", slo="wait.p99=500us")
        czd.request("protect", zone=f"/{NAME}-be", **{"class": "be"})
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        victim.start([live.program("cz-work"), "sine", "--period", "4s", "--min", "40%", "--max", "70%", "--seconds", "600"], cpu=CPU, **quiet)
        hog.start([live.program("cz-work"), "hog", "--threads", "1", "--seconds", "600"], cpu=CPU, **quiet)
        yield czd, victim, hog


# --- the API ------------------------------------------------------------------------------------

def fill_in(path, zone):
    needed = {"/api/v1/history": "?zone=host&metric=host_cpu_busy_ns_total", "/api/v1/history/ledger": f"?zone={quoted(zone)}"}
    return path.replace("{zone}", quoted(zone)).replace("{seq}", "999999").replace("{file}", "app.js").replace("{kind}", "findings") + needed.get(path, "")


class Document:
    """The OpenAPI document, as a judge of answers: status, type and shape."""

    def __init__(self, gate):
        self.whole = gate.get("/api/v1/openapi.json")
        jsonschema.Draft4Validator.check_schema(self.whole["components"]["schemas"]["Error"])

    def shape(self, schema):
        """As JSON Schema has it: OpenAPI 3.0 says nullable, and references lead into the document."""
        if isinstance(schema, list):
            return [self.shape(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            found = self.whole
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            return self.shape(found)
        shaped = {key: self.shape(value) for key, value in schema.items() if key != "nullable"}
        if schema.get("nullable") is True:
            shaped["type"] = [shaped["type"], "null"]
        return shaped

    def judge(self, path, method, status, headers, body):
        where = f"{method} {path}: {status}"
        operation = self.whole["paths"][path][method.lower()]
        answer = self.shape(operation["responses"]["200" if status == 200 else "default"])
        kind = headers["Content-Type"].split(";")[0]
        check(kind in answer["content"], f"{where}: {kind} is not documented")
        if kind != "application/json":
            return
        try:
            jsonschema.validate(json.loads(body), answer["content"][kind]["schema"], cls=jsonschema.Draft4Validator)
        except jsonschema.ValidationError as error:
            raise AssertionError(f"{where}: {error.message} at {list(error.absolute_path)}") from None


def walk_the_document(gate, czd):
    """Each operation answers as documented, whatever it is asked; nothing else can be asked."""
    document, walked = Document(gate), 0
    for path, operations in document.whole["paths"].items():
        for method, operation in operations.items():
            where, asked = f"{method} {path}", fill_in(path, LC)

            def ask(asked, wanted, verb=method.upper(), path=path, **options):
                status, headers, body = gate.ask(asked, verb, **options)
                check(status in wanted, f"{verb} {asked}: {status} {body[:200]}")
                document.judge(path, verb, status, headers, body)
                return body
            if path.endswith("/stream"):
                continue
            if method == "get":
                ask(asked, {200})
                check(gate.ask(asked, "HEAD")[0] == 200 and gate.ask(asked, "HEAD")[2] == b"", f"HEAD {asked}")
                for parameter in operation["parameters"]:
                    if parameter["in"] == "query" and parameter["schema"]["type"] in ("integer", "boolean"):
                        body = ask(f"{asked}{'&' if '?' in asked else '?'}{parameter['name']}=x", {400})
                        check(parameter["name"] in json.loads(body)["error"]["message"], f"{where}: {body}")
            else:
                ask(asked, {401}, body={})
                token = {"Authorization": f"Bearer {CHANGE_TOKEN}"}
                ask(asked, {400} if "seq" not in path else {400, 403, 404}, body={"no such thing": 1}, **token)
            other, headers, _ = gate.ask(asked, "DELETE")
            check(other == 405 and method.upper() in headers["Allow"], f"DELETE {asked}: {other} {headers['Allow']}")
            walked += 1
    check(walked > 20, f"only {walked} operations")
    check(gate.ask("/healthz%00x")[0] == 404 and gate.ask("/api/v1/zones%00")[0] == 404, "a path that ends early")


def pages(gate, czd):
    seen, cursor, asked = [], "", 0
    while cursor is not None:
        page = gate.get(f"/api/v1/zones?all=true&limit=1&cursor={quoted(cursor)}" if cursor else "/api/v1/zones?all=true&limit=1")
        check(len(page["zones"]) <= 1, "more than asked for")
        seen += [zone["path"] for zone in page["zones"]]
        cursor, asked = page["next_cursor"], asked + 1
    mine = {f"/{NAME}-lc", f"/{NAME}-be"}
    check(mine <= set(seen) and len(seen) == len(set(seen)), f"pages: {seen}")
    check(seen == sorted(seen), "not in order")


def as_czd_says(gate, czd):
    row = gate.get(f"/api/v1/zones/{LC}")
    check(row["slo"] == "wait.p99=500us" and row["class"] == "lc", f"{row}")
    check(row["id"] == czd.request("inspect", zone=f"/{NAME}-lc")["id"], "another zone")
    why = live.wait_for(lambda: w if (w := gate.get(f"/api/v1/zones/{LC}/why"))["finding"] else None, 30, "a finding")
    check(BE in json.dumps(why), "the hog is not named")


def errors(gate, czd):
    for path, status in (("/nix", 404), ("/api/v1/nix", 404), ("/api/v1/zones/nix", 404), ("/" + "a" * 5000, 414),
                         ("/api/v1/zones?limit=0", 400), ("/api/v1/events?since=-1", 400)):
        got, _, body = gate.ask(path)
        check(got == status, f"{path}: {got}, expected {status}")
        error = json.loads(body)["error"]
        check(error["name"].startswith("E") and error["message"], f"{path}: {body}")
    check(gate.ask("/healthz", "DELETE")[0] == 405, "DELETE")
    token = {"Authorization": f"Bearer {CHANGE_TOKEN}"}
    check(gate.ask("/api/v1/mode", "POST", b"{" + b" " * 20000 + b"}", **token)[0] == 413, "a body of 20 kB")
    check(gate.ask("/api/v1/mode", "POST", b"mode=enforce", Content_Type="application/x-www-form-urlencoded", **token)[0] == 415, "a form")
    check(gate.ask("/api/v1/mode", "POST", b'["mode"]', Content_Type="application/json", **token)[0] == 400, "an array")
    status, answer = gate.change("/api/v1/mode", {"mode": "observe", "x" * 63 + "\u00e9": 1})  # told with a limit that falls into the last letter
    check(status == 400 and "xxx" in answer["error"]["message"], f"{status} {answer}")
    with socket.create_connection(("127.0.0.1", gate.port), timeout=30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 40000)
        check(client.recv(100).startswith(b"HTTP/1.1 431"), "40 kB of headers")


def raw(gate, text):
    """The first line of what comes back, or "" when the connection ends without a word."""
    with socket.create_connection(("127.0.0.1", gate.port), timeout=30) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        return client.recv(4096).split(b"\r\n")[0].decode()


def odd_requests(gate, czd):
    """What a proxy in front and cz-gate could read differently is refused; bodies may come in chunks."""
    head = b"POST /api/v1/mode HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer " + CHANGE_TOKEN.encode() + b"\r\n"
    check(" 403" in raw(gate, head + b"Transfer-Encoding: chunked\r\n\r\n13\r\n" + b'{"mode": "observe"}' + b"\r\n0\r\n\r\n"), "in chunks")
    for more in (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
                 b"Content-Length: -1\r\n\r\n", b"Content-Length: 99999999999999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                 b"Host: evil.example\r\nContent-Length: 0\r\n\r\n"):
        first = raw(gate, head + more)
        check(not first or " 4" in first, f"{more}: {first}")
    for line in (b"GET /healthz HTTP/1.1\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"GET http://evil.example/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"):
        first = raw(gate, line)
        check(not first or " 4" in first, f"{line}: {first}")
    check(" 405" in raw(gate, b"OPTIONS /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), "OPTIONS")
    check(gate.ask("/healthz")[0] == 200, "it lives")


def other_sites(gate, czd):
    check(gate.ask("/api/v1/version", Host="evil.example")[0] == 403, "DNS rebinding")
    check(gate.ask("/", Host="evil.example")[0] == 403, "DNS rebinding, page")
    check(gate.ask("/api/v1/version", Origin="http://evil.example")[0] == 403, "Origin")
    check(gate.ask("/metrics", Sec_Fetch_Site="cross-site")[0] == 403, "Sec-Fetch-Site")
    check(gate.ask("/", Sec_Fetch_Site="cross-site")[0] == 200, "a link to the page")
    status, headers, _ = gate.ask("/", Origin=f"http://127.0.0.1:{gate.port}")
    check(status == 200 and "Access-Control-Allow-Origin" not in headers, "own page")
    check("script-src 'self'" in headers["Content-Security-Policy"] and "unsafe" not in headers["Content-Security-Policy"], "CSP")


def nobody_changes(gate, czd):
    """The token is right, but czd does not take changes from that user."""
    check(gate.change("/api/v1/mode", {"mode": "enforce"}, "wrong-wrong-wrong-wrong")[0] == 401, "wrong token")
    status, answer = gate.change("/api/v1/mode", {"mode": "enforce"})
    check(status == 403 and "cz-admin" in answer["error"]["message"], f"{status} {answer}")
    check(czd.request("mode")["mode"] == "observe", "the mode was set")


def privileges(gate, czd):
    status = dict(line.split(":\t", 1) for line in live.read(f"/proc/{gate.child.pid}/status").splitlines() if ":\t" in line)
    check(set(status["Uid"].split()) == {"65534"}, f"uid {status['Uid']}")
    check(int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0, "it has capabilities")
    check(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", "no_new_privs, seccomp")


# --- metrics ------------------------------------------------------------------------------------

def metrics(gate, czd):
    status, headers, body = gate.ask("/metrics")
    text = body.decode()
    check(status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", headers["Content-Type"])
    check(f'cz_zone_cpu_usage_seconds_total{{zone="{LC}",class="lc",kind="cgroup"}} ' in text, "no CPU time of the zone")
    live.wait_for(lambda: f'cz_wait_behind_seconds_total{{victim="{LC}",culprit="{BE}",culprit_class="be"}} ' in
                  gate.ask("/metrics")[2].decode(), 20, "the pair")
    check("cz_up 1\n" in text and "cz_czd_cpu_seconds_total " in text and "# EOF" not in text, "own cost")
    status, headers, body = gate.ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    check(headers["Content-Type"].startswith("application/openmetrics-text") and body.endswith(b"# EOF\n"), "OpenMetrics")
    if not shutil.which("promtool"):
        SKIPPED.append("promtool and a Prometheus (package prometheus is not installed)")
        return
    told = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    check(told.returncode == 0 and not told.stderr.strip(), f"promtool: {told.stdout}{told.stderr}")


def zones_come_and_go(gate, czd):
    def told(name):
        return f'cz_zone_cpu_usage_seconds_total{{zone="{name}",' in gate.ask("/metrics")[2].decode()
    with live.Group(f"{NAME}-new") as group:
        live.wait_for(lambda: told(f"{NAME[3:]}-new"), 20, "the new zone")
        czd.request("protect", zone=f"/{NAME}-new", **{"class": "be"})
        live.wait_for(lambda: f'zone="{NAME[3:]}-new",class="be"' in gate.ask("/metrics")[2].decode(), 20, "its class")
        check(os.path.isdir(group.paths[0]), "it is there")
    live.wait_for(lambda: not told(f"{NAME[3:]}-new"), 20, "it is told no more")
    check(told(LC) and told(BE), "others are lost")


def query(port, expression):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quoted(expression)}", timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def prometheus_scrapes(gate, czd):
    if not shutil.which("prometheus"):
        return
    folder, port = os.path.join(czd.folder, "prometheus"), live.free_port()
    os.mkdir(folder)
    live.write(f"{folder}/p.yml", "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: cz\n  static_configs:\n"
               f"  - targets: ['127.0.0.1:{gate.port}']\n")
    with open(f"{folder}/log", "wb") as log:
        server = subprocess.Popen(["prometheus", f"--config.file={folder}/p.yml", f"--storage.tsdb.path={folder}/data",
                                   f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, preexec_fn=live.die_with_parent)

    def value(expression):
        try:
            result = query(port, expression)
        except OSError:
            return None
        return float(result[0]["value"][1]) if result else None
    try:
        pair = f'rate(cz_wait_behind_seconds_total{{victim="{LC}",culprit="{BE}"}}[10s])'
        live.wait_for(lambda: (value(pair) or 0) > 0, 60, "Prometheus knows who hurts whom")
        check(value("up") == 1, "the scrape failed")
        check(value("scrape_samples_scraped") > 50, "samples")
        used = value(f'rate(cz_zone_cpu_usage_seconds_total{{zone="{BE}"}}[10s])')
        check(0 < used < 1.2, f"the hog used {used} CPUs")
    finally:
        server.kill()
        server.wait()


# --- the stream ---------------------------------------------------------------------------------

def stream(gate, czd):
    curl = subprocess.Popen(["curl", "-sN", gate.url("/api/v1/stream")], stdout=subprocess.PIPE, text=True, preexec_fn=live.die_with_parent)
    seen, name = {}, ""
    try:
        deadline = time.monotonic() + 30
        while not (len(seen.get("snapshot", ())) >= 3 and "event" in seen) and time.monotonic() < deadline:
            line = curl.stdout.readline().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                seen.setdefault(name, []).append(json.loads(line[6:]))
                if len(seen[name]) == 1 and name == "snapshot":
                    czd.request("protect", zone=f"/{NAME}-lc", slo="wait.p99=400us")
    finally:
        curl.kill()
        curl.wait()
        curl.stdout.close()
    times = [snapshot["real_ns"] for snapshot in seen["snapshot"]]
    check(times == sorted(set(times)), f"snapshots out of order: {times}")
    check(any(LC in event["text"] for event in seen["event"]), f"events: {seen['event']}")
    ledger = next(l for l in seen["snapshot"][-1]["ledgers"] if l["zone"] == LC)
    check(sum(part["ns"] for part in ledger["parts"]) == ledger["wait_ns"], "the parts are not the whole")
    live.wait_for(lambda: b"cz_gate_stream_listeners 0" in gate.ask("/metrics")[2], 20, "the listener is let go")


def listeners_that_do_not_read(gate, czd):
    """They end; the others, and czd, do not notice."""
    deaf = []
    for _ in range(64):
        client = socket.create_connection(("127.0.0.1", gate.port))
        client.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        deaf.append(client)
    live.wait_for(lambda: gate.ask("/api/v1/stream")[0] == 503 or None, 10, "the limit of listeners")
    check(gate.ready(), "not ready any more")
    for client in deaf:
        client.close()


# --- harm ---------------------------------------------------------------------------------------

def slow_clients(gate, czd):
    """They trickle bytes, or never read; programs that are in order are served all the while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    slow = []
    try:
        for number in range(SLOW_CLIENTS):
            client = socket.create_connection(("127.0.0.1", gate.port), timeout=30)
            client.sendall(b"GET /api/v1/zones?all=true HTTP/1.1\r\nHost: local" if number % 2 else b"P")
            slow.append(client)
        for _ in range(5):
            check(gate.ask("/api/v1/version")[0] == 200, "who is in order is not served")
            for client in slow[::2]:
                with contextlib.suppress(OSError):
                    client.send(b"O")
        live.wait_for(lambda: b"cz_gate_connections 1\n" in gate.ask("/metrics", Connection="close")[2] or
                      int(next(line.split()[1] for line in gate.ask("/metrics")[2].decode().splitlines()
                               if line.startswith("cz_gate_connections "))) < SLOW_CLIENTS // 2, 60, "the slow ones are let go")
        check(czd.request("version")["protocol"] == 1, "czd does not answer")
    finally:
        for client in slow:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def hung_and_dead(gate, czd):
    os.kill(gate.child.pid, signal.SIGSTOP)
    before = czd.request("doctor")["self"]["ticks_total"]
    live.wait_for(lambda: czd.request("doctor")["self"]["ticks_total"] >= before + 3, 20, "czd ticks on")
    os.kill(gate.child.pid, signal.SIGCONT)
    live.wait_for(gate.ready, 20, "ready again")
    gate.child.kill()
    gate.child.wait()
    before = czd.request("doctor")["self"]["ticks_total"]
    live.wait_for(lambda: czd.request("doctor")["self"]["ticks_total"] >= before + 2, 20, "czd ticks on")
    gate.start()
    live.wait_for(gate.ready, 20, "a new one is ready")


def without_czd(gate, czd):
    czd.stop()
    live.wait_for(lambda: gate.ask("/readyz")[0] == 503, 20, "not ready without czd")
    check(gate.ask("/healthz")[0] == 200, "alive")
    status, _, body = gate.ask("/api/v1/zones")
    check(status == 503 and "czd is not reachable" in json.loads(body)["error"]["message"], f"{status} {body}")
    text = gate.ask("/metrics")[2].decode()
    check("cz_up 0\n" in text and "cz_zone_" not in text, "figures of a czd that is away")
    czd.start()
    os.chmod(czd.socket_path, 0o666)
    live.wait_for(gate.ready, 30, "ready again")


def changes():
    """By a user from whom czd takes them; each is seen by czd."""
    with live.Czd() as czd, live.Group(f"{NAME}-x"), Gate(czd, user="root") as gate:
        live.wait_for(lambda: f"/{NAME}-x" in {z["path"] for z in czd.request("list", all=True)["zones"]}, 20, "the zone")
        document = Document(gate)
        for path, body in ((f"/api/v1/zones/{NAME}-x/protect", {"slo": "wait.p99=1ms"}), ("/api/v1/mode", {"mode": "observe"}), ("/api/v1/undo", {})):
            status, headers, text = gate.ask(path, "POST", body, Authorization=f"Bearer {CHANGE_TOKEN}")
            check(status == 200, f"{path}: {status} {text}")
            document.judge(path.replace(f"{NAME}-x", "{zone}"), "POST", status, headers, text)
        status, row = gate.change(f"/api/v1/zones/{NAME}-x/protect", {"slo": "wait.p99=1ms"})
        check(status == 200 and row["slo"] == "wait.p99=1ms", f"protect: {status} {row}")
        check(gate.change("/api/v1/mode", {"mode": "enforce"})[1]["mode"] == "enforce", "mode")
        check(czd.request("mode")["mode"] == "enforce", "czd was not told")
        check(gate.change("/api/v1/mode", {"mode": "sideways"})[0] == 400, "a mode that is none")
        check(gate.change("/api/v1/undo")[1]["failed"] == 0, "undo")
        check(gate.change(f"/api/v1/zones/{NAME}-x/try", {"for": "2m"})[1]["until_ns"] > 0, "try")
        check(gate.change(f"/api/v1/zones/{NAME}-x/try", {"for": 120})[0] == 400, "a time without its unit")
        check(gate.change("/api/v1/actions/999/approve")[0] in (400, 404), "an action that is none")
        check(gate.change(f"/api/v1/zones/{NAME}-x/unprotect")[0] == 200, "unprotect")
        check(CHANGE_TOKEN not in live.read(gate.log), "the token is in the log")


def tokens():
    with live.Czd() as czd:
        token = os.path.join(czd.folder, "read-token")
        live.write(token, "read-token-of-a-test")
        os.chmod(token, 0o600)
        with Gate(czd, arguments=("--read-token", token)) as gate:
            check(gate.ask("/api/v1/version")[0] == 401 and gate.ask("/metrics")[0] == 401, "without a token")
            check(gate.ask("/")[0] == 200 and gate.ask("/healthz")[0] == 200, "what tells nothing is open")
            check(gate.ask("/metrics", Authorization="Bearer read-token-of-a-test")[0] == 200, "with the token")
            check(gate.change("/api/v1/undo", token="read-token-of-a-test")[0] == 401, "reading is not changing")
            check("everybody on this host may read" not in live.read(gate.log), "warns though there is a token")
        with Gate(czd) as gate:
            check("everybody on this host may read" in live.read(gate.log), "no warning that everybody may read")
        command = Gate(czd).command
        outside = subprocess.run([*command, "--listen", "0.0.0.0:0"], capture_output=True, text=True, check=False, timeout=30)
        check(outside.returncode == 3 and "no read token" in outside.stderr, f"{outside}")
        outside = subprocess.run([*command, "--listen", "192.0.2.1:0", "--read-token", token], capture_output=True, text=True, check=False, timeout=30)
        check(outside.returncode == 1 and "ip address" in outside.stderr, f"{outside}")
        os.chmod(token, 0o644)
        outside = subprocess.run([*command, "--read-token", token], capture_output=True, text=True, check=False, timeout=30)
        check(outside.returncode == 3 and "everybody" in outside.stderr, f"{outside}")
        wrong = subprocess.run([live.program("cz-gate"), "--nix"], capture_output=True, text=True, check=False, timeout=30)
        check(wrong.returncode == 2 and "--nix" in wrong.stderr, f"{wrong}")


def say(text):
    print(text, flush=True)


def main():
    live.raise_on_signals()
    with scene() as (czd, _, _), HistoryGate(czd, file_of(czd)) as gate:
        live.wait_for(gate.ready, 30, "ready")
        live.wait_for(lambda: gate.tell("history/ledger", zone=f"/{NAME}-lc")[0] == 200, 30, "history")
        for part in (walk_the_document, pages, as_czd_says, errors, odd_requests, other_sites, nobody_changes, privileges, metrics, zones_come_and_go,
                     prometheus_scrapes, stream, listeners_that_do_not_read, slow_clients, hung_and_dead, without_czd):
            say(f"-- {part.__name__.replace('_', ' ')}")
            part(gate, czd)
        check(gate.stop() == 0, "it did not end well")
    for part in (changes, tokens):
        say(f"-- {part.__name__}")
        part()
    if SKIPPED:
        say(f"left out: {'; '.join(SKIPPED)}")
    say("ok")


main()
