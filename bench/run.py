#!/usr/bin/env python3
"""All goals of speed, memory and latency, measured on this machine: one table, one report, one plot for each corpus.

  run.py [--quick] [--only WORD]… [--rounds 5] [--lines 1000000] [--agent target/release/logweir] [--work target/bench]
         [--name DATE-TITLE] [--peers FOLDER]

Builds what is missing (the agent, `bench/tools`), makes the corpora, and runs what `--only` names (throughput, cores,
tcp, latency, idle, start, gzip; all without it), on loopback. Fluent Bit and Vector are measured where `--peers` has their
binaries or PATH does, rsyslog where the machine has it; one that is not at hand is said to be missing, never left out in
silence. Rounds are interleaved, so that a drift of the machine hits all agents alike; medians count, and so do ratios
within one run, not seconds across machines. The report goes to `bench/results/NAME.md` with an SVG for each corpus; `--quick`
(100,000 lines, one round, short waits) writes it to WORK instead. Exit code 1: a goal was missed or a document was lost.
"""
import argparse
import datetime
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

import scenarios
from plot import bars

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = ("nginx", "json", "mcp")
PARTS = ("throughput", "cores", "tcp", "latency", "idle", "start", "gzip")


class Goal:
    """One line of the table: a figure, and what it may be at most (or, with `least`, at least)."""

    def __init__(self, part, what, unit, goal, figure, least=False):
        self.part, self.what, self.unit, self.goal, self.figure, self.least = part, what, unit, goal, figure, least

    @property
    def met(self):
        if self.figure is None:
            return None
        return self.figure >= self.goal if self.least else self.figure <= self.goal

    def row(self):
        sign = "≥" if self.least else "≤"
        if self.figure is None:
            return (self.part, self.what, "%s %g %s" % (sign, self.goal, self.unit), "not measured", "", "")
        ratio = self.figure / self.goal if self.goal else 0
        said = "met" if self.met else "missed"
        return (self.part, self.what, "%s %g %s" % (sign, self.goal, self.unit), "%.3g %s" % (self.figure, self.unit), "%.2f" % ratio, said)


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--only", action="append", choices=PARTS)
    ap.add_argument("--kinds", default=",".join(KINDS))
    ap.add_argument("--rounds", type=int)
    ap.add_argument("--lines", type=int)
    ap.add_argument("--agent", type=pathlib.Path)
    ap.add_argument("--work", type=pathlib.Path, default=ROOT / "target/bench")
    ap.add_argument("--peers", type=pathlib.Path)
    ap.add_argument("--name", default=datetime.date.today().isoformat() + "-goals")
    a = ap.parse_args()
    a.rounds = a.rounds or (1 if a.quick else 5)
    a.lines = a.lines or (100_000 if a.quick else 1_000_000)
    a.seconds = 5 if a.quick else 20
    a.only = a.only or list(PARTS)
    a.kinds = a.kinds.split(",")
    a.work = a.work.resolve()
    return a


def prepare(a):
    """The agent, the tools and the corpora, as far as they are not there."""
    a.work.mkdir(parents=True, exist_ok=True)
    if a.agent is None:
        subprocess.run(["cargo", "build", "--locked", "--release"], cwd=ROOT, check=True)
        a.agent = ROOT / "target/release/logweir"
    build = ["cargo", "build", "--locked", "--release", "--manifest-path", str(ROOT / "bench/tools/Cargo.toml"), "--target-dir", str(a.work / "tools")]
    subprocess.run(build, check=True)
    a.tools = a.work / "tools/release/bench-tools"
    a.data = a.work / ("data-%d" % a.lines)
    a.data.mkdir(exist_ok=True)
    for kind in a.kinds + ["json"]:
        file = a.data / (kind + ".log")
        if not file.exists():
            subprocess.run([str(a.tools), "corpus", kind, str(a.lines), str(file) + ".new"], check=True)
            pathlib.Path(str(file) + ".new").rename(file)
    a.database = a.work / "city.mmdb"
    import budgets
    a.database.write_bytes(budgets.database())
    a.missing = []
    for peer in ("fluent-bit", "vector", "rsyslogd"):
        own = a.peers / peer if a.peers else None
        found = str(own) if own and own.exists() else shutil.which(peer)
        setattr(a, peer.replace("-", "_"), found)
        if not found:
            a.missing.append(peer)


def throughput(a, goals, runs):
    limits = {"nginx": (2.5, 3.2), "json": (2.0, 2.8), "mcp": (8.0, 9.0)}
    for kind in a.kinds:
        rows = scenarios.compare(a, kind)
        runs[kind] = rows
        null = median(rows["null"], "cpu_s_per_gb")
        for mode, goal in zip(("memory", "disk"), limits[kind]):
            mine = rows["logweir-" + mode]
            goals.append(Goal(kind, "CPU of %s journal to null shipper" % mode, "×", goal, median(mine, "cpu_s_per_gb") / null))
            peer = rows.get("fluent-bit-" + mode)
            figure = median(mine, "cpu_s_per_gb") / median(peer, "cpu_s_per_gb") if peer else None
            goals.append(Goal(kind, "CPU of %s journal to Fluent Bit" % mode, "×", 0.1, figure))
        peak = max(median(rows["logweir-" + mode], "rss_mb") for mode in ("memory", "disk"))
        goals.append(Goal(kind, "resident at full speed", "MB", 40, peak))
        lost = sum(a.lines - r["distinct"] + r["doubled"] for mode in ("memory", "disk") for r in rows["logweir-" + mode])
        goals.append(Goal(kind, "documents lost or doubled", "", 0, lost))


def cores(a, goals, runs):
    for files, what in ((1, "one hot file"), (2, "two hot files")):
        figure = None
        # The agent's two must be its own: the sink is as busy.
        if (os.cpu_count() or 1) >= 4:
            ones, twos = zip(*[(scenarios.pinned(a, files, 1), scenarios.pinned(a, files, 2)) for _ in range(a.rounds)])
            figure = median(twos, "kev_s") / median(ones, "kev_s")
        goals.append(Goal("cores", "two cores to one, %s (needs a machine with four)" % what, "×", 1.7, figure, least=True))


def tcp(a, goals, runs):
    null = median([scenarios.null(a, "json") for _ in range(5)], "cpu_s_per_gb")
    for mode, goal in (("memory", 2.0), ("disk", 2.5)):
        rows = [scenarios.tcp(a, mode) for _ in range(a.rounds)]
        goals.append(Goal("tcp", "CPU of %s journal to null shipper, 4 connections" % mode, "×", goal, median(rows, "cpu_s_per_gb") / null))


def latency(a, goals, runs):
    rows = [scenarios.latency(a) for _ in range(a.rounds)]
    goals.append(Goal("latency", "line to server at 10,000 lines/s, p50", "ms", 60, median(rows, "p50")))
    goals.append(Goal("latency", "the same, p99", "ms", 250, median(rows, "p99")))
    goals.append(Goal("latency", "part of a core", "%", 2, median(rows, "cpu_percent")))


def idle(a, goals, runs):
    files = 1_000 if a.quick else 10_000
    row = scenarios.idle(a, files)
    goals.append(Goal("idle", "%d files, part of a core" % files, "%", 0.5, row["cpu_percent"]))
    goals.append(Goal("idle", "%d files, resident" % files, "MB", 40, row["rss_mb"]))
    goals.append(Goal("idle", "%d files, descriptors" % files, "", 100, row["descriptors"]))
    if not a.quick:
        row = scenarios.idle(a, 100_000, active=100)
        goals.append(Goal("idle", "100000 files, 100 of them written, part of a core", "%", 1, row["cpu_percent"]))
        goals.append(Goal("idle", "100000 files, resident", "MB", 100, row["rss_mb"]))
    goals.append(Goal("idle", "nothing to do, resident", "MB", 12, scenarios.resting(a)))


def start(a, goals, runs):
    megabytes = 100 if a.quick else 1000
    empty, full = scenarios.start(a, megabytes)
    goals.append(Goal("start", "to reading, empty journal", "ms", 20, empty))
    goals.append(Goal("start", "to reading, %d MB of journal, for 1 GB" % megabytes, "ms", 1000, full * 1000 / megabytes))


def gzip(a, goals, runs):
    rows = [scenarios.gzip(a) for _ in range(a.rounds)]
    goals.append(Goal("gzip", "compression of json", "MB/s a core", 250, median(rows, "mb_s"), least=True))


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def table(rows, head):
    widths = [max(len(str(row[n])) for row in [head, *rows]) for n in range(len(head))]
    line = lambda row: "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |"
    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def report(a, goals, runs):
    rows = table([goal.row() for goal in goals], ("part", "what", "goal", "figure", "to the goal", ""))
    print("\n" + rows)
    for peer in a.missing:
        print("not at hand, so not measured: " + peer)
    folder = a.work if a.quick else ROOT / "bench/results"
    text = ["# Goals, %s" % datetime.date.today().isoformat(), "",
            "`just bench`: corpora of %d lines, median of %d rounds, compression off; CPU of the agent alone, in seconds for a GB of input." % (a.lines, a.rounds), "", rows, ""]
    if a.missing:
        text += ["Not at hand, so not measured: %s." % ", ".join(a.missing), ""]
    for kind, agents in runs.items():
        null = median(agents["null"], "cpu_s_per_gb")
        cells = [(name, "%.2f" % median(r, "cpu_s_per_gb"), "%.1f" % (median(r, "cpu_s_per_gb") / null), "%.1f" % median(r, "kev_s"), "%.1f" % median(r, "rss_mb"))
                 for name, r in agents.items()]
        text += ["## " + kind, "", table(cells, ("agent", "CPU-s/GB", "to null", "thousand events/s", "resident MB")), "", "![%s](%s-%s.svg)" % (kind, a.name, kind), ""]
        pairs = [(name, [r["cpu_s_per_gb"] for r in rounds]) for name, rounds in agents.items()]
        (folder / ("%s-%s.svg" % (a.name, kind))).write_text(bars("%s: CPU-seconds for a GB" % kind, pairs))
    (folder / (a.name + ".md")).write_text("\n".join(text))
    print("\nreport: %s" % (folder / (a.name + ".md")))


def main():
    a = arguments()
    prepare(a)
    goals, runs = [], {}
    for part in a.only:
        globals()[part](a, goals, runs)
    report(a, goals, runs)
    missed = [goal for goal in goals if goal.met is False]
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
