"""One run of one agent, and what it cost.

In: the arguments of `run.py`. Out: dictionaries of figures. Promises: only processes that were started here are ended; an
agent's CPU and peak resident set are the kernel's figures for its own process; a run ends when every document has arrived,
when nothing arrives any more, or at a limit. On failure: an agent that does not start ends everything with its last words.
"""
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PORT, TCP_PORT = 19290, 19291
TICKS = os.sysconf("SC_CLK_TCK")
SILENCE_S, LIMIT_S = 15, 600
LINE = '212.7.86.3 - - [24/Nov/2026:10:00:00 +0000] "GET /health HTTP/1.1" 200 512 "-" "curl/8.5.0 seq=%d%s"\n'


class Sink:
    """The counting server, while it is needed."""

    def __init__(self, a):
        self.process = subprocess.Popen([str(a.tools), "sink", "127.0.0.1:%d" % PORT])

    def __enter__(self):
        for _ in range(200):
            try:
                self.figures()
                return self
            except OSError:
                time.sleep(0.02)
        sys.exit("the sink does not answer on port %d" % PORT)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def figures(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/figures" % PORT, timeout=30) as answer:
            return json.load(answer)

    def arrived(self):
        return self.figures()["distinct"].get("logs", 0)

    def wait_for(self, count, agent=None):
        """Until so many have arrived, or nothing comes any more."""
        before, changed, began = -1, time.time(), time.time()
        while time.time() - began < LIMIT_S:
            now = self.arrived()
            if agent:
                agent.look()
            if now != before:
                before, changed = now, time.time()
            if now >= count or time.time() - changed > SILENCE_S:
                return now
            time.sleep(0.1)
        return before


class Agent:
    """A running agent in a fresh folder."""

    def __init__(self, a, name, folder, command, environment=None):
        self.name, self.log = name, open(folder / "agent.log", "wb")
        self.began = time.time()
        self.process = subprocess.Popen([str(part) for part in command], stdout=self.log, stderr=self.log, cwd=folder, env={**os.environ, **(environment or {})})
        self.cpu = self.rss = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def look(self):
        """CPU-seconds and peak resident MB so far."""
        if self.process.poll() is not None:
            if self.process.returncode != 0:
                words = open(self.log.name, "rb").read()[-2000:].decode(errors="replace")
                sys.exit("%s ended with %s: %s" % (self.name, self.process.returncode, words))
            return self.cpu, self.rss
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        self.cpu = (int(fields[11]) + int(fields[12])) / TICKS
        with open("/proc/%d/status" % self.process.pid) as status:
            self.rss = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
        return self.cpu, self.rss

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))


def fresh(a, name):
    folder = a.work / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "state").mkdir(parents=True)
    return folder


def configuration(a, folder, name, logs, more=None):
    """A template of `bench/peers` with its places filled in; `None`: there is none."""
    template = HERE / "peers" / name
    if not template.exists():
        return None
    text = template.read_text()
    words = {"FOLDER": folder, "LOGS": logs, "PORT": PORT, "TCP_PORT": TCP_PORT, "DATABASE": getattr(a, "database", ""), "COMPRESSION": "none", **(more or {})}
    for word, value in words.items():
        text = text.replace("@%s@" % word, str(value))
    (folder / name).write_text(text)
    for part in (HERE / "peers").glob("parsers.conf"):
        shutil.copy(part, folder)
    return folder / name


def logweir(a, folder, name, logs, more=None, environment=None):
    made = configuration(a, folder, "logweir-%s.toml" % name, logs, more)
    command = [a.agent, "run", "--admin", "off", "--data-dir", folder / "state", made]
    return Agent(a, "logweir", folder, command, environment)


def peer(a, name, kind, folder, logs):
    """The command of another agent; `None`: it is not at hand, or cannot do this."""
    program, _, mode = name.rpartition("-")
    if program == "fluent-bit" and a.fluent_bit:
        made = configuration(a, folder, "fluent-bit-%s.conf" % kind, logs, {"STORAGE": {"memory": "memory", "disk": "filesystem"}[mode]})
        return made and [a.fluent_bit, "-c", made]
    if program == "vector" and a.vector:
        made = configuration(a, folder, "vector-%s.toml" % kind, logs, {"BUFFER": {"memory": "memory", "disk": "disk\"\nbuffer.max_size = 1073741824 #"}[mode]})
        return made and [a.vector, "--quiet", "--config", made]
    if name == "rsyslog-memory" and a.rsyslogd:
        made = configuration(a, folder, "rsyslog-%s.conf" % kind, logs)
        return made and [a.rsyslogd, "-n", "-f", made, "-i", folder / "rsyslog.pid"]
    return None


def warm(file):
    """Into the page cache, so that no agent pays for the disk."""
    with open(file, "rb") as f:
        while f.read(1 << 22):
            pass


def shipped(a, agent, sink, file):
    size = file.stat().st_size / 1e9
    distinct = sink.wait_for(a.lines, agent)
    cpu, rss = agent.look()
    figures = sink.figures()
    took = max(figures["last"] - agent.began, 0.001)
    row = {"distinct": distinct, "doubled": figures["doubled"], "cpu_s": cpu, "cpu_s_per_gb": cpu / size * a.lines / max(distinct, 1), "rss_mb": rss,
           "kev_s": distinct / took / 1000, "bytes": figures["bytes"]}
    print("%-20s %-8s %s" % (agent.name, file.stem, json.dumps({key: round(value, 3) for key, value in row.items()})), flush=True)
    return row


def null(a, kind):
    file, folder = a.data / (kind + ".log"), fresh(a, "null")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Sink(a) as sink:
        # It ends by itself, so its CPU time is told exactly when it has.
        subprocess.run([str(a.tools), "null", kind, str(file), "127.0.0.1:%d" % PORT], check=True, cwd=folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"distinct": sink.arrived(), "doubled": 0, "cpu_s_per_gb": cpu / (file.stat().st_size / 1e9), "rss_mb": 0, "kev_s": 0}


def compare(a, kind):
    """All agents on one corpus, in turns."""
    file, rows = a.data / (kind + ".log"), {}
    names = ["logweir-memory", "logweir-disk", "fluent-bit-memory", "fluent-bit-disk", "vector-memory", "vector-disk", "rsyslog-memory"]
    for _ in range(a.rounds):
        warm(file)
        rows.setdefault("null", []).extend(null(a, kind) for _ in range(5))
        for name in names:
            folder = fresh(a, name)
            with Sink(a) as sink:
                if name.startswith("logweir"):
                    mode = name.rpartition("-")[2]
                    agent = logweir(a, folder, kind, file, {"MODE": mode})
                    agent.name = name
                else:
                    command = peer(a, name, kind, folder, file)
                    if command is None:
                        continue
                    agent = Agent(a, name, folder, command)
                with agent:
                    rows.setdefault(name, []).append(shipped(a, agent, sink, file))
    return rows


def pinned(a, files, cores):
    """The corpus nginx in one or two files, read by an agent that may use so many cores, which the sink does not use."""
    file, folder = a.data / "nginx.log", fresh(a, "cores")
    logs = folder / "logs"
    logs.mkdir()
    text = file.read_bytes()
    cut = len(text) if files == 1 else text.index(b"\n", len(text) // 2) + 1
    for n, part in enumerate(part for part in (text[:cut], text[cut:]) if part):
        (logs / ("%d.log" % n)).write_bytes(part)
    all_cores = sorted(os.sched_getaffinity(0))
    with Sink(a) as sink, logweir(a, folder, "nginx", logs / "*.log", {"MODE": "memory"}) as agent:
        os.sched_setaffinity(sink.process.pid, all_cores[:-2])
        agent.name = "logweir on %d" % cores
        for task in os.listdir("/proc/%d/task" % agent.process.pid):
            os.sched_setaffinity(int(task), all_cores[-cores:])
        return shipped(a, agent, sink, file)


def tcp(a, mode, connections=4):
    """JSON lines over TCP."""
    file, folder = a.data / "json.log", fresh(a, "tcp")
    data = file.read_bytes()
    cuts = [0] + [data.index(b"\n", len(data) * n // connections) + 1 for n in range(1, connections)] + [len(data)]

    def send(part):
        with socket.create_connection(("127.0.0.1", TCP_PORT)) as connection:
            connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

    with Sink(a) as sink, logweir(a, folder, "tcp", "", {"MODE": mode}) as agent:
        agent.name = "logweir-%s tcp" % mode
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", TCP_PORT)).close()
                break
            except OSError:
                agent.look()
                time.sleep(0.05)
        for begin, end in zip(cuts, cuts[1:]):
            threading.Thread(target=send, args=(data[begin:end],), daemon=True).start()
        return shipped(a, agent, sink, file)


def latency(a, rate=10_000):
    """Lines at a steady rate, each with the time it was written; the first two seconds do not count."""
    folder = fresh(a, "latency")
    logs = folder / "access.log"
    with Sink(a) as sink, open(logs, "w", buffering=1 << 16) as log, logweir(a, folder, "nginx", logs, {"MODE": "disk"}) as agent:
        began, written = time.time(), 0
        while time.time() - began < a.seconds:
            passed = time.time() - began
            mark = " wt=%d" % (time.time() * 1e6) if passed > 2 else ""
            due = int(passed * rate)
            log.write("".join(LINE % (n, mark) for n in range(written, due)))
            log.flush()
            written = max(written, due)
            time.sleep(0.002)
        cpu, _ = agent.look()
        took = time.time() - began
        arrived = sink.wait_for(written, agent)
        row = {**sink.figures()["latency_ms"], "cpu_percent": 100 * cpu / took, "lost": written - arrived}
    print("latency %s" % json.dumps(row), flush=True)
    return row


def idle(a, files, active=10):
    """Many files, of which few are written, a line a second each."""
    folder = fresh(a, "idle")
    many = folder / "many"
    many.mkdir()
    for n in range(files):
        (many / ("%06d.log" % n)).write_text(LINE % (n, ""))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Sink(a) as sink, logweir(a, folder, "nginx", many / "*.log", {"MODE": "disk"}) as agent:
        first = sink.wait_for(files, agent)
        time.sleep(3)
        before, began, number = agent.look()[0], time.time(), files
        for _ in range(a.seconds):
            for n in range(active):
                with open(many / ("%06d.log" % n), "a") as log:
                    log.write(LINE % (number, ""))
                number += 1
            time.sleep(1)
        cpu, rss = agent.look()
        row = {"cpu_percent": 100 * (cpu - before) / (time.time() - began), "rss_mb": rss, "descriptors": agent.descriptors(), "first": first,
               "lost": number - sink.wait_for(number, agent)}
    print("idle %d files %s" % (files, json.dumps(row)), flush=True)
    shutil.rmtree(folder)
    return row


def resting(a):
    """Resident MB of an agent that has nothing to do."""
    folder = fresh(a, "resting")
    with Sink(a), logweir(a, folder, "nginx", folder / "none.log", {"MODE": "disk"}) as agent:
        time.sleep(5)
        return agent.look()[1]


def start(a, megabytes):
    """Milliseconds from the start to `READY=1` (sd_notify(3)) without a journal and with one that nobody took."""
    folder = fresh(a, "start")
    logs, wanted = folder / "access.log", megabytes * 1_000_000
    logs.write_text("")
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind(str(folder / "ready"))
    ready.settimeout(60)

    def once():
        began = time.perf_counter()
        # Nobody listens there, so that the journal keeps everything.
        with logweir(a, folder, "nginx", logs, {"MODE": "disk", "PORT": 9}, {"NOTIFY_SOCKET": str(folder / "ready")}) as agent:
            while b"READY=1" not in ready.recv(4096):
                agent.look()
            took = (time.perf_counter() - began) * 1000
            size = lambda: sum(f.stat().st_size for f in (folder / "state").rglob("*") if f.is_file())
            until = time.time() + LIMIT_S
            while full and size() < wanted and time.time() < until:
                agent.look()
                with open(logs, "a") as log:
                    log.write("".join(LINE % (n, "") for n in range(100_000)))
                time.sleep(0.3)
        # What it said while it ended.
        ready.setblocking(False)
        try:
            while True:
                ready.recv(4096)
        except BlockingIOError:
            ready.settimeout(60)
        return took

    full = False
    empty = min(once() for _ in range(3))
    full = True
    once()
    full = False
    return empty, min(once() for _ in range(3))


def gzip(a):
    """What compression adds to the CPU of shipping `json`, as MB of text a second on one core."""
    file, cpu, size = a.data / "json.log", {}, 0
    for kind in ("none", "gzip"):
        folder = fresh(a, "gzip")
        with Sink(a) as sink, logweir(a, folder, "json", file, {"MODE": "memory", "COMPRESSION": kind}) as agent:
            agent.name = "logweir-memory " + kind
            row = shipped(a, agent, sink, file)
            cpu[kind], size = row["cpu_s"], max(size, row["bytes"])
    return {"mb_s": size / 1e6 / max(cpu["gzip"] - cpu["none"], 0.001)}
