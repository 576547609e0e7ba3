#!/usr/bin/env python3
"""Stands in for Slack's incoming webhooks and holds a client to what Slack documents for them.

  slack_stand_in.py [--port P] [--host 127.0.0.1] [--path /services/T000/B000/XXX] [--rate 1] [--burst 1]
                    [--retry-after 1] [--channel NAME ...] [--log FILE]

Prints "READY http://HOST:PORT PATH" and then each request on a line of JSON (to FILE with --log);
SIGTERM or SIGINT ends it. --port 0 (default) takes a free port. --rate is requests a second before
429 (0: no limit), --burst how many may come at once.

The webhook, POST PATH:
  200 ok                  a JSON object with `text` (not blank) or `blocks` (or `attachments`)
  400 invalid_payload     not JSON, not UTF-8, no object, a field of the wrong type, a body type other than JSON
                          (or the form field `payload`), nothing in it
  400 no_text             an object with neither text, blocks nor attachments
  400 msg_too_long        text over 40,000 characters
  400 invalid_blocks      over 50 blocks; a block without type; section text over 3000 or blank; header over
                          150; fields over 10 or over 2000 each; context elements over 10; ids over 255
  400 too_many_attachments  over 100
  403 action_prohibited   a channel override that --channel does not allow (default: any is allowed)
  404 no_service          any other /services/ path      404 otherwise
  405                     not a POST
  413 too_large           a body over 1 MiB
  429 rate_limited        over the rate, with Retry-After
The answers are text/plain, like Slack's.

The controls, GET or POST:
  /__messages                    JSON: every request, in order: n, time, status, answer, payload or body, headers
  /__messages?accepted=1         only those answered 200
  /__stats                       JSON: requests, accepted, by_status, rate_limited, early (came before a Retry-After was over)
  /__reset                       forgets requests, failures, the rate
  /__fail?status=500&count=3[&body=TEXT][&retry_after=S]   the next COUNT requests get STATUS; count=-1: all
  /__hang?seconds=30[&count=1]   the next COUNT requests are answered after so long
  /__drop?count=1                the next COUNT connections are closed without an answer
  /__lose?count=1                the next COUNT are taken and kept but closed without an answer (doubt)
  /__rate?per_second=1[&burst=1][&retry_after=1]           sets the limit
"""
import argparse
import collections
import datetime
import http.server
import json
import signal
import sys
import threading
import time
import urllib.parse

TEXT_MAX, BLOCKS_MAX, SECTION_MAX, HEADER_MAX, BODY_MAX = 40_000, 50, 3000, 150, 1 << 20
STRINGS = ("text", "channel", "username", "icon_emoji", "icon_url", "thread_ts", "response_type")


class Refused(Exception):
    def __init__(self, status, answer):
        super().__init__(answer)
        self.status, self.answer = status, answer


def text_object(t, most, what):
    if not isinstance(t, dict) or t.get("type") not in ("plain_text", "mrkdwn") or not isinstance(t.get("text"), str):
        raise Refused(400, "invalid_blocks")
    if not 1 <= len(t["text"]) <= most or (what == "header" and t["type"] != "plain_text"):
        raise Refused(400, "invalid_blocks")


def check_blocks(blocks):
    if not isinstance(blocks, list) or not 0 < len(blocks) <= BLOCKS_MAX:
        raise Refused(400, "invalid_blocks")
    for b in blocks:
        if not isinstance(b, dict) or not isinstance(b.get("type"), str):
            raise Refused(400, "invalid_blocks")
        if len(str(b.get("block_id", ""))) > 255:
            raise Refused(400, "invalid_blocks")
        if b["type"] == "section":
            if "text" not in b and "fields" not in b:
                raise Refused(400, "invalid_blocks")
            if "text" in b:
                text_object(b["text"], SECTION_MAX, "section")
            if "fields" in b:
                if not isinstance(b["fields"], list) or not 0 < len(b["fields"]) <= 10:
                    raise Refused(400, "invalid_blocks")
                for f in b["fields"]:
                    text_object(f, 2000, "field")
        elif b["type"] == "header":
            text_object(b.get("text"), HEADER_MAX, "header")
        elif b["type"] == "context":
            if not isinstance(b.get("elements"), list) or not 0 < len(b["elements"]) <= 10:
                raise Refused(400, "invalid_blocks")
            for e in b["elements"]:
                if isinstance(e, dict) and e.get("type") != "image":
                    text_object(e, SECTION_MAX, "context")
        elif b["type"] not in ("divider", "image", "actions", "rich_text", "markdown", "table", "video", "file", "input"):
            raise Refused(400, "invalid_blocks")


def no_constants(name):
    raise ValueError(name)


def check(content_type, body, channels):
    """The payload, or Refused."""
    kind = content_type.split(";")[0].strip().lower()
    try:
        text = body.decode("utf-8")
        if kind == "application/x-www-form-urlencoded":
            text = urllib.parse.parse_qs(text, strict_parsing=True)["payload"][0]
        elif kind != "application/json":
            raise Refused(400, "invalid_payload")
        payload = json.loads(text, parse_constant=no_constants)
    except (ValueError, KeyError):
        raise Refused(400, "invalid_payload") from None
    if not isinstance(payload, dict) or not payload:
        raise Refused(400, "invalid_payload")
    for name in STRINGS:
        if name in payload and not isinstance(payload[name], str):
            raise Refused(400, "invalid_payload")
    if "text" in payload and len(payload["text"]) > TEXT_MAX:
        raise Refused(400, "msg_too_long")
    if "blocks" in payload:
        check_blocks(payload["blocks"])
    attachments = payload.get("attachments", [])
    if not isinstance(attachments, list) or any(not isinstance(x, dict) for x in attachments):
        raise Refused(400, "invalid_payload")
    if len(attachments) > 100:
        raise Refused(400, "too_many_attachments")
    if not payload.get("text", "").strip() and not payload.get("blocks") and not attachments:
        raise Refused(400, "no_text")
    if channels and "channel" in payload and payload["channel"] not in channels:
        raise Refused(403, "action_prohibited")
    return payload


class State:
    def __init__(self, a):
        self.a = a
        self.lock = threading.Lock()
        self.rate, self.burst, self.retry_after = a.rate, a.burst, a.retry_after
        self.reset()

    def reset(self):
        self.seen, self.faults = [], collections.deque()
        self.tokens, self.filled, self.closed_until, self.early, self.limited = float(self.burst), time.monotonic(), 0.0, 0, 0

    def fault(self):
        """The next planned fault as (kind, arguments), or None."""
        if not self.faults:
            return None
        kind, count, arguments = self.faults[0]
        if count == 1:
            self.faults.popleft()
        elif count > 1:
            self.faults[0] = (kind, count - 1, arguments)
        return kind, arguments

    def over_rate(self):
        now = time.monotonic()
        if now < self.closed_until:
            self.early += 1
        if not self.rate:
            return False
        self.tokens = min(float(self.burst), self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        # a few ms of grace: a client that waits exactly as told must get through
        if now < self.closed_until - 0.02 or self.tokens < 1 - 0.02 * self.rate:
            self.limited += 1
            self.closed_until = max(self.closed_until, now + self.retry_after)
            return True
        self.tokens = max(0.0, self.tokens - 1)
        return False


def handler(state):
    a = state.a

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "stand-in", ""
        disable_nagle_algorithm = True
        timeout = 300

        def log_message(self, *_):
            pass

        def answer(self, status, body, kind="text/plain", **headers):
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for k, v in headers.items():
                self.send_header(k.replace("_", "-"), v)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def body(self):
            if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
                data = b""
                while True:
                    size = int(self.rfile.readline().split(b";")[0], 16)
                    if size == 0:
                        while self.rfile.readline().strip():
                            pass
                        return data
                    data += self.rfile.read(size)
                    self.rfile.readline()
                    if len(data) > 8 * BODY_MAX:
                        raise ValueError("body")
            length = int(self.headers.get("Content-Length") or 0)
            if length > 8 * BODY_MAX:
                raise ValueError("body")
            return self.rfile.read(length)

        def control(self, url):
            q = {k: v[-1] for k, v in urllib.parse.parse_qs(url.query).items()}
            with state.lock:
                if url.path == "/__messages":
                    wanted = [m for m in state.seen if m["status"] == 200] if q.get("accepted") == "1" else state.seen
                    return self.answer(200, json.dumps(wanted, ensure_ascii=False), "application/json; charset=utf-8")
                if url.path == "/__stats":
                    by = collections.Counter(str(m["status"]) for m in state.seen)
                    return self.answer(200, json.dumps({"requests": len(state.seen), "accepted": by["200"], "by_status": by, "rate_limited": state.limited, "early": state.early}),
                                       "application/json")
                count = int(q.get("count", 1))
                if url.path == "/__reset":
                    state.reset()
                elif url.path == "/__fail":
                    state.faults.append(("fail", count, q))
                elif url.path == "/__hang":
                    state.faults.append(("hang", count, q))
                elif url.path == "/__drop":
                    state.faults.append(("drop", count, q))
                elif url.path == "/__lose":
                    state.faults.append(("lose", count, q))
                elif url.path == "/__rate":
                    state.rate = float(q.get("per_second", state.rate))
                    state.burst = int(q.get("burst", state.burst))
                    state.retry_after = int(q.get("retry_after", state.retry_after))
                    state.tokens, state.filled, state.closed_until = float(state.burst), time.monotonic(), 0.0
                else:
                    return self.answer(404, "no such control")
            return self.answer(200, "ok")

        def note(self, status, answer, body, payload):
            entry = {"n": len(state.seen), "time": datetime.datetime.now(datetime.timezone.utc).isoformat(), "status": status, "answer": answer,
                     "method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}
            if payload is None:
                entry["body"] = body[:4000].decode("utf-8", "replace")
            else:
                entry["payload"] = payload
            state.seen.append(entry)
            print(json.dumps(entry, ensure_ascii=False), file=state.out, flush=True)

        def serve(self):
            url = urllib.parse.urlsplit(self.path)
            try:
                body = self.body()
            except ValueError:
                self.close_connection = True
                return self.answer(413, "too_large")
            if url.path.startswith("/__"):
                return self.control(url)
            hang, silent, headers, payload = 0.0, False, {}, None
            with state.lock:
                fault = state.fault()
                kind, q = fault or ("", {})
                try:
                    if kind == "drop":
                        silent = True
                        raise Refused(0, "dropped")
                    if kind == "hang":
                        hang = float(q.get("seconds", 30))
                    if kind == "fail":
                        if "retry_after" in q:
                            headers["Retry_After"] = q["retry_after"]
                            state.closed_until = time.monotonic() + float(q["retry_after"])
                        raise Refused(int(q.get("status", 500)), q.get("body", "rollup_error"))
                    if url.path != a.path:
                        raise Refused(404, "no_service" if url.path.startswith("/services/") else "not_found")
                    if self.command != "POST":
                        raise Refused(405, "method_not_allowed")
                    if state.over_rate():
                        headers["Retry_After"] = str(state.retry_after)
                        raise Refused(429, "rate_limited")
                    if len(body) > BODY_MAX:
                        raise Refused(413, "too_large")
                    payload = check(self.headers.get("Content-Type") or "", body, a.channel)
                    status, answer, silent = 200, "ok", kind == "lose"
                except Refused as r:
                    status, answer = r.status, r.answer
                self.note(status, answer, body, payload)
            if hang:
                time.sleep(hang)
            if silent:
                self.close_connection = True
                return None
            try:
                return self.answer(status, answer, **headers)
            except OSError:  # the client did not wait
                self.close_connection = True
                return None

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = serve

    return Handler


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that goes away is no event here


def main():
    ap = argparse.ArgumentParser(description="Stands in for Slack's incoming webhooks; see the head of the file.")
    ap.add_argument("--port", type=int, default=0)
    ap.add_argument("--host", default="127.0.0.1")
    ap.add_argument("--path", default="/services/T000/B000/XXX")
    ap.add_argument("--rate", type=float, default=1, help="requests a second; 0: no limit")
    ap.add_argument("--burst", type=int, default=1)
    ap.add_argument("--retry-after", type=int, default=1)
    ap.add_argument("--channel", action="append", default=[])
    ap.add_argument("--log")
    a = ap.parse_args()
    state = State(a)
    state.out = open(a.log, "a", encoding="utf-8") if a.log else sys.stdout
    server = Server((a.host, a.port), handler(state))
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: threading.Thread(target=server.shutdown).start())
    print("READY http://%s:%d %s" % (a.host, server.server_address[1], a.path), flush=True)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
