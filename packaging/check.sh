#!/bin/bash
# check.sh [--live BINARY]
#
# Checks what is in packaging/prometheus, alertmanager and grafana with the real tools: promtool (configuration, rules,
# and a test for every alert), amtool (configuration, templates, who hears what), and the dashboards' queries with
# Prometheus' own parser. With --live the agent is started with pipelines/mcp-metrics.toml and scraped by a real
# Prometheus for a few seconds, and every query of every dashboard has to give data. Installs what is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=
while [ $# -gt 0 ]; do
    case $1 in
        --live) binary=$(realpath "$2"); shift 2 ;;
        *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
    esac
done

"$here/../tests/tools/install.sh" monitoring

cd "$here"
promtool check config --syntax-only prometheus/prometheus.yml
promtool check rules prometheus/*.recording.yml prometheus/*.alerts.yml
promtool test rules prometheus/tests/*.yml

# Every alert has a test, and a place in the handbook: the agent's own ones lead to a chapter, the others are in a table.
faults=0
while read -r alert; do
    grep -q "alertname=\"$alert\"" prometheus/tests/*.yml || { echo "no test: $alert" >&2; faults=1; }
done < <(sed -n 's/^ *- alert: //p' prometheus/*.alerts.yml)
while read -r alert; do
    grep -q "^| \`$alert\` |" ../docs/operations.md || { echo "not in docs/operations.md: $alert" >&2; faults=1; }
done < <(sed -n 's/^ *- alert: //p' prometheus/application.alerts.yml)
[ "$(grep -c '^ *- alert: ' prometheus/logweir.alerts.yml)" = "$(grep -c 'runbook_url: ' prometheus/logweir.alerts.yml)" ] \
    || { echo "an alert of the agent leads nowhere" >&2; faults=1; }
while read -r anchor; do
    grep -qix "### $anchor" ../docs/operations.md || { echo "not in docs/operations.md: $anchor" >&2; faults=1; }
done < <(sed -n 's/^ *runbook_url: docs\/operations.md#//p' prometheus/logweir.alerts.yml | sort -u)
[ "$faults" = 0 ]

amtool check-config alertmanager/alertmanager.yml
hears() { # RECEIVERS LABEL=VALUE …
    local expected=$1 found
    shift
    found=$(amtool config routes test --config.file=alertmanager/alertmanager.yml "$@" 2>/dev/null)
    [ "$found" = "$expected" ] || { echo "$*: heard by $found, not $expected" >&2; exit 1; }
    echo "$* -> $found"
}
hears pager,chat-logging severity=critical service=logweir
hears pager,chat-mcp severity=critical service=mcp-server
hears pager severity=critical service=infrastructure
hears chat-logging severity=warning service=logweir
hears chat-mcp severity=warning service=mcp-server
hears chat severity=warning service=infrastructure
hears mail service=other

python3 check_dashboards.py grafana/*.json
[ -n "$binary" ] || exit 0

# --live
work=$(mktemp -d)
started=()
# shellcheck disable=SC2317 # called by the trap
finish() {
    for id in "${started[@]}"; do kill "$id" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
agent=127.0.0.1:19600 server=127.0.0.1:19090
mkdir "$work/rules"
cp prometheus/*.recording.yml prometheus/*.alerts.yml "$work/rules"
cat >"$work/prometheus.yml" <<END
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["$work/rules/*.yml"]
scrape_configs:
  - job_name: logweir
    static_configs: [{ targets: ["$agent"] }]
END
lines() {
    local now method
    for n in 1 2 3 4 5 6 7 8 9 10; do
        now=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ) method=$([ $((n % 3)) = 0 ] && echo POST || echo GET)
        printf '{"timestamp":"%s","level":"INFO","event_type":"http_request","method":"%s","path":"/api/%d","status_code":%d,"duration_ms":%d}\n' \
            "$now" "$method" $((n % 2)) $((n == 7 ? 500 : 200)) $((n * 40))
        printf '{"timestamp":"%s","level":"INFO","event_type":"tool_call","tool_name":"search","success":%s,"duration_ms":%d}\n' \
            "$now" "$([ "$n" = 3 ] && echo false || echo true)" $((n * 90))
    done >>"$work/app.log"
}
lines
# Nobody listens at port 9: requests without an answer are data, too.
LOGS=$work ELASTICSEARCH_URL=http://127.0.0.1:9 \
    "$binary" run --data-dir "$work/data" --admin "$agent" ../pipelines/mcp-metrics.toml 2>"$work/agent.log" &
started+=($!)
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address="$server" \
    >"$work/prometheus.log" 2>&1 &
started+=($!)
for _ in $(seq 60); do
    lines
    sleep 1
    if python3 check_dashboards.py --prometheus "http://$server" grafana/*.json >"$work/result" 2>&1; then
        cat "$work/result"
        exit 0
    fi
done
cat "$work/result" >&2
tail -n 5 "$work/agent.log" "$work/prometheus.log" >&2
exit 1
