#!/usr/bin/env python3
"""What the parts of a pipeline cost for an event, against `bench/budgets.toml`.

  budgets.py [--agent target/release/logweir] [--only NAME] [--write]

For each part two pipelines, with it and without it, read the same made-up lines by `logweir try`, which drops them all
at the end; callgrind counts the instructions of 3,000 and of 1,000 lines. The difference of the differences is what the
part costs for an event, whatever a start costs. Exit code 1: a part is above its budget, has none, or could not be
counted. `--write` prints the table of budgets anew, with a twelfth of room. Time (of the processor, in user space) is shown and
never decides.
"""
import argparse
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
FEW, MANY, TIMED = 1000, 3000, 60_000
DROP = '\n[[filters]]\ntype = "drop"\n\n[outputs.none]\ntype = "stdout"\n'


def access(n):
    paths = ("/health", "/api/v2/orders/%d" % (n * 7 % 9999), "/search?q=lamp&page=%d" % (n % 40))
    return '212.%d.86.%d - %s [24/Nov/2026:10:%02d:%02d +0000] "GET %s HTTP/1.1" %d %d "https://shop.example.com/p/%d" "curl/8.5.0"' % (
        n % 200, n * 3 % 250, ("-", "carol")[n % 2], n // 60 % 60, n % 60, paths[n % 3], (200, 304, 404)[n % 3], n * 13 % 50000, n % 300)


def plain(n):
    text = "order %d was paid" % (n * 17)
    if n % 3 == 0:
        text += " request_id=%08x" % (n * 2654435761 % 2**32)
    if n % 4 == 0:
        text += " password=swordfish%d next=1" % n
    return text + " client_ip=%d.%d.17.9" % (2 + n * 5 % 200, n * 7 % 250)


def structured(n):
    return ('{"timestamp": "2026-11-24T10:%02d:%02d.250Z", "level": "%s", "message": "order %d was paid", "seq": %d, "service": "shop", '
            '"parameters": {"path": "/data/%d", "limit": 5}, "duration_ms": %d.125, "client_ip": "%d.%d.17.9"}' % (
                n // 60 % 60, n % 60, ("INFO", "WARN", "ERROR")[n % 3], n * 17, n, n % 900, n % 3000, 2 + n * 5 % 200, n * 7 % 250))


GROK = '''
[[filters]]
type = "grok"
field = "message"
patterns = ['^%{IPORHOST:remote} %{USER:ident} %{USER:user} \\[%{HTTPDATE:time}\\] "%{WORD:method} %{NOTSPACE:path} HTTP/%{NUMBER:http}" %{INT:code:int} %{INT:size:int} "%{DATA:referer}" "%{DATA:agent}"$']
'''
DATE = '\n[[filters]]\ntype = "date"\nfield = "timestamp"\nformats = ["ISO8601"]\n'
REDACT = '\n[[filters]]\ntype = "redact"\nkeys = ["password", "token", "api_key"]\ndetect = ["credit_card", "jwt", "aws_key", "email"]\n'
GEOIP = '\n[[filters]]\ntype = "geoip"\nfield = "client_ip"\ntarget = "geoip"\ndatabase = "@DATABASE@"\n'
# No line fulfils it, so that nothing but the condition is counted.
CONDITION = '''
[[filters]]
type = "set"
when = 'service == "shop" and level in ["ERROR", "FATAL"] and message =~ /^call .*failed/'
fields = { seen = true }
'''
# Name, lines, codec, and the filters with the part and without it.
PARTS = {
    "json": (structured, ("json", ""), ("plain", "")),
    "grok": (access, ("plain", GROK), ("plain", "")),
    "date": (structured, ("json", DATE), ("json", "")),
    "condition": (structured, ("json", CONDITION), ("json", "")),
    "redact": (plain, ("plain", REDACT), ("plain", "")),
    "geoip": (structured, ("json", GEOIP), ("json", "")),
}


class Run:
    """One pipeline over lines of one kind."""

    def __init__(self, agent, folder, name, lines, codec, filters):
        self.agent, self.folder, self.lines = agent, folder, lines
        self.pipeline = folder / (name + ".toml")
        head = '[inputs.in]\ntype = "stdin"\ncodec = "%s"\n' % codec
        self.pipeline.write_text(head + filters.replace("@DATABASE@", str(folder / "city.mmdb")) + DROP)

    def command(self):
        return [str(self.agent), "try", str(self.pipeline)]

    def text(self, count):
        return "".join(self.lines(n) + "\n" for n in range(count)).encode()

    def instructions(self, count):
        out = self.folder / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=%s" % out] + self.command()
        done = subprocess.run(command, input=self.text(count), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        found = re.search(rb"Collected\s*:\s*(\d+)", done.stderr)
        if done.returncode != 0 or done.stdout or not found:
            sys.exit("%s: %s" % (self.pipeline.name, (done.stdout + done.stderr).decode()[-2000:]))
        return int(found[1])

    def per_event(self):
        return (self.instructions(MANY) - self.instructions(FEW)) / (MANY - FEW)

    def ns_per_event(self):
        text, best = self.text(TIMED), None
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            subprocess.run(self.command(), input=text, stdout=subprocess.DEVNULL, check=True)
            took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
            best = took if best is None else min(best, took)
        return best / TIMED * 1e9


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--agent", type=pathlib.Path, default=HERE.parent / "target/release/logweir")
    ap.add_argument("--only")
    ap.add_argument("--write", action="store_true")
    a = ap.parse_args()
    for needed, what in ((shutil.which("valgrind"), "valgrind is not installed"), (a.agent.exists(), "%s is not built" % a.agent)):
        if not needed:
            sys.exit("budgets: " + what)
    budgets = tomllib.loads((HERE / "budgets.toml").read_text())
    unknown = set(budgets) - set(PARTS)
    if unknown:
        sys.exit("budgets: no such part: %s" % ", ".join(sorted(unknown)))
    failed, known = [], {}
    print("%-10s %14s %8s %8s %8s %8s" % ("part", "instructions", "budget", "", "ns", "budget"))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "city.mmdb").write_bytes(database())
        for name, (lines, part, rest) in PARTS.items():
            if a.only not in (None, name):
                continue
            made = []
            for at, (codec, filters) in enumerate((part, rest)):
                run = Run(a.agent, folder, "%s-%d" % (name, at), lines, codec, filters)
                key = (lines, codec, filters)
                if key not in known:
                    known[key] = (run.per_event(), run.ns_per_event())
                made.append(known[key])
            count, ns = (round(with_it - without) for with_it, without in zip(*made))
            budget = budgets.get(name, {})
            most = budget.get("instructions", 0)
            if a.write:
                print('[%s]\ninstructions = %d\nns = %d\n' % (name, count * 13 // 12, max(ns, 1)))
                continue
            met = count <= most
            failed += [] if met else [name]
            said = "met" if met else "NOT MET"
            print("%-10s %14d %8d %8s %8d %8d" % (name, count, most, said, ns, budget.get("ns", 0)), flush=True)
    if failed and not a.write:
        sys.exit("budgets: above the budget of bench/budgets.toml: %s" % ", ".join(failed))


# A GeoIP2 city database in the format of https://maxmind.github.io/MaxMind-DB/: one record for each /8 network.
def database():
    def text(value):
        raw = value.encode()
        return head(2, len(raw)) + raw

    def head(kind, size):
        extended = kind > 7
        first = (0 if extended else kind << 5) | (size if size < 29 else 29)
        return bytes([first]) + (bytes([kind - 7]) if extended else b"") + (bytes([size - 29]) if size >= 29 else b"")

    def mapping(pairs):
        return head(7, len(pairs)) + b"".join(text(key) + value for key, value in pairs)

    def number(value, kind=6):
        raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return head(kind, len(raw)) + raw

    def double(value):
        import struct
        return head(3, 8) + struct.pack(">d", value)

    def array(values):
        return head(11, len(values)) + b"".join(values)

    def named(name):
        return mapping([("geoname_id", number(abs(hash_of(name)) % 10**6)), ("names", mapping([("en", text(name)), ("de", text(name))]))])

    def hash_of(name):
        value = 0
        for letter in name.encode():
            value = (value * 31 + letter) % 2**31
        return value

    records, places = b"", {}
    for first in range(1, 224):
        places[first] = len(records)
        country = mapping([("iso_code", text("X" + chr(65 + first % 26))), ("geoname_id", number(first)), ("names", mapping([("en", text("Country %d" % first))]))])
        records += mapping([
            ("city", named("City %d" % first)), ("continent", mapping([("code", text("EU")), ("names", mapping([("en", text("Europe"))]))])), ("country", country),
            ("location", mapping([("latitude", double(first / 3)), ("longitude", double(-first / 2)), ("time_zone", text("Europe/Berlin"))])),
            ("postal", mapping([("code", text("%05d" % (first * 37)))])),
            ("subdivisions", array([mapping([("iso_code", text("BE")), ("names", mapping([("en", text("Region %d" % first))]))])])),
        ])
    nodes = [[None, None]]
    for first, place in places.items():
        at = 0
        for depth in range(8):
            bit = first >> (7 - depth) & 1
            if depth == 7:
                nodes[at][bit] = ("data", place)
            else:
                if nodes[at][bit] is None:
                    nodes.append([None, None])
                    nodes[at][bit] = len(nodes) - 1
                at = nodes[at][bit]
    tree = b""
    for node in nodes:
        for side in node:
            value = len(nodes) if side is None else side if isinstance(side, int) else len(nodes) + 16 + side[1]
            tree += value.to_bytes(4, "big")
    metadata = mapping([
        ("node_count", number(len(nodes))), ("record_size", number(32, 5)), ("ip_version", number(4, 5)), ("database_type", text("GeoLite2-City")),
        ("languages", array([text("en")])), ("binary_format_major_version", number(2, 5)), ("binary_format_minor_version", number(0, 5)),
        ("build_epoch", number(1_790_000_000, 9)), ("description", mapping([("en", text("made up"))])),
    ])
    return tree + bytes(16) + records + b"\xab\xcd\xefMaxMind.com" + metadata


if __name__ == "__main__":
    main()
