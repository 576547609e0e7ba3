"""A sample application: writes the structured log of an MCP server, with requests, tool calls, and a few errors.

  app.py FILE [LINES]     for ever, or so many lines
"""
import json
import random
import sys
import time
from datetime import datetime, timezone

PATHS = ["/api/v1/tools/call", "/api/v1/messages", "/health"]
TOOLS = ["read_file", "write_file", "search_code", "run_query"]


def event():
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"timestamp": now, "level": "INFO", "logger": "mcp-server", "service": "mcp-server"}
    failed = random.random() < 0.04
    if random.random() < 0.6:
        status = 500 if failed else random.choice([200, 200, 200, 404])
        entry.update(message="HTTP Request", event_type="http_request", method=random.choice(["GET", "POST"]),
                     path=random.choice(PATHS), status_code=status, duration_ms=round(random.expovariate(1 / 80), 2),
                     client_ip="192.0.2.%d" % random.randrange(1, 20))
    else:
        tool = random.choice(TOOLS)
        entry.update(message="Tool call: " + tool, event_type="tool_call", tool_name=tool, success=not failed,
                     duration_ms=round(random.expovariate(1 / 400), 2), error="timeout" if failed else None)
    if failed:
        entry.update(level="ERROR", message="upstream timeout for order %d password=hunter2" % random.randrange(9999))
    return entry


def main():
    path, left = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else -1
    with open(path, "a", buffering=1, encoding="utf-8") as log:
        while left:
            log.write(json.dumps(event(), ensure_ascii=False) + "\n")
            left -= 1
            if left < 0:
                time.sleep(random.expovariate(10))


if __name__ == "__main__":
    main()
