#!/bin/bash
# kubernetes.sh [--keep FOLDER]
#
# The manifests, the chart and the filter `kubernetes` against a real API server: starts etcd and kube-apiserver (with
# RBAC and strict validation), applies packaging/kubernetes and installs, upgrades, rolls back and removes the chart; then
# the agent runs as the manifest says (its arguments, pipelines, mounts, capabilities and service account) while pods are
# made, labelled, annotated, replaced and deleted and write logs, the API server is away, rights are taken, tokens are
# replaced and the agent is restarted. Every line must arrive once, with what is right for its pod.
#
# There is no kubelet: this test writes the log files, in the layout of /var/log/pods and /var/log/containers, and what
# the kubelet tells of a pod's containers. Root only (the agent gets a root of its own). About two minutes; the first time
# also the ten that kube-apiserver takes to build. docs/operations.md has the last result.
#
#   --keep FOLDER   leaves the logs of the servers and of the agent there
#
# Environment: LOGWEIR_BINARY, the agent (default: target/debug/logweir, built)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ "$(id -u)" = 0 ] || { echo "kubernetes: run this as root: the agent gets a root of its own" >&2; exit 1; }
tests/tools/install.sh packages helm kubernetes
export LOGWEIR_TEST_CACHE=${LOGWEIR_TEST_CACHE:-$PWD/target/test-tools}
if [ -z "${LOGWEIR_BINARY:-}" ]; then
    "${CARGO:-cargo}" build --locked --quiet
    export LOGWEIR_BINARY=$PWD/target/debug/logweir
fi
exec "$LOGWEIR_TEST_CACHE/kubernetes-validate/bin/python" tests/long/kubernetes.py "$@"
