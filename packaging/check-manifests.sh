#!/bin/bash
# check-manifests.sh [--binary BINARY]
#
# Checks packaging/helm/logweir and packaging/kubernetes without a cluster, and packaging/demo without an engine: `helm lint --strict` and `helm template` with
# every set of values in packaging/helm/logweir/ci, what they give and the plain manifest against the schemas of the oldest
# and the newest Kubernetes (`kubernetes-validate --strict`), values that the chart must refuse, and that chart and manifest
# say the same. The demo's Compose file is read by the library of `docker compose config`. With --binary also every pipeline
# in them is checked by `logweir check`, and the demo's sample log by `logweir report`. Seconds; installs helm,
# kubernetes-validate and the Compose reader where they are missing (minutes, once). Against a real API server:
# tests/long/kubernetes.sh.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
binary=
while [ $# -gt 0 ]; do
    case $1 in
    --binary) binary=$(realpath "$2"); shift 2 ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
    esac
done
tests/tools/install.sh helm compose
tools=${LOGWEIR_TEST_CACHE:-target/test-tools}
helm=$tools/bin/helm
chart=packaging/helm/logweir
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { printf 'check-manifests: %s\n' "$*" >&2; exit 1; }

for values in "$chart"/ci/*-values.yaml; do
    set=$(basename "$values" -values.yaml)
    "$helm" lint --strict --quiet --kube-version 1.34 "$chart" --values "$values" || die "helm lint with $set"
    "$helm" template logweir "$chart" --kube-version 1.34 --namespace logging --values "$values" >"$work/chart-$set.yaml" || die "helm template with $set"
done
cp packaging/kubernetes/*.yaml "$work/"

# What is no value, or one of the wrong kind, is refused before anything is sent to a cluster.
refused=0
while read -r wrong; do
    if "$helm" template logweir "$chart" --kube-version 1.34 --set "$wrong" >/dev/null 2>"$work/why"; then die "the chart takes $wrong"; fi
    grep -q 'values don.t meet the specifications of the schema' "$work/why" || die "$wrong: $(cat "$work/why")"
    refused=$((refused + 1))
done <<'END'
imagee.tag=1
image.repository=
image.digest=sha1:abc
image.pullPolicy=Sometimes
pipelines.Has_Capitals=x
pipelines.empty=
memoryMax=128M
logFormat=xml
admin.port=0
admin.port=70000
terminationGracePeriodSeconds=5
stateHostPath=var
logHostPaths={log}
envFromSecrets={a,a}
podMonitor.interval=often
gateway.replicas=0
gateway.ports[0].name=Beats
gateway.ports[0].port=x
END
echo "helm: $refused wrong values are refused"

python=$tools/kubernetes-validate/bin/python
"$python" packaging/check_manifests.py "$work" "${binary:--}"

"$tools/bin/compose-config" packaging/demo/compose.yaml
if sed 's/^    image:/    imagee:/' packaging/demo/compose.yaml | "$tools/bin/compose-config" - >"$work/why" 2>&1; then die "a wrong Compose file passes"; fi
grep -q imagee "$work/why" || die "the Compose reader: $(cat "$work/why")"
"$python" packaging/demo/check.py ${binary:+"$binary"}
