#!/usr/bin/env python3
"""A Python service that logs: structured JSON as our users' services write it.

  python_logger.py FILE COUNT [--start N] [--rate N] [--mode file|watched|rotating] [--max-bytes N]
                              [--backups N] [--clock now|fixed] [--seed N] [--kinds KIND,...] [--errors N]

Appends COUNT records to FILE, one JSON object a line, through the standard library's logging with
the formatter below. A record has timestamp, level, logger, message, module, function and line, then
the request context (request_id, service), then `exception` {type, message, traceback[]}, then the
extra fields. Record K carries "seq": K (in the extra fields), so a reader can tell a loss or a repeat.

  --mode     file      logging.FileHandler (default)
             watched   WatchedFileHandler: opens the file anew after an outside rotation
             rotating  RotatingFileHandler of --max-bytes and --backups: rotates by rename, itself
  --clock    now       the real time (default)
             fixed     from 2026-11-22T10:00:00Z on, 7 ms a record: the same bytes on each run
  --rate     records a second; 0 (default): as fast as it goes
  --kinds    which kinds, in turn: http, tool, business, warning, error, exception, chained, unicode,
             nested, multiline, long, plain (default: all)
  --errors   every Nth record is an ERROR (default: as the kinds have it)

Prints one line of JSON: {"records": N, "levels": {...}, "kinds": {...}, "bytes": N}.
"""
import argparse
import collections
import contextvars
import datetime
import json
import logging
import logging.handlers
import os
import random
import time
import traceback
import uuid

request_context = contextvars.ContextVar("request_context", default={})
ALL = "http,tool,business,warning,error,exception,chained,unicode,nested,multiline,long,plain"


class StructuredFormatter(logging.Formatter):
    """One JSON object a record; non-ASCII as it is."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def format(self, record):
        entry = {
            # isoformat() leaves the fraction out when it is zero, as the services' formatter does
            "timestamp": self.clock().replace(tzinfo=None).isoformat() + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "module": record.module,
            "function": record.funcName,
            "line": record.lineno,
        }
        entry.update(request_context.get())
        if record.exc_info:
            kind, value, _ = record.exc_info
            entry["exception"] = {
                "type": kind.__name__,
                "message": str(value),
                "traceback": traceback.format_exception(*record.exc_info),
            }
        entry.update(getattr(record, "extra_fields", None) or {})
        return json.dumps(entry, ensure_ascii=False)


class Service:
    """Stands for the application: each method logs one record of its kind."""

    def __init__(self, logger, rnd):
        self.log = logger
        self.rnd = rnd
        self.force_error = False

    def emit(self, level, message, exc_info=None, **fields):
        if self.force_error:
            level = logging.ERROR
        # stacklevel: module, function and line of the caller, not of this helper
        self.log.log(level, message, exc_info=exc_info, extra={"extra_fields": fields}, stacklevel=2)

    def http(self, seq):
        status = self.rnd.choice((200, 200, 200, 201, 404, 500))
        self.emit(logging.INFO, "HTTP Request", seq=seq, event_type="http_request", method=self.rnd.choice(("GET", "POST")),
                  path="/api/v1/items/%d?q=a%%20b" % self.rnd.randrange(1000), status_code=status,
                  duration_ms=self.rnd.random() * 900, user_id=self.rnd.choice((None, "u-%d" % self.rnd.randrange(99))))

    def tool(self, seq):
        name = self.rnd.choice(("read_file", "search_code", "run_query"))
        self.emit(logging.INFO, "Tool call: " + name, seq=seq, event_type="tool_call", tool_name=name,
                  parameters={"path": "/srv/data", "limit": self.rnd.randrange(100), "password": "hunter2"},
                  duration_ms=self.rnd.random() * 4000, success=True, error=None)

    def business(self, seq):
        self.emit(logging.INFO, "Business Event: order_placed", seq=seq, event_type="business_event", event_name="order_placed",
                  amount=round(self.rnd.random() * 1e4, 2), currency="EUR", big=2**53 + 1 + seq)

    def warning(self, seq):
        self.emit(logging.WARNING, "pool at %d of 200" % self.rnd.randrange(200), seq=seq, tags=["pool", "db"], ratio=1e-7)

    def error(self, seq):
        self.emit(logging.ERROR, "Request failed: upstream timed out", seq=seq, error_type="TimeoutError",
                  authorization="Bearer tok_%032x" % self.rnd.getrandbits(128))

    def exception(self, seq):
        try:
            {}["missing-%d" % seq]
        except KeyError as problem:
            self.emit(logging.ERROR, "handler failed", exc_info=problem, seq=seq)

    def chained(self, seq):
        try:
            try:
                int("не число")
            except ValueError as problem:
                raise RuntimeError('bad "value"\nin field\tx') from problem
        except RuntimeError as problem:
            self.emit(logging.CRITICAL, "gave up", exc_info=problem, seq=seq)

    def unicode(self, seq):
        self.emit(logging.INFO, "用户登录成功 – naïve café 🚀 \u202e\u0000 \u2028 end", seq=seq, 用户="张三", emoji="👩‍👩‍👧‍👦", zalgo="e\u0301\u0327")

    def nested(self, seq):
        self.emit(logging.INFO, "nested", seq=seq, a={"b": {"c": [1, {"d": None}, [], {}]}, "dotted.key": True}, empty="")

    def multiline(self, seq):
        self.emit(logging.INFO, "first line\nsecond line\r\n\tthird \\ \"quoted\" line", seq=seq)

    def long(self, seq):
        self.emit(logging.INFO, "long " + "x" * self.rnd.randrange(2000, 20000), seq=seq)

    def plain(self, seq):
        self.emit(logging.INFO, "cache miss for key user:%d" % self.rnd.randrange(99999), seq=seq)


def main():
    ap = argparse.ArgumentParser(description="Writes structured JSON log records; see the head of the file.")
    ap.add_argument("file")
    ap.add_argument("count", type=int)
    ap.add_argument("--start", type=int, default=0)
    ap.add_argument("--rate", type=float, default=0)
    ap.add_argument("--mode", choices=("file", "watched", "rotating"), default="file")
    ap.add_argument("--max-bytes", type=int, default=1 << 20)
    ap.add_argument("--backups", type=int, default=5)
    ap.add_argument("--clock", choices=("now", "fixed"), default="now")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--kinds", default=ALL)
    ap.add_argument("--errors", type=int, default=0)
    a = ap.parse_args()
    kinds = a.kinds.split(",")
    for kind in kinds:
        if kind not in ALL.split(","):
            ap.error("no such kind: " + kind)

    rnd = random.Random(a.seed)
    now = [0]
    base = datetime.datetime(2026, 11, 22, 10, tzinfo=datetime.timezone.utc)

    def clock():
        if a.clock == "fixed":
            return base + datetime.timedelta(milliseconds=7 * now[0])
        return datetime.datetime.now(datetime.timezone.utc)

    os.makedirs(os.path.dirname(os.path.abspath(a.file)), exist_ok=True)
    handler = {
        "file": lambda: logging.FileHandler(a.file, encoding="utf-8"),
        "watched": lambda: logging.handlers.WatchedFileHandler(a.file, encoding="utf-8"),
        "rotating": lambda: logging.handlers.RotatingFileHandler(a.file, maxBytes=a.max_bytes, backupCount=a.backups, encoding="utf-8"),
    }[a.mode]()
    written = {"levels": collections.Counter(), "kinds": collections.Counter(), "bytes": 0}

    class Noting(StructuredFormatter):
        last = ("", "")

        def format(self, record):  # called twice a record by the rotating handler
            line = super().format(record)
            Noting.last = (record.levelname, line)
            return line

    handler.setFormatter(Noting(clock))
    logger = logging.getLogger("mcp-server")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    service = Service(logger, rnd)
    begin = time.monotonic()
    for n in range(a.count):
        seq = a.start + n
        now[0] = seq
        kind = kinds[seq % len(kinds)]
        service.force_error = bool(a.errors) and seq % a.errors == 0
        # two of three records are made while a request is being handled
        request_context.set({} if seq % 3 == 2 else {"request_id": str(uuid.UUID(int=rnd.getrandbits(128), version=4)), "service": "mcp-server"})
        getattr(service, kind)(seq)
        level, line = Noting.last
        written["kinds"][kind] += 1
        written["levels"][level] += 1
        written["bytes"] += len(line.encode()) + 1
        if a.rate:
            time.sleep(max(0.0, begin + (n + 1) / a.rate - time.monotonic()))
    handler.close()
    print(json.dumps({"records": a.count, **written}))


if __name__ == "__main__":
    main()
