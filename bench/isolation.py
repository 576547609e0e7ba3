#!/usr/bin/env python3
"""What an output that is dead for the whole run costs the others.

  isolation.py [--agent target/release/logweir] [--lines 1000000] [--rounds 5]

Ships one corpus to a bulk endpoint that takes all, in interleaved rounds: with that output alone, and beside a
second one whose server refuses every connection (and, as a third kind, beside one that accepts and never answers).
Prints, for each kind, lines a second and CPU-seconds of each round, their medians, and the median of the ratios to
the first kind in the same round, which a machine that others use disturbs least. Everything runs on loopback in a temporary folder. The endpoint counts documents by the number in
each, so that a round that lost or doubled one ends the run with an error.
"""
import argparse
import http.server
import json
import multiprocessing
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

SEQ = re.compile(rb'"seq":(\d+)')
LIMIT_S = 300
KINDS = ("alone", "beside a refusing one", "beside a hanging one")


class Bulk(http.server.BaseHTTPRequestHandler):
    """Takes every document; looks into them only when asked (GET), so that it is not what limits the agent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        numbers = bytearray(self.server.lines)
        for body in self.server.bodies:
            for number in SEQ.findall(body):
                numbers[int(number)] = min(numbers[int(number)] + 1, 2)
        wrong = str(sum(count != 1 for count in numbers)).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(wrong)))
        self.end_headers()
        self.wfile.write(wrong)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        count = body.count(b"\n") // 2
        self.server.bodies.append(body)
        item = b'{"create":{"status":201}}'
        answer = b'{"took":1,"errors":false,"items":[' + b",".join([item] * count) + b"]}"
        status = 200
        if not body:
            status, answer = 400, b'{"error":{"type":"parse_exception","reason":"empty"},"status":400}'
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        with self.server.counted.get_lock():
            self.server.counted.value += count

    def log_message(self, *_):
        pass


def serve(port, counted, lines):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Bulk)
    server.daemon_threads = True
    server.counted, server.lines, server.bodies = counted, lines, []
    server.serve_forever()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def corpus(path, lines):
    with open(path, "w") as file:
        for seq in range(lines):
            level = "ERROR" if seq % 17 == 0 else "INFO"
            file.write('{"seq":%d,"level":"%s","service":"shop","message":"GET /api/item/%d took %d ms from 10.0.%d.%d, '
                       'request 1b4e28ba-2fa1-41d2-883f-%012d"}\n' % (seq, level, seq % 977, seq % 451, seq % 7, seq % 250, seq))


def pipeline(folder, live, dead):
    text = f'[inputs.app]\ntype = "file"\npaths = ["{folder}/app.log"]\ncodec = "json"\n'
    outputs = [("live", live)] + ([("dead", dead)] if dead else [])
    for name, port in outputs:
        text += f'[outputs.{name}]\ntype = "elasticsearch"\nhosts = ["http://127.0.0.1:{port}"]\nindex = "logs"\ncompression = "none"\n'
    return text


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one_round(options, folder, kind):
    counted, live = multiprocessing.Value("Q", 0), free_port()
    server = multiprocessing.Process(target=serve, args=(live, counted, options.lines), daemon=True)
    server.start()
    dead, hanging = None, None
    if kind == KINDS[1]:
        dead = free_port()
    elif kind == KINDS[2]:
        hanging = socket.create_server(("127.0.0.1", 0), backlog=64)
        dead = hanging.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="state-", dir=folder) as state:
        (pathlib.Path(state) / "app.toml").write_text(pipeline(folder, live, dead))
        command = [options.agent, "run", "--data-dir", f"{state}/data", "--admin", "off", f"{state}/app.toml"]
        with open(f"{state}/log", "w") as log:
            begin = time.monotonic()
            agent = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while counted.value < options.lines:
                if agent.poll() is not None or time.monotonic() - begin > LIMIT_S:
                    sys.exit(f"{kind}: {counted.value} of {options.lines} arrived\n" + open(f"{state}/log").read())
                time.sleep(0.01)
            seconds, cpu = time.monotonic() - begin, cpu_seconds(agent.pid)
            wrong = urllib.request.urlopen(f"http://127.0.0.1:{live}/", timeout=LIMIT_S).read()
        finally:
            agent.send_signal(signal.SIGTERM)
            try:
                agent.wait(15)
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()
            server.terminate()
            server.join()
            if hanging:
                hanging.close()
    if wrong != b"0":
        sys.exit(f"{kind}: {wrong.decode()} documents are missing or doubled")
    return options.lines / seconds, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="target/release/logweir")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    options.agent = os.path.abspath(options.agent)
    results = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="logweir-isolation-") as folder:
        corpus(f"{folder}/app.log", options.lines)
        for at in range(options.rounds):
            # Another order each time, so that no kind always follows the same one.
            for kind in KINDS[at % 3:] + KINDS[:at % 3]:
                rate, cpu = one_round(options, folder, kind)
                results[kind].append((rate, cpu))
                print(f"round {at + 1}, {kind}: {rate:,.0f} lines/s, {cpu:.2f} CPU-s", flush=True)
    for kind in KINDS:
        rate, cpu = [statistics.median(column) for column in zip(*results[kind])]
        pairs = list(zip(results[kind], results[KINDS[0]]))
        ratio, cpu_ratio = [statistics.median(one[n] / base[n] for one, base in pairs) for n in (0, 1)]
        print(json.dumps({"kind": kind, "lines_per_s": round(rate), "cpu_s": round(cpu, 2), "throughput_ratio": round(ratio, 3),
                          "cpu_ratio": round(cpu_ratio, 3), "rounds": options.rounds, "lines": options.lines}))


if __name__ == "__main__":
    main()
