#!/usr/bin/env python3
"""check_dashboards.py [--prometheus URL] FILE…

Lints Grafana dashboards: readable JSON, ids and places of panels, a unit and a title each, the data source from the
variable, and every query one that Prometheus' own parser takes. With --prometheus, every query is also asked there and
has to give data;
only one that ends in `> 0` may be empty.
Ends with 1 and one line for each fault.
"""
import json
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request


def plain(expr):
    """The query with Grafana's variables as "all"."""
    for name in ("instance", "pipeline", "service"):
        expr = expr.replace(f'=~"${name}"', '=~".*"')
    return expr


def faults_of(board):
    if not board.get("uid") or not board.get("title"):
        yield "no uid or title"
    seen, taken = set(), set()
    for panel in board["panels"]:
        name = panel.get("title") or f"panel {panel.get('id')}"
        if panel["id"] in seen:
            yield f"{name}: its id {panel['id']} is used twice"
        seen.add(panel["id"])
        if not panel.get("title"):
            yield f"{name}: no title"
        if panel["datasource"].get("uid") != "${datasource}":
            yield f"{name}: its data source is not the variable"
        if "unit" not in panel["fieldConfig"]["defaults"]:
            yield f"{name}: no unit"
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        if place["x"] + place["w"] > 24 or cells & taken:
            yield f"{name}: lies over another panel or beyond the edge"
        taken |= cells
        if not panel["targets"]:
            yield f"{name}: no query"


def queries(board):
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], plain(target["expr"])


def parse_faults(found):
    """What promtool says of all queries, written as one file of recording rules."""
    rules = [{"record": f"q{i}", "expr": expr} for i, (_, expr) in enumerate(found)]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump({"groups": [{"name": "queries", "rules": rules}]}, file)
        file.flush()
        run = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
    return [] if run.returncode == 0 else [run.stderr.strip() or run.stdout.strip()]


def answer(server, expr):
    url = f"{server}/api/v1/query?" + urllib.parse.urlencode({"query": expr})
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)["data"]["result"]


def main(arguments):
    server = None
    if arguments[:1] == ["--prometheus"]:
        server, arguments = arguments[1].rstrip("/"), arguments[2:]
    bad = 0
    for path in arguments:
        with open(path, encoding="utf-8") as file:
            board = json.load(file)
        found = list(queries(board))
        faults = list(faults_of(board)) + parse_faults(found)
        if server:
            faults += [f"{title}: no data for {expr}" for title, expr in found
                       if not expr.endswith("> 0") and not answer(server, expr)]
        for fault in faults:
            print(f"{path}: {fault}", file=sys.stderr)
        bad += len(faults)
        print(f"{path}: {len(found)} queries, {len(faults)} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
