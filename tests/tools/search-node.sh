#!/bin/bash
# search-node.sh elasticsearch|opensearch PORT DIR [-Esetting=value ...]
#
# Runs one real node in the foreground, on loopback only.
#
#   PORT   of its HTTP
#   DIR    the node's own folder (data, config, logs, tmp, tls), made if missing; given again: the same node, its
#          data kept. To be told from a folder that is not ours it must be empty or an earlier node's.
#   -E...  settings, which win over those made here
#
# Prints "READY http://127.0.0.1:PORT" (https with SECURE=1) when the node answers and its health is
# WAIT or better; anything that goes wrong is told on standard error with exit status 1.
# SIGTERM or SIGINT stops the node with its children (exit status 0). Should this script be killed by
# SIGKILL the node stops as well. DIR/server.pid is the server's process (to kill -9 it, say),
# DIR/out.log what it printed. Leaves DIR, which belongs to nobody when started by root.
#
# Environment:
#   SECURE=1         Elasticsearch only: TLS and basic auth. CA: DIR/tls/ca.crt; users of the file realm:
#                    logweir (may do everything) and logweir-writer (create, templates and monitor only), both
#                    with the password logweir-secret
#   HEAP=512m        heap of the server
#   WAIT=yellow      the health to wait for (green: also the replicas)
#   START_TIMEOUT=180  seconds until it must be READY
#   LOGWEIR_TEST_CACHE   where install.sh has put the engines (default: target/test-tools of the checkout)
#
# Three nodes: in parallel, each with -Ecluster.name=c3 -Enode.name=nK -Etransport.port=TK
#   -Ediscovery.seed_hosts=127.0.0.1:T1,127.0.0.1:T2,127.0.0.1:T3 -Ecluster.initial_master_nodes=n1,n2,n3
#   (the last one left out on a restart).
# Needs what tests/tools/install.sh installs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${LOGWEIR_TEST_CACHE:-$here/../../target/test-tools}
die() {
    printf 'search-node: %s\n' "$*" >&2
    exit 1
}
usage() {
    echo "usage: $0 elasticsearch|opensearch PORT DIR [-Esetting=value ...]" >&2
    exit 2
}

[ $# -ge 3 ] || usage
engine=$1 port=$2 dir=$3
shift 3
case $engine in elasticsearch | opensearch) ;; *) usage ;; esac
case $port in '' | *[!0-9]*) usage ;; esac
for s; do case $s in -E?*=*) ;; *) usage ;; esac; done
secure=${SECURE:-}
if [ "$secure" = 0 ]; then secure=; fi
if [ -n "$secure" ] && [ "$engine" = opensearch ]; then
    die "SECURE=1 is for elasticsearch: this build of OpenSearch has no security module"
fi

# --- what it runs on
run="tests/tools/install.sh search"
if [ ! -x "$cache/$engine/bin/$engine" ]; then die "no $engine in $cache; run $run"; fi
home=$(readlink -f "$cache/$engine")
jdk=$(readlink -f "$cache/$engine-jdk") || true
if [ ! -x "$jdk/bin/java" ]; then die "no Java in $cache/$engine-jdk; run $run"; fi
for tool in curl setpriv; do
    command -v "$tool" >/dev/null || die "$tool is missing; run tests/tools/install.sh"
done
if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then die "port $port is taken"; fi

mkdir -p "$dir"
dir=$(cd "$dir" && pwd -P)
if [ ! -e "$dir/.search-node" ]; then
    [ -z "$(ls -A "$dir")" ] || die "$dir is not empty and no earlier node's folder"
    echo "$engine" >"$dir/.search-node"
fi
[ "$(cat "$dir/.search-node")" = "$engine" ] || die "$dir is a node of $(cat "$dir/.search-node")"
mkdir -p "$dir"/{data,logs,tmp}

# --- configuration: the engine's own, less what writes outside DIR or asks for a module this Java lacks
if [ ! -e "$dir/config/.complete" ]; then
    rm -rf "$dir/config"
    cp -rL "$home/config" "$dir/config"
    chmod -R u+w "$dir/config"
    sed -i -e '/-Xlog:gc/d' -e "s|HeapDumpPath=data|HeapDumpPath=$dir/data|" \
        -e "s|ErrorFile=.*/\?hs_err|ErrorFile=$dir/logs/hs_err|" "$dir/config/jvm.options"
    modules=$("$jdk/bin/java" --list-modules)
    if [[ $modules != *jdk.incubator.vector* ]]; then sed -i '/jdk\.incubator\.vector/d' "$dir/config/jvm.options"; fi
    touch "$dir/config/.complete"
fi

settings=("$@")
setting() { # KEY VALUE   unless the caller has set KEY
    local s
    for s in "${settings[@]}"; do
        if [[ $s == "-E$1="* ]]; then return; fi
    done
    settings+=("-E$1=$2")
}
cluster=
for s; do case $s in -Ediscovery.seed_hosts=* | -Ecluster.initial_master_nodes=*) cluster=1 ;; esac; done
if [ -z "$cluster" ]; then setting discovery.type single-node; fi
setting path.data "$dir/data"
setting path.logs "$dir/logs"
setting http.host 127.0.0.1
setting http.port "$port"
setting transport.host 127.0.0.1
setting transport.port 0

# --- who runs it: both engines refuse root, so nobody does
as=(setpriv --pdeathsig TERM)
if [ "$(id -u)" = 0 ]; then
    chown -R nobody:nogroup "$dir"
    nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs)
    # shellcheck disable=SC2016 # expanded by the inner shell
    reach=(sh -c 'test -r "$1/lib" && test -x "$2/bin/java" && : >"$3/tmp/.reach" && rm "$3/tmp/.reach"' - "$home" "$jdk" "$dir")
    reached=
    # Where nobody cannot get at HOME, DIR or Java (a checkout below /root, say) it is given the one capability
    # that lets it through; no_setuid_fixup, so that access(2), which Java asks, knows of it. Containers often
    # have only the second one.
    for caps in "" +dac_read_search +dac_override; do
        as=("${nobody[@]}")
        if [ -n "$caps" ]; then as+=("--inh-caps=$caps" "--ambient-caps=$caps" --securebits=+no_setuid_fixup); fi
        if (cd / && "${as[@]}" "${reach[@]}") 2>/dev/null; then
            reached=1
            break
        fi
    done
    [ -n "$reached" ] || die "the user nobody cannot reach $home or $dir: set LOGWEIR_TEST_CACHE and DIR to folders everyone can enter"
    as+=(--pdeathsig TERM)
fi

heap=${HEAP:-512m}
unset JAVA_HOME JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS CLASSPATH
if [ "$engine" = opensearch ]; then
    export OPENSEARCH_JAVA_HOME=$jdk OPENSEARCH_PATH_CONF=$dir/config OPENSEARCH_TMPDIR=$dir/tmp OPENSEARCH_JAVA_OPTS="-Xms$heap -Xmx$heap"
else
    export ES_JAVA_HOME=$jdk ES_PATH_CONF=$dir/config ES_TMPDIR=$dir/tmp ES_JAVA_OPTS="-Xms$heap -Xmx$heap"
fi

# --- security
url=http://127.0.0.1:$port
ask=(curl -s -m 5)
if [ -n "$secure" ]; then
    url=https://127.0.0.1:$port
    if [ ! -e "$dir/tls/.complete" ]; then
        "$here/tls.sh" "$dir/tls"
        mkdir -p "$dir/config/tls"
        cp "$dir"/tls/{ca.crt,server.crt,server.key} "$dir/config/tls/"
        printf '%s\n' '' 'logweir_writer:' '  cluster: [ monitor, manage_index_templates ]' '  indices:' \
            "    - names: [ '*' ]" '      privileges: [ create_doc, auto_configure, create_index ]' >>"$dir/config/roles.yml"
        chown -R --reference="$dir/data" "$dir/config" "$dir/tls"
        "${as[@]}" "$home/bin/elasticsearch-users" useradd logweir -p logweir-secret -r superuser >"$dir/out.log" 2>&1 </dev/null || {
            cat "$dir/out.log" >&2
            die "elasticsearch-users failed"
        }
        # the same hash for the second user: one start of Java less
        sed -i 's/^logweir:\(.*\)/&\nlogweir-writer:\1/' "$dir/config/users"
        echo 'logweir_writer:logweir-writer' >>"$dir/config/users_roles"
        chown -R --reference="$dir/data" "$dir/config"
        touch "$dir/tls/.complete"
    fi
    setting xpack.security.enabled true
    setting xpack.security.enrollment.enabled false
    setting xpack.security.http.ssl.enabled true
    setting xpack.security.http.ssl.certificate tls/server.crt
    setting xpack.security.http.ssl.key tls/server.key
    setting xpack.security.http.ssl.certificate_authorities tls/ca.crt
    if [ -n "$cluster" ]; then
        setting xpack.security.transport.ssl.enabled true
        setting xpack.security.transport.ssl.verification_mode none
        setting xpack.security.transport.ssl.certificate tls/server.crt
        setting xpack.security.transport.ssl.key tls/server.key
    fi
    ask+=(--cacert "$dir/tls/ca.crt" --cert "$dir/tls/client.crt" --key "$dir/tls/client.key" -u logweir:logweir-secret)
elif [ "$engine" = elasticsearch ]; then
    setting xpack.security.enabled false
    setting xpack.security.enrollment.enabled false
fi

# --- run
pid=
stop() {
    trap '' TERM INT HUP
    if [ -n "$pid" ]; then
        kill -TERM "$pid" 2>/dev/null || true
        for _ in $(seq 300); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        # the session that setsid made: the launcher, the server and what they started
        kill -KILL -- "-$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    exit "$1"
}
trap 'stop 0' TERM INT HUP
rm -f "$dir/server.pid"
setsid "${as[@]}" "$home/bin/$engine" -p "$dir/server.pid" "${settings[@]}" >"$dir/out.log" 2>&1 </dev/null &
pid=$!

failed() {
    tail -n 15 "$dir/out.log" >&2
    printf 'search-node: %s; see %s\n' "$1" "$dir/out.log" >&2
    stop 1
}
deadline=$((SECONDS + ${START_TIMEOUT:-180}))
while :; do
    kill -0 "$pid" 2>/dev/null || failed "$engine ended before it was ready"
    code=$("${ask[@]}" -o /dev/null -w '%{http_code}' "$url/_cluster/health?wait_for_status=${WAIT:-yellow}&timeout=1s") || true
    if [ "$code" = 200 ]; then break; fi
    if [ "$SECONDS" -ge "$deadline" ]; then failed "not ${WAIT:-yellow} after ${START_TIMEOUT:-180} s (last answer: $code)"; fi
    sleep 0.2
done
echo "READY $url"
rc=0
wait "$pid" || rc=$?
failed "$engine ended by itself (status $rc)"
