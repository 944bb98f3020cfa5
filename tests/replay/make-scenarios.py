#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the recordings of tests/replay: small worlds, told second by second.

A scenario is a generator of lines. It is open loop: where the plan turns a knob, the scenario says
what that does to the following seconds. Usage: make-scenarios.py [NAME...]
"""
import json
import os
import random
import sys

S = 1_000_000_000
MS = 1_000_000
US = 1_000
HERE = os.path.dirname(os.path.abspath(__file__))


class World:
    """A zone tree and a clock; each method returns one line."""

    def __init__(self, zones, slo='wait.p99=500us', online='0-1'):
        self.zones = [{'id': 1, 'parent': None, 'name': '/', 'path': '/', 'class': 'normal', 'off': 'the root'}]
        self.index = {'/': 0}
        self.online = online
        self.now = 1000 * S
        self.fresh = True
        for path, cls in zones:
            self.add(path, cls, slo if cls == 'lc' else None)

    def add(self, path, cls, slo=None):
        parent = path.rsplit('/', 1)[0] or '/'
        zone = {'id': 100 + len(self.zones), 'parent': self.index[parent], 'name': path[1:], 'path': path,
                'class': cls, 'delta': {'cpu_usage_ns_total': 0}}
        if slo:
            zone['slo'] = slo
        self.index[path] = len(self.zones)
        self.zones.append(zone)
        self.fresh = True

    def id(self, path):
        return self.zones[self.index[path]]['id']

    def tick(self, ledgers, use=None, window=S):
        """ledgers: {victim: dict(parts={zone or cause: ms}, waits, p99, feed) or dict(wait=ms)}"""
        self.now += window
        line = {'now': self.now, 'window': window}
        if self.fresh:
            line['online'] = self.online
            line['zones'] = self.zones
            for path, ns in (use or {}).items():
                self.zones[self.index[path]]['delta']['cpu_usage_ns_total'] = int(ns * MS)
        else:
            line['use'] = [[self.index[p], int(ms * MS)] for p, ms in sorted((use or {}).items())]
        self.fresh = False
        line['ledgers'] = [self.ledger(v, l) for v, l in ledgers.items()]
        return line

    def ledger(self, victim, told):
        out = {'zone': self.index[victim]}
        if 'waits' in told:
            out['waits'] = told['waits']
            out['p99'] = int(told.get('p99', 0) * MS)
        if 'feed' in told:
            out['feed'] = [told['feed'][0], int(told['feed'][1] * MS / 2), int(told['feed'][1] * MS)]
        if 'wait' in told:
            out['wait'] = int(told['wait'] * MS)
            return out
        parts = []
        for who, ms in sorted(told['parts'].items(), key=lambda kv: -kv[1]):
            if who.startswith('/'):
                parts.append(['neighbour', self.id(who), int(ms * MS), 4000 + self.index[who], 1,
                              who.rsplit('/', 1)[1][:15]])
            else:
                parts.append([who, int(ms * MS)])
        out['parts'] = parts
        return out

    def event(self, victim, culprit, after_ms, foreign_ms=0.33):
        now = self.now + int(after_ms * MS)
        return {'event': {'now': now, 'since': now - int(foreign_ms * MS), 'foreign': int(foreign_ms * MS),
                          'victim': self.id(victim), 'culprit': self.id(culprit), 'cpu': 1,
                          'pid': 4000 + self.index[culprit], 'comm': culprit.rsplit('/', 1)[1][:15]}}

    def measured(self, path, value=None, delta=None):
        """Other readings than CPU time, of the next tick on; the tree is told again with them."""
        zone = self.zones[self.index[path]]
        zone.setdefault('value', {}).update(value or {})
        zone['delta'] = dict(zone['delta'], **(delta or {}))
        self.fresh = True

    def mode(self, mode, until_s=None, victim=None):
        line = {'mode': mode, 'now': self.now}
        if until_s is not None:
            line['until'] = self.now + int(until_s * S)
        if victim:
            line['victim'] = self.id(victim)
        return line


CALM = dict(waits=20000, p99=0.05, parts={'idle': 4, 'self': 1, 'kernel': 1})


def by(path, ms=235):
    """Redis behind a hog: 240 ms of waiting a second, nearly all behind it."""
    return dict(waits=9000, p99=4.1, parts={path: ms, 'kernel': 3, 'self': 2})


def two_hogs():
    w = World([('/redis', 'lc'), ('/hog-a', 'be'), ('/hog-b', 'be')])
    for _ in range(5):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    for i in range(10):
        noise = 3 * (i % 3)
        yield w.tick({'/redis': dict(waits=8000, p99=4.2, parts={'/hog-a': 168 + noise, '/hog-b': 72 - noise, 'self': 3})},
                     {'/redis': 240, '/hog-a': 530, '/hog-b': 230})
    for _ in range(7):
        yield w.tick({'/redis': CALM}, {'/redis': 250})


def decoy():
    """The decoy burns CPU 0 all the time; the hog hurts on CPU 1; only the hog is named."""
    w = World([('/redis', 'lc'), ('/hog', 'be'), ('/decoy', 'be')])
    for _ in range(5):
        yield w.tick({'/redis': CALM}, {'/redis': 250, '/decoy': 1000})
    for _ in range(8):
        yield w.tick({'/redis': by('/hog')}, {'/redis': 240, '/hog': 750, '/decoy': 1000})
    for _ in range(7):
        yield w.tick({'/redis': CALM}, {'/redis': 250, '/decoy': 1000})


def nested_bystanders():
    """Hogs deep in slices. Beside them in batch.slice works a normal service: its slice must not be
    made idle, so the hog itself is kept off the victim's CPU instead. In clean.slice all are
    best-effort: the slice is the contender and the right target."""
    w = World([('/system.slice', 'normal'), ('/system.slice/redis', 'lc'), ('/batch.slice', 'be'),
               ('/batch.slice/jobs', 'be'), ('/batch.slice/jobs/hog', 'be'), ('/batch.slice/backup', 'normal'),
               ('/clean.slice', 'be'), ('/clean.slice/a', 'be'), ('/clean.slice/a/hog', 'be')])
    yield w.mode('enforce')
    use = {'/system.slice': 250, '/system.slice/redis': 250, '/batch.slice': 800, '/batch.slice/jobs': 700,
           '/batch.slice/jobs/hog': 700, '/batch.slice/backup': 100}
    v = '/system.slice/redis'
    for _ in range(3):
        yield w.tick({v: CALM}, use)
    for _ in range(2):
        yield w.tick({v: by('/batch.slice/jobs/hog')}, use)
    for _ in range(5):
        yield w.tick({v: CALM}, use)
    use = {'/system.slice': 250, '/system.slice/redis': 250, '/clean.slice': 700, '/clean.slice/a': 700,
           '/clean.slice/a/hog': 700, '/batch.slice': 200, '/batch.slice/backup': 100, '/batch.slice/jobs': 100, '/batch.slice/jobs/hog': 100}
    for _ in range(2):
        yield w.tick({v: by('/clean.slice/a/hog')}, use)
    for _ in range(5):
        yield w.tick({v: CALM}, use)


def fork_join():
    """Eight equal workers: their slice is named, not eight names."""
    w = World([('/redis', 'lc'), ('/farm', 'be')] + [(f'/farm/w{i}', 'be') for i in range(8)])
    for _ in range(3):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    for _ in range(4):
        parts = {f'/farm/w{i}': 29 + i % 3 for i in range(8)}
        yield w.tick({'/redis': dict(waits=8000, p99=4.2, parts=parts)}, {'/redis': 240, '/farm': 760})


def self_overload():
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    for _ in range(5):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    for _ in range(6):
        yield w.tick({'/redis': dict(waits=30000, p99=9, parts={'self': 3000, '/hog': 40, 'kernel': 10})},
                     {'/redis': 980, '/hog': 20})


def throttled():
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    for _ in range(5):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    for _ in range(6):
        yield w.tick({'/redis': dict(waits=5000, p99=80, parts={'throttled': 700, 'self': 60})}, {'/redis': 200})


def throttled_hog():
    """A hog runs all the while, but the quota is what hurts: it is not blamed, nor touched."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    yield w.mode('enforce')
    for _ in range(5):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    for _ in range(6):
        yield w.tick({'/redis': dict(waits=5000, p99=80, parts={'throttled': 650, '/hog': 180, 'self': 60})},
                     {'/redis': 200, '/hog': 750})


def kernel_softirq():
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    for _ in range(5):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    for _ in range(6):
        yield w.tick({'/redis': dict(waits=9000, p99=3, parts={'kernel': 160, '/hog': 20, 'self': 4})},
                     {'/redis': 230, '/hog': 30})


def steal():
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    for _ in range(5):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    for _ in range(6):
        yield w.tick({'/redis': dict(waits=9000, p99=5, parts={'host': 260, 'kernel': 6, 'self': 4})}, {'/redis': 230})


def estimated():
    """Without BPF harm is seen, but nobody is blamed and nothing is done."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    yield w.mode('enforce')
    for _ in range(5):
        yield w.tick({'/redis': dict(wait=4)}, {'/redis': 250})
    for _ in range(6):
        yield w.tick({'/redis': dict(wait=240)}, {'/redis': 240, '/hog': 750})


def not_cpu():
    """The application is slow and hardly waited: not for lack of CPU."""
    w = World([('/db', 'lc'), ('/hog', 'be')], slo='latency.p99=2ms')
    for i in range(12):
        slow = 3 <= i < 7
        yield w.tick({'/db': dict(waits=3000, p99=0.06, feed=(500, 40 if slow else 1.1), parts={'/hog': 1, 'idle': 2})},
                     {'/db': 300, '/hog': 990})


def app_latency():
    """The same goal, and the ledger shows why: the hog."""
    w = World([('/db', 'lc'), ('/hog', 'be')], slo='latency.p99=2ms')
    for i in range(12):
        hurts = 3 <= i < 7
        parts = {'/hog': 220, 'self': 4} if hurts else {'/hog': 1, 'idle': 2}
        yield w.tick({'/db': dict(waits=3000, p99=3.9 if hurts else 0.06, feed=(500, 8 if hurts else 1.1), parts=parts)},
                     {'/db': 300, '/hog': 700})


def quiet():
    """Ten minutes of harmless noise. (Three hours of it are a unit test.)"""
    rnd = random.Random(7)
    w = World([('/redis', 'lc'), ('/job', 'be'), ('/web', 'lc')])
    w.zones[w.index['/web']].pop('slo')
    for _ in range(600):
        yield w.tick({'/redis': dict(waits=rnd.randint(15000, 25000), p99=rnd.uniform(0.04, 0.3),
                                     parts={'/job': rnd.uniform(1, 9), 'idle': rnd.uniform(2, 6), 'self': rnd.uniform(0, 2)}),
                      '/web': dict(waits=rnd.randint(500, 900), p99=rnd.uniform(0.1, 2),
                                   parts={'/job': rnd.uniform(1, 12), 'self': rnd.uniform(0, 40), 'idle': 2})},
                     {'/redis': rnd.uniform(200, 300), '/job': rnd.uniform(0, 900), '/web': rnd.uniform(50, 150)})


def phase_change():
    """No SLO: the habit is learned. The zone then does twice the work beside its neighbours and
    waits more: told at first, then the new normal. A hog on top of that is told again."""
    w = World([('/web', 'lc'), ('/svc', 'normal'), ('/hog', 'be')], slo=None)
    calm = dict(waits=4000, p99=0.4, parts={'/svc': 10, 'self': 3})
    busy = dict(waits=8000, p99=0.9, parts={'/svc': 80, 'self': 9})
    hog = dict(waits=7000, p99=4, parts={'/hog': 240, '/svc': 60, 'self': 9})
    for _ in range(60):
        yield w.tick({'/web': calm}, {'/web': 150, '/svc': 300})
    for _ in range(100):
        yield w.tick({'/web': busy}, {'/web': 400, '/svc': 300})
    for _ in range(6):
        yield w.tick({'/web': hog}, {'/web': 380, '/svc': 300, '/hog': 700})


def flapping():
    """On for three seconds, off for three: made idle once, held, no flapping of the knob. When it has
    gone for good, its class is given back."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    yield w.mode('enforce')
    for _ in range(3):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    yield w.event('/redis', '/hog', 200.4)
    for i in range(60):
        on = i % 6 < 3
        yield w.tick({'/redis': CALM}, {'/redis': 250, '/hog': 700 if on else 0})
        if i == 35:  # released as a probe some seconds ago; it comes back
            yield w.event('/redis', '/hog', 0.4)
    for _ in range(70):
        yield w.tick({'/redis': CALM}, {'/redis': 250, '/hog': 0})


def probe():
    """A hog that never ends. Each probe takes the idle class back; the harm returns within a
    millisecond, so it is applied again at once and the next probe waits twice as long."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    yield w.mode('enforce')
    for _ in range(3):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    yield w.event('/redis', '/hog', 200.4)
    released = {30, 92}
    for i in range(100):
        yield w.tick({'/redis': CALM}, {'/redis': 250, '/hog': 740})
        if i in released:
            yield w.event('/redis', '/hog', 1.5)


def ladder():
    """Nothing helps until the hog is kept off the CPU: idle, weight, then cpuset."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    yield w.mode('enforce')
    use = {'/redis': 240, '/hog': 750}
    for _ in range(3):
        yield w.tick({'/redis': CALM}, use)
    for _ in range(12):
        yield w.tick({'/redis': by('/hog')}, use)
    for _ in range(4):
        yield w.tick({'/redis': CALM}, use)


def hopeless():
    """Nothing on the ladder helps: everything is given back, and the next attempt waits."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    yield w.mode('enforce')
    for _ in range(70):
        yield w.tick({'/redis': by('/hog')}, {'/redis': 240, '/hog': 750})


def try_expiry():
    """try --for 20s: what it did is undone when it ends; then proposals again."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    use = {'/redis': 240, '/hog': 750}
    for _ in range(4):
        yield w.tick({'/redis': by('/hog')}, use)
    yield w.mode('enforce', 20, '/redis')
    yield w.tick({'/redis': by('/hog')}, use)
    for _ in range(20):
        yield w.tick({'/redis': CALM}, use)
    for _ in range(4):
        yield w.tick({'/redis': by('/hog')}, use)
    for _ in range(8):
        yield w.tick({'/redis': CALM}, {'/redis': 250})


def approve():
    """Observe: one proposal with a stable number, refreshed; approved, it is applied and kept."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    use = {'/redis': 240, '/hog': 750}
    for _ in range(6):
        yield w.tick({'/redis': by('/hog')}, use)
    yield {'approve': 7, 'now': w.now}
    yield {'approve': 1, 'now': w.now}
    yield {'approve': 1, 'now': w.now}
    yield w.tick({'/redis': by('/hog')}, use)
    for _ in range(3):
        yield w.tick({'/redis': CALM}, use)
    yield {'undo': 1, 'now': w.now}
    for _ in range(3):
        yield w.tick({'/redis': CALM}, use)
    for _ in range(3):
        yield w.tick({'/redis': by('/hog')}, use)


def foreign_change():
    """Somebody else changed the knob: the undo finds it, and it stays theirs."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    yield w.mode('enforce')
    use = {'/redis': 240, '/hog': 750}
    yield w.tick({'/redis': CALM}, use)
    yield w.event('/redis', '/hog', 10.4)
    yield {'result': 'ECANCELED', 'knob': 'cpu.idle', 'step': 'undo'}
    for _ in range(4):
        yield w.tick({'/redis': by('/hog')}, use)
    for _ in range(6):
        yield w.tick({'/redis': by('/hog')}, use)
    yield w.event('/redis', '/hog', 10.4)
    yield w.tick({'/redis': CALM}, use)


def errors():
    """No idle class on this host: weight. No journal: nothing more is tried."""
    w = World([('/redis', 'lc'), ('/hog', 'be'), ('/hog2', 'be')])
    yield w.mode('enforce')
    use = {'/redis': 240, '/hog': 750, '/hog2': 750}
    yield {'result': 'EOPNOTSUPP', 'knob': 'cpu.idle', 'step': 'apply'}
    yield w.tick({'/redis': CALM}, use)
    yield w.event('/redis', '/hog', 10.4)
    for _ in range(2):
        yield w.tick({'/redis': by('/hog')}, use)
    for _ in range(6):
        yield w.tick({'/redis': CALM}, use)
    yield {'result': 'EROFS', 'knob': 'cpu.weight', 'step': 'apply'}
    for _ in range(6):
        yield w.tick({'/redis': by('/hog2')}, use)


def clock_jump():
    """An hour without ticks: no lease ends, nothing is concluded, nothing closed for that reason."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    yield w.mode('enforce')
    use = {'/redis': 240, '/hog': 750}
    yield w.tick({'/redis': CALM}, use)
    yield w.event('/redis', '/hog', 10.4)
    for _ in range(4):
        yield w.tick({'/redis': CALM}, use)
    yield w.event('/redis', '/hog', 10.4)
    yield w.tick({'/redis': by('/hog', 235 * 3600)}, {'/redis': 240 * 3600, '/hog': 750 * 3600}, window=3600 * S)
    for _ in range(5):
        yield w.tick({'/redis': CALM}, use)


def victim_idle():
    """The victim stops working before the effect can be seen: not measured, held for its lease."""
    w = World([('/redis', 'lc'), ('/hog', 'be')])
    yield w.mode('enforce')
    yield w.tick({'/redis': CALM}, {'/redis': 250, '/hog': 700})
    yield w.event('/redis', '/hog', 10.4)
    idle = dict(waits=0, parts={})
    for _ in range(5):
        yield w.tick({'/redis': idle}, {'/hog': 990})
    for _ in range(70):
        yield w.tick({'/redis': idle}, {'/hog': 990 * 9}, window=9 * S)


def not_be():
    """The culprit is an ordinary service: named, with the reason why nothing is done."""
    w = World([('/redis', 'lc'), ('/cron', 'normal')])
    yield w.mode('enforce')
    for _ in range(3):
        yield w.tick({'/redis': CALM}, {'/redis': 250})
    yield w.event('/redis', '/cron', 10.4)
    for _ in range(4):
        yield w.tick({'/redis': by('/cron')}, {'/redis': 240, '/cron': 750})


MIB = 1 << 20


def stalled(w, path, memory_ms, io_ms=0):
    w.measured(path, delta={'psi_memory_some_ns_total': memory_ms * MS, 'psi_io_some_ns_total': (memory_ms + io_ms) * MS})


def holds(w, **bytes_of):
    """Memory in MiB; the box holds them all, and is full at 512."""
    for name, mib in bytes_of.items():
        w.measured('/box/' + name, {'memory_bytes': mib * MIB})
    total = sum(z['value']['memory_bytes'] for z in w.zones if z['path'].startswith('/box/'))
    w.measured('/box', {'memory_bytes': total, 'memory_limit_bytes': 512 * MIB})


def memory_world():
    w = World([('/box', 'normal'), ('/box/redis', 'lc'), ('/box/batch', 'be'), ('/box/decoy', 'be')])
    holds(w, redis=250, batch=20, decoy=60)
    return w


def memory_hog():
    """batch grows into what redis had; holding it does not help, halving it does; given back, it is back."""
    w = memory_world()
    yield w.mode('enforce')
    use = {'/box': 900, '/box/redis': 200, '/box/batch': 500, '/box/decoy': 200}

    def tick(stall_ms):
        stalled(w, '/box/redis', stall_ms)
        return w.tick({'/box/redis': CALM}, use)
    for _ in range(40):
        yield tick(0)
    holds(w, redis=130, batch=320)
    for _ in range(11):
        yield tick(310)
    holds(w, redis=250, batch=160)
    for _ in range(80):
        yield tick(2)
    holds(w, redis=130, batch=320)
    for _ in range(3):
        yield tick(310)
    holds(w, redis=250, batch=160)
    for _ in range(8):
        yield tick(2)


def memory_own_limit():
    """redis stalls at a limit of its own while batch grows: nobody else's doing."""
    w = memory_world()
    yield w.mode('enforce')
    w.measured('/box/redis', {'memory_limit_bytes': 251 * MIB})
    for i in range(50):
        holds(w, batch=20 + 4 * i)
        stalled(w, '/box/redis', 300 if i >= 40 else 0)
        yield w.tick({'/box/redis': CALM}, {'/box': 700, '/box/redis': 200, '/box/batch': 500})


def memory_nobody():
    """A full box in which nobody grew: no blame, no action."""
    w = memory_world()
    yield w.mode('enforce')
    holds(w, redis=250, batch=100, decoy=160)
    for i in range(46):
        stalled(w, '/box/redis', 300 if i >= 40 else 0)
        yield w.tick({'/box/redis': CALM}, {'/box': 700, '/box/redis': 200, '/box/batch': 500})


def io_hog():
    """batch fills the disk's queue; half of its rate is not enough, an eighth is."""
    w = memory_world()
    yield w.mode('enforce')
    use = {'/box': 300, '/box/redis': 100, '/box/batch': 100, '/box/decoy': 100}

    def io(path, mib, ops):
        w.measured(path, delta={'io_read_bytes_total': mib * MIB, 'io_write_bytes_total': 0, 'io_reads_total': ops,
                                'io_writes_total': 0})

    def tick(stall_ms, batch_mib):
        io('/box/redis', 2, 500)
        io('/box/batch', batch_mib, batch_mib * 8)
        io('/box/decoy', 1, 8)
        io('/box', 3 + batch_mib, 508 + batch_mib * 8)
        stalled(w, '/box/redis', 0, stall_ms)
        return w.tick({'/box/redis': CALM}, use)
    for _ in range(40):
        yield tick(0, 0)
    for _ in range(2):
        yield tick(600, 800)
    for _ in range(7):
        yield tick(400, 400)
    for _ in range(8):
        yield tick(10, 100)


def io_disks():
    """redis logs to a fast disk and waits for a slow one. decoy fills the fast one, batch reads from the slow one:
    only batch is named. Then batch moves to the fast disk, and nobody is at the slow one."""
    w = memory_world()
    use = {'/box': 300, '/box/redis': 100, '/box/batch': 100, '/box/decoy': 100}
    fast, slow = 259 << 20, 8 << 20

    def tick(stall_ms, slow_mib, fast_mib):
        stalled(w, '/box/redis', 0, stall_ms)
        line = w.tick({'/box/redis': CALM}, use)
        line['disks'] = [['nvme0n1', fast, 1000 + 8 * fast_mib, (1000 + 8 * fast_mib) * MS // 10],
                         ['sda', slow, 50 + slow_mib, (50 + slow_mib) * 16 * MS]]
        line['at_disks'] = [[w.id('/box/redis'), fast, 4 * MIB, 1000], [w.id('/box/redis'), slow, MIB // 4, 50],
                            [w.id('/box/decoy'), fast, 900 * MIB, 7200], [w.id('/box/batch'), slow, slow_mib * MIB, slow_mib],
                            [w.id('/box/batch'), fast, fast_mib * MIB, 8 * fast_mib]]
        return line
    for _ in range(40):
        yield tick(10, 0, 0)
    for _ in range(8):
        yield tick(600, 40, 0)
    for _ in range(12):
        yield tick(600, 0, 400)


def cpi2_cap():
    """redis and web need twice the cycles an instruction while batch works; steady and app work all the time. The
    controller of redis is cpi2-cap: after 3 bad minutes batch is capped for 5. Nothing is done for web, whose controller
    is the guard. Readings of 10 s; what is usual takes 70 minutes to learn."""
    w = World([('/redis', 'lc'), ('/batch', 'be'), ('/steady', 'be'), ('/app', 'normal'), ('/web', 'lc')])
    w.zones[w.index['/redis']].update(own=True, control='cpi2-cap')
    w.zones[w.index['/web']].update(own=True)
    rng = random.Random(5)
    yield w.mode('enforce')

    def ticks(seconds, times, batch_ms):
        for _ in range(seconds // 10):
            line = w.tick({'/redis': CALM, '/web': CALM}, {}, window=10 * S)
            use = []
            for path, ms, cpi in (('/redis', 750, 1.5 * times * rng.gauss(1, 0.08)), ('/batch', batch_ms, 1.1),
                                  ('/steady', 500, 0.9), ('/app', 400, 1.3), ('/web', 300, 0.8 * times * rng.gauss(1, 0.08))):
                instructions = 20_000_000 * ms
                use.append([w.index[path], 10 * ms * MS, int(instructions * cpi), instructions])
            line['use'] = use
            yield line
    yield from ticks(72 * 60, 1, 50)
    yield from ticks(150, 2, 1000)   # as long as it takes until the cap is set
    yield from ticks(310, 1, 10)
    yield from ticks(120, 1, 50)


SCENARIOS = {f.__name__.replace('_', '-'): f for f in (
    two_hogs, decoy, nested_bystanders, fork_join, self_overload, throttled, throttled_hog, kernel_softirq, steal,
    estimated, not_cpu, app_latency, quiet, phase_change, flapping, probe, ladder, hopeless, try_expiry, approve,
    foreign_change, errors, clock_jump, victim_idle, not_be, memory_hog,
    memory_own_limit, memory_nobody, io_hog, io_disks, cpi2_cap)}

for name in sys.argv[1:] or SCENARIOS:
    with open(os.path.join(HERE, name + '.jsonl'), 'w', encoding='utf-8') as out:
        for entry in SCENARIOS[name]():
            out.write(json.dumps(entry, separators=(',', ':')) + '\n')
