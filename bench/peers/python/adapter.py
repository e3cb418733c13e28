"""Benchmark adapter over the official Python SDK: the contract of ../../README.md."""
import os
import sys
import threading
import time

from lightstreamer_adapter.interfaces.data import DataProvider
from lightstreamer_adapter.interfaces.metadata import MetadataProvider
from lightstreamer_adapter.server import DataProviderServer, MetadataProviderServer

SCENARIO = os.environ.get("SCENARIO", "")
ITEMS = int(os.environ.get("ITEMS") or 0)
THREADS = int(os.environ.get("THREADS") or 1)
RATE = int(os.environ.get("RATE") or 0)
INFLIGHT = int(os.environ.get("INFLIGHT") or 0)
HOT = int(os.environ.get("HOT") or 0) or ITEMS
SHAPE = os.environ.get("SHAPE", "")
BATCH = min(64, max(1, INFLIGHT // 8))
SEQ_BASE = 1000000000

# The fields beyond the eight of the plain shape, and the rows of values.
TAIL = "|+%\r\n" if SHAPE == "escape" else ""
MORE = {"large": ["big"], "wide": ["f%03d" % k for k in range(8, 200)]}.get(SHAPE, [])


def more_values(r):
    if SHAPE == "large":
        return ["0123456789abcdef" * 65536]
    return ["%s.%02d" % (name[1:], r) for name in MORE]


ROWS = [tuple(v + TAIL for v in (
    "1234.567%02d" % r, "12:34:%02d.0" % r, "1234.566%02d" % r,
    "1234.568%02d" % r, "10000000%02d" % r, "20000000%02d" % r))
        for r in range(64)]
MORE_ROWS = [more_values(r) for r in range(64)] if MORE else []


def event(seq, ts):
    r = ROWS[seq & 63]
    fields = {"seq": str(seq), "ts": ts, "last": r[0], "time": r[1], "bid": r[2],
              "ask": r[3], "bidqty": r[4], "askqty": r[5]}
    if MORE:
        fields.update(zip(MORE, MORE_ROWS[seq & 63]))
    return fields


class Credit:
    """Bounds the updates in flight, as told by the harness over stdin."""

    def __init__(self):
        self.cond = threading.Condition()
        self.taken = 0
        self.limit = INFLIGHT
        self.stopped = False
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in sys.stdin:
            with self.cond:
                self.limit = int(line) + INFLIGHT
                self.cond.notify_all()

    def take(self, n):
        with self.cond:
            while self.taken + n > self.limit and not self.stopped:
                self.cond.wait()
            self.taken += n

    def stop(self):
        with self.cond:
            self.stopped = True
            self.cond.notify_all()


class Data(DataProvider):

    def __init__(self):
        self.listener = None
        self.lock = threading.Lock()
        self.items = []
        self.stop = False
        self.threads = []
        self.produced = 0
        self.credit = Credit() if SCENARIO == "CREDIT" else None

    def initialize(self, parameters, config_file=None):
        pass

    def set_listener(self, event_listener):
        self.listener = event_listener

    def issnapshot_available(self, item_name):
        return True

    def subscribe(self, item_name):
        if SCENARIO == "STORM":
            return
        if SCENARIO == "FIRST":
            self.listener.update(item_name, event(SEQ_BASE + 1, str(time.monotonic_ns())), False)
            return
        with self.lock:
            self.items.append(item_name)
            if len(self.items) == ITEMS:
                for t in range(THREADS):
                    self.threads.append(threading.Thread(
                        target=self.produce, args=(self.items[t:HOT:THREADS],), daemon=True))
                for t in self.threads:
                    t.start()

    def unsubscribe(self, item_name):
        if SCENARIO in ("STORM", "FIRST"):
            return
        with self.lock:
            if self.stop:
                return
            self.stop = True
        if self.credit:
            self.credit.stop()
        for t in self.threads:
            t.join()
        print("PRODUCED", self.produced, flush=True)

    def produce(self, items):
        update = self.listener.update
        now = time.monotonic_ns
        credit = self.credit
        seqs = [SEQ_BASE] * len(items)
        n = 0
        if SCENARIO == "LATENCY":
            start = now()
            i = 0
            while not self.stop:
                due = (now() - start) * RATE // 1000000000
                while n < due:
                    seqs[i] += 1
                    update(items[i], event(seqs[i], str(now())), False)
                    i = (i + 1) % len(items)
                    n += 1
                time.sleep(0.001)
            return
        ts = ""
        while not self.stop:
            for i, item in enumerate(items):
                if credit and n % BATCH == 0:
                    credit.take(BATCH)
                if self.stop:
                    break
                if n % 64 == 0:
                    ts = str(now())
                seqs[i] += 1
                update(item, event(seqs[i], ts), False)
                n += 1
        with self.lock:
            self.produced += n


class Metadata(MetadataProvider):

    def notify_user(self, user, password, http_headers):
        pass

    def get_allowed_max_bandwidth(self, user):
        return 0.0

    def wants_tables_notification(self, user):
        return False

    def get_items(self, user, session_id, group):
        return group.split(" ")

    def get_schema(self, user, session_id, group, schema):
        return schema.split(" ")


def main():
    address = (os.environ["ARI_HOST"], int(os.environ["ARI_PORT"]))
    if os.environ["ARI_KIND"] == "data":
        server = DataProviderServer(Data(), address)
    else:
        server = MetadataProviderServer(Metadata(), address)
    server.start()
    # The SDK ends the process by itself when the connection is lost.
    threading.Event().wait()


main()
