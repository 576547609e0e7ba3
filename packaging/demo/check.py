#!/usr/bin/env python3
"""Checks the demo without an engine: every file that is mounted exists, every service, volume and port that is named is
there, ports are on loopback, images have a version, scrape targets and data sources are services, and the sample
application writes lines that `logweir report` reads.

  check.py [BINARY]
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).parent
faults = []


def fault(text):
    faults.append(text)


compose = yaml.safe_load((HERE / "compose.yaml").read_text())
services, volumes = compose["services"], set(compose["volumes"])
published, used = {}, set()
for name, service in services.items():
    if "build" in service:
        folder = (HERE / service["build"]["context"]).resolve()
        if not (folder / service["build"]["dockerfile"]).is_file():
            fault(f"{name}: no Dockerfile")
    elif ":" not in service["image"].rsplit("/", 1)[-1]:
        fault(f"{name}: an image without a version")
    for mount in service.get("volumes", []):
        source, target = mount.split(":")[:2]
        if source.startswith("."):
            if not (HERE / source).resolve().exists():
                fault(f"{name}: {source} does not exist")
        elif source not in volumes:
            fault(f"{name}: no volume {source}")
        else:
            used.add(source)
        if not target.startswith("/"):
            fault(f"{name}: {target} is no path")
    for port in service.get("ports", []):
        address, outside, _ = port.split(":")
        if address != "127.0.0.1":
            fault(f"{name}: port {outside} is not on loopback")
        if published.setdefault(outside, name) != name:
            fault(f"{name}: port {outside} is taken by {published[outside]}")
    needs = service.get("depends_on", [])
    for other in needs:
        if other not in services:
            fault(f"{name}: depends on {other}, which is not there")
        elif isinstance(needs, dict) and needs[other]["condition"] == "service_healthy":
            if "healthcheck" not in services[other]:
                fault(f"{name}: waits for the health of {other}, which has no check")
for volume in volumes - used:
    fault(f"volume {volume} is not used")

prometheus = yaml.safe_load((HERE / "prometheus.yml").read_text())
mounted = {m.split(":")[1] for m in services["prometheus"]["volumes"]}
for rules in prometheus["rule_files"]:
    if f"/etc/prometheus/{rules}" not in mounted:
        fault(f"prometheus: {rules} is not mounted")
targets = [t for job in prometheus["scrape_configs"] for group in job["static_configs"] for t in group["targets"]]
targets += [t for am in prometheus["alerting"]["alertmanagers"] for g in am["static_configs"] for t in g["targets"]]
source = yaml.safe_load((HERE / "grafana-datasource.yml").read_text())["datasources"][0]
targets.append(source["url"].removeprefix("http://"))
for target in targets:
    if target.split(":")[0] not in services:
        fault(f"{target} is no service")
for board in (HERE.parent / "grafana").glob("*.json"):
    json.loads(board.read_text())

with tempfile.TemporaryDirectory() as folder:
    log = pathlib.Path(folder) / "app.log"
    subprocess.run([sys.executable, HERE / "app.py", log, "300"], check=True)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    kinds = {line["event_type"] for line in lines}
    if len(lines) != 300 or kinds != {"http_request", "tool_call"}:
        fault(f"the sample application wrote {len(lines)} lines of {kinds}")
    if len(sys.argv) > 1:
        said = subprocess.run([sys.argv[1], "report", "--json", log], check=True, capture_output=True).stdout
        report = json.loads(said)
        if report["lines"] != 300 or report["unread"] or not report["tools"]["top"]:
            fault(f"logweir report does not read the sample application's log: {report}")

for text in faults:
    print("packaging/demo:", text, file=sys.stderr)
print(f"packaging/demo: {len(services)} services, {len(faults)} faults")
sys.exit(bool(faults))
