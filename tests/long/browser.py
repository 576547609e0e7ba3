"""The status page in headless Chromium; see browser.sh.

Starts a server that answers _bulk as Elasticsearch does (it refuses every document with "refuse": true), an agent
with a file to read and three outputs (that server, one that is not there, a file), and looks at the page.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib

import bulk

PIPELINE = """
[inputs.web]
type = "file"
paths = ["@HOME@/web.log"]
codec = "json"

[outputs.search]
type = "elasticsearch"
hosts = ["http://127.0.0.1:@BULK@"]
index = "logs"

[outputs.away]
type = "elasticsearch"
hosts = ["http://127.0.0.1:@CLOSED@"]
index = "logs"

[outputs.archive]
type = "file"
path = "@HOME@/data/archive.jsonl"
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def until(what, condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"browser: waited {seconds} s in vain: {what}")
        time.sleep(0.1)


def chromium(home, *arguments):
    """Runs the browser once and gives what it prints."""
    profile = tempfile.mkdtemp(dir=home)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
               "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
               "--disable-features=OptimizationHints,MediaRouter", f"--user-data-dir={profile}",
               "--virtual-time-budget=2000", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        sys.exit(f"browser: chromium failed\n{done.stderr}")
    return done.stdout


def first_pixel(path):
    """Red, green and blue of the upper left corner of a PNG."""
    data = path.read_bytes()
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + size]
        at += 12 + size
    # The first row's filter takes nothing into account for the first pixel.
    return tuple(zlib.decompress(packed)[1:4])


def check(condition, what):
    if not condition:
        sys.exit(f"browser: {what}")
    print(f"ok: {what}")


def look(home, page):
    dom = chromium(home, "--dump-dom", page)
    text = re.sub(r"<style>.*?</style>", "", dom, flags=re.S)
    text = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    for part in ["web ok", "search", "away paused", "archive ok", "events/s", "unread", "waiting", "Journal",
                 "Dead letters by reason", "failed to parse field [status]", "Last errors", "app/outputs.away"]:
        check(part in text, f"the page shows \"{part}\"")
    outside = [found for found in re.findall(r"""(?:src|href)\s*=\s*["']?([^"' >]+)|url\(([^)]*)\)""", dom)]
    check(not outside, "no element names another resource")


def pictures(home, page, folder):
    colours = {}
    for theme, number in [("light", 1), ("dark", 0)]:
        shot, log = folder / f"status-{theme}.png", home / f"net-{theme}.json"
        chromium(home, f"--blink-settings=preferredColorScheme={number}", "--window-size=1100,1300",
                 f"--screenshot={shot}", f"--log-net-log={log}", page)
        colours[theme] = first_pixel(shot)
        # What the page asks for; the browser's own services are not the page's.
        asked = set(re.findall(r'"initiator":"(http[^"]*)"', log.read_text()))
        check(asked <= {page.rstrip("/")}, f"in {theme}, the page asks nobody but the agent")
    check(min(colours["light"]) > 200, f"light is light: {colours['light']}")
    check(max(colours["dark"]) < 60, f"dark is dark: {colours['dark']}")
    # A telephone: the page is no wider than the window.
    shot = folder / "status-narrow.png"
    chromium(home, "--blink-settings=preferredColorScheme=1", "--window-size=500,1400", f"--screenshot={shot}", page)


def main():
    home = pathlib.Path(tempfile.mkdtemp(prefix="logweir-browser-"))
    folder = pathlib.Path(sys.argv[2]) if sys.argv[1:2] == ["--keep"] else home
    folder.mkdir(parents=True, exist_ok=True)
    server = bulk.serve()
    admin = free_port()
    text = PIPELINE.replace("@HOME@", str(home)).replace("@BULK@", str(server.server_address[1]))
    (home / "app.toml").write_text(text.replace("@CLOSED@", str(free_port())))
    log = open(home / "agent.log", "wb")
    agent = subprocess.Popen([os.environ["LOGWEIR_BINARY"], "run", "--data-dir", str(home / "data"), "--admin",
                              f"127.0.0.1:{admin}", str(home / "app.toml")], stdin=subprocess.DEVNULL, stderr=log)
    stop = threading.Event()

    def write():
        with open(home / "web.log", "a") as out:
            number = 0
            while not stop.wait(0.05):
                number += 1
                out.write(json.dumps({"message": f"request {number}", "refuse": number % 40 == 0}) + "\n")
                out.flush()

    try:
        threading.Thread(target=write, daemon=True).start()
        page = f"http://127.0.0.1:{admin}/"
        until("dead letters", lambda: re.search(r"logweir_dead_letters\{[^}]*\} [1-9]", get(page + "metrics")))
        until("a paused output", lambda: '"paused"' in get(page + "health"))
        until("the page has two looks", lambda: "Dead letters by reason" in get(page))
        look(home, page)
        pictures(home, page, folder)
    except SystemExit:
        print((home / "agent.log").read_text()[-3000:], file=sys.stderr)
        raise
    finally:
        stop.set()
        agent.kill()
        agent.wait()
        shutil.rmtree(home, ignore_errors=True)
    print("the status page is what it should be")


main()
