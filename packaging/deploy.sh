#!/bin/bash
# deploy.sh [OPTION …] [MANIFEST]
#
# Brings logweir into a Kubernetes cluster: applies the manifest (default: kubernetes/logweir.yaml beside this file), waits
# until every node runs it, asks every agent how it is, and puts back what was there before when one of these fails.
#
#   --namespace NAME   where it runs (default: logweir)
#   --image IMAGE      instead of the manifest's
#   --context NAME     of kubectl's configuration
#   --timeout TIME     for the rollout, such as 90s or 10m (default: 300s)
#   --chart FOLDER     install this Helm chart instead of a manifest
#   --values FILE      for the chart; may be given several times
#   --dry-run          ask the server whether it would take it, and change nothing
#
# Ends with 0: it runs; 1: it does not, and what was there before runs again; 2: the command line is wrong.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
namespace=logweir image='' timeout=300s chart='' manifest='' dry_run=
kube=() values=()

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
        --namespace | --image | --context | --timeout | --chart | --values)
            [ $# -ge 2 ] || usage
            case $1 in
                --namespace) namespace=$2 ;;
                --image) image=$2 ;;
                --context) kube+=(--context "$2") ;;
                --timeout) timeout=$2 ;;
                --chart) chart=$2 ;;
                --values) values+=(--values "$2") ;;
            esac
            shift 2
            ;;
        --dry-run) dry_run=1; shift ;;
        -*) usage ;;
        *) [ -z "$manifest" ] || usage; manifest=$1; shift ;;
    esac
done
manifest=${manifest:-$here/kubernetes/logweir.yaml}

say() { printf '%s\n' "$*" >&2; }
fail() { say "deploy: $*"; exit 1; }
kubectl_() { command kubectl "${kube[@]}" "$@"; }

command -v kubectl >/dev/null || fail "kubectl is not installed"
kubectl_ version >/dev/null 2>&1 || fail "the cluster does not answer (kubectl version); check the context"
[ -n "$chart" ] || [ -r "$manifest" ] || fail "cannot read the manifest $manifest"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

manifest_text() {
    if [ -n "$image" ]; then
        sed -E "s|^( *image:) .*logweir.*|\1 $image|" "$manifest"
    else
        cat "$manifest"
    fi
}

# Every agent says how it is: its process lives (/health answers) and its inputs and journals work (/ready).
healthy() {
    local pods pod path
    pods=$(kubectl_ -n "$namespace" get pods -l app.kubernetes.io/name=logweir \
        --field-selector status.phase=Running -o name) || return 1
    [ -n "$pods" ] || { say "deploy: no agent runs"; return 1; }
    for pod in $pods; do
        pod=${pod#pod/}
        for path in health ready; do
            if ! kubectl_ get --raw "/api/v1/namespaces/$namespace/pods/$pod:9600/proxy/$path" >"$work/answer" 2>&1; then
                say "deploy: $pod does not pass /$path: $(head -c 300 "$work/answer")"
                return 1
            fi
        done
    done
}

why() {
    kubectl_ -n "$namespace" get pods -l app.kubernetes.io/name=logweir -o wide >&2 || true
    kubectl_ -n "$namespace" logs -l app.kubernetes.io/name=logweir --tail=20 --prefix >&2 || true
}

if [ -n "$chart" ]; then
    command -v helm >/dev/null || fail "helm is not installed"
    set_image=()
    [ -z "$image" ] || set_image=(--set "image.repository=${image%:*}" --set "image.tag=${image##*:}")
    arguments=(upgrade --install logweir "$chart" --namespace "$namespace" --create-namespace "${values[@]}" "${set_image[@]}")
    [ -z "$dry_run" ] || { helm "${arguments[@]}" --dry-run=server; exit 0; }
    before=$(helm history logweir --namespace "$namespace" --max 1 2>/dev/null | awk 'END { print $1 }' || true)
    helm "${arguments[@]}" --atomic --wait --timeout "$timeout" || fail "helm put back what was there before"
    healthy && { say "deploy: every agent is well"; exit 0; }
    why
    case $before in
        '' | *[!0-9]*) fail "the agents are not well; there is nothing to go back to, so they stay for you to look at" ;;
    esac
    helm rollback logweir "$before" --namespace "$namespace" --wait --timeout "$timeout"
    fail "the agents were not well; revision $before runs again"
fi

if [ -n "$dry_run" ]; then
    manifest_text | kubectl_ apply --dry-run=server -f -
    exit 0
fi

# What was applied last is what is gone back to.
manifest_text >"$work/new.yaml"
if kubectl_ apply view-last-applied -f "$work/new.yaml" -o yaml >"$work/before.yaml" 2>/dev/null; then
    say "deploy: an older version is there and is kept to go back to"
else
    rm -f "$work/before.yaml"
    say "deploy: nothing is there yet"
fi

roll_back() {
    say "deploy: $1"
    why
    if [ ! -e "$work/before.yaml" ]; then
        fail "there is nothing to go back to, so it stays for you to look at"
    fi
    kubectl_ apply -f "$work/before.yaml" >&2
    kubectl_ -n "$namespace" rollout status daemonset/logweir "--timeout=$timeout" >&2 \
        || fail "what was there before does not come up either: look at the pods"
    fail "what was there before runs again"
}

kubectl_ apply -f "$work/new.yaml" >&2 || roll_back "the server refuses the manifest"
kubectl_ -n "$namespace" rollout status daemonset/logweir "--timeout=$timeout" >&2 || roll_back "the rollout did not end in $timeout"
healthy || roll_back "an agent is not well"
say "deploy: every agent is well"
