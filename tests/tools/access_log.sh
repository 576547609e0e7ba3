#!/bin/bash
# access_log.sh DIR COUNT [create|copytruncate|compress] [--rate N] [--rotations N] [--json]
#
# Makes a real nginx access log: a private nginx-light serves COUNT requests over keep-alive connections
# and the real logrotate rotates the log while they come.
#
#   DIR      the folder of this nginx, made if missing; its files/, conf/ and logs/ are ours
#   COUNT    requests. Request K asks for "...?seq=K", so each line of the log tells its number once
#   mode     create        rename, a new file, USR1 to nginx (the default; what Debian's own nginx does)
#            copytruncate  copy, then truncate the open file; lines written in between are lost, by its nature
#            compress      as create, and gzip at once
#   --rate N        requests a second, 0 (default): as fast as it goes
#   --rotations N   how many, spread evenly over the run (default 1, at most 9)
#   --json          a JSON log (escape=json, time_iso8601) instead of the combined one
#
# Leaves DIR/logs/access.log, access.log.1 (.1.gz), ..., error.log; nginx is stopped. Prints one line of JSON:
# {"port", "sent", "lines" (in all the files together), "lost", "duplicates", "files"}.
# Exit status 0: every line is there once (with copytruncate: no duplicates), the rotations happened, nginx is gone.
# Works as root and as a user. Needs what tests/tools/install.sh packages installs.
set -euo pipefail

usage() {
    echo "usage: $0 DIR COUNT [create|copytruncate|compress] [--rate N] [--rotations N] [--json]" >&2
    exit 2
}
die() {
    printf 'access_log: %s\n' "$*" >&2
    exit 1
}
PATH=$PATH:/usr/sbin:/sbin
[ $# -ge 2 ] || usage
dir=$1 count=$2
shift 2
mode=create rate=0 rotations=1 json=
while [ $# -gt 0 ]; do
    case $1 in
    create | copytruncate | compress) mode=$1 ;;
    --rate | --rotations)
        [ $# -ge 2 ] || usage
        case $1 in --rate) rate=$2 ;; *) rotations=$2 ;; esac
        shift
        ;;
    --json) json=1 ;;
    *) usage ;;
    esac
    shift
done
for number in "$count" "$rate" "$rotations"; do
    case $number in '' | *[!0-9]*) usage ;; esac
done
if [ "$rotations" -gt 9 ]; then usage; fi
for tool in nginx logrotate python3; do
    command -v "$tool" >/dev/null || die "$tool is missing; run tests/tools/install.sh packages"
done

mkdir -p "$dir"/{conf,logs,files/static,temp}
dir=$(cd "$dir" && pwd -P)
conf=$dir/conf
if compgen -G "$dir/logs/access.log*" >/dev/null; then die "$dir/logs holds the logs of an earlier run"; fi
echo '<h1>hello</h1>' >"$dir/files/index.html"
head -c 2000 /dev/zero | tr '\0' 'x' >"$dir/files/static/app.js"
# logrotate refuses folders and files that others may write to
chmod 755 "$dir/logs" "$dir/conf"

user=
if [ "$(id -u)" = 0 ]; then user='user root;'; fi # the workers read DIR wherever it lies
format=combined
if [ -n "$json" ]; then format=as_json; fi
write_config() { # PORT
    cat >"$conf/nginx.conf" <<CONF
$user
daemon off;
master_process on;
worker_processes 2;
pid $dir/nginx.pid;
error_log $dir/logs/error.log notice;
events { worker_connections 256; }
http {
    log_format as_json escape=json '{"time":"\$time_iso8601","remote_addr":"\$remote_addr","request":"\$request","status":\$status,'
        '"body_bytes_sent":\$body_bytes_sent,"request_time":\$request_time,"http_referer":"\$http_referer","http_user_agent":"\$http_user_agent"}';
    access_log $dir/logs/access.log $format;
    client_body_temp_path $dir/temp/body;
    proxy_temp_path $dir/temp/proxy;
    fastcgi_temp_path $dir/temp/fastcgi;
    uwsgi_temp_path $dir/temp/uwsgi;
    scgi_temp_path $dir/temp/scgi;
    keepalive_requests 100000;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;
    server {
        listen 127.0.0.1:$1;
        root $dir/files;
        location /api/ { return 201 "made\n"; }
        location /fail { return 500; }
        location /moved { return 301 /; }
    }
}
CONF
}

nginx_pid=
finish() {
    if [ -n "$nginx_pid" ] && kill -0 "$nginx_pid" 2>/dev/null; then
        kill -QUIT "$nginx_pid" 2>/dev/null || true
        for _ in $(seq 100); do
            kill -0 "$nginx_pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$nginx_pid" 2>/dev/null || true
    fi
    if [ -n "$nginx_pid" ]; then wait "$nginx_pid" 2>/dev/null || true; fi
    nginx_pid=
}
trap finish EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# A free port may be gone by the time nginx binds it: then another one.
port=
for _ in 1 2 3 4 5; do
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    write_config "$port"
    setpriv --pdeathsig TERM nginx -p "$dir" -e "$dir/logs/error.log" -c "$conf/nginx.conf" >"$dir/nginx.out" 2>&1 </dev/null &
    nginx_pid=$!
    for _ in $(seq 100); do
        kill -0 "$nginx_pid" 2>/dev/null || break
        if [ -s "$dir/nginx.pid" ] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break 2; fi
        sleep 0.05
    done
    finish
    port=
done
[ -n "$port" ] || die "nginx does not start: $(tail -n 3 "$dir/nginx.out")"

{
    echo "$dir/logs/access.log {"
    printf '    rotate 10\n    missingok\n    nodateext\n'
    case $mode in
    copytruncate) printf '    copytruncate\n    nocompress\n' ;;
    compress) printf '    create 0644\n    compress\n    nodelaycompress\n' ;;
    *) printf '    create 0644\n    nocompress\n' ;;
    esac
    if [ "$mode" != copytruncate ]; then
        # The signal returns before the workers have the new file; gzip must not take the old one before that.
        printf '    postrotate\n        kill -USR1 %s\n        sleep 0.5\n    endscript\n' "$nginx_pid"
    fi
    echo "}"
} >"$conf/logrotate.conf"
chmod 644 "$conf/logrotate.conf"

rc=0
python3 - "$dir" "$port" "$count" "$rate" "$rotations" <<'PY' || rc=$?
"""Sends the requests and calls logrotate between them."""
import http.client
import random
import subprocess
import sys
import threading
import time

folder, port, count, rate, rotations = sys.argv[1], *map(int, sys.argv[2:])
rnd = random.Random(7)
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Safari/537.36", "curl/8.5.0",
          'odd "quoted" \\ agent', "агент/1.0".encode().decode("latin-1"), None)
PATHS = ("/", "/static/app.js", "/api/v1/items", "/missing", "/fail", "/moved", "/%E4%BD%A0%E5%A5%BD", "/a%22b")
done = 0
problems = []


def rotate():
    r = subprocess.run(["logrotate", "-f", "-s", folder + "/conf/logrotate.state", folder + "/conf/logrotate.conf"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode:
        problems.append("logrotate: %d %s" % (r.returncode, r.stdout))


def rotator():
    for k in range(1, rotations + 1):
        while done < k * count // (rotations + 1) and not problems:
            time.sleep(0.002)
        rotate()


thread = threading.Thread(target=rotator)
thread.start()
connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(4)]
begin = time.monotonic()
try:
    for seq in range(count):
        c = connections[seq % len(connections)]
        headers = {"X-Real-IP": "203.0.113.%d" % rnd.randrange(1, 255)}
        agent = rnd.choice(AGENTS)
        if agent:
            headers["User-Agent"] = agent
        if rnd.random() < 0.5:
            headers["Referer"] = "https://example.com/page?x=%d" % rnd.randrange(99)
        path = rnd.choice(PATHS)
        if path.startswith("/api/"):
            c.request("POST", "%s?seq=%d" % (path, seq), b'{"a":1}', headers)
        else:
            c.request(rnd.choice(("GET", "GET", "HEAD")), "%s?seq=%d" % (path, seq), headers=headers)
        c.getresponse().read()
        done = seq + 1
        if rate:
            time.sleep(max(0.0, begin + done / rate - time.monotonic()))
except Exception as e:
    problems.append(repr(e))
done = count
thread.join()
if problems:
    sys.exit("access_log: " + "; ".join(problems))
PY
[ "$rc" = 0 ] || die "the run failed"
finish

python3 - "$dir" "$port" "$count" "$rotations" "$mode" <<'PY'
"""Counts what the log files hold."""
import collections
import glob
import gzip
import json
import os
import re
import sys

folder, port, count, rotations, mode = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
seen, lines, files = collections.Counter(), 0, []
for name in sorted(glob.glob(folder + "/logs/access.log*")):
    with (gzip.open if name.endswith(".gz") else open)(name, "rb") as f:
        for line in f:
            lines += 1
            m = re.search(rb"\?seq=(\d+) HTTP", line)
            seen[int(m.group(1)) if m else None] += 1
    files.append(os.path.basename(name))
lost = sum(1 for k in range(count) if not seen[k])
duplicates = sum(v - 1 for v in seen.values() if v > 1)
strange = seen[None]
print(json.dumps({"port": port, "sent": count, "lines": lines, "lost": lost, "duplicates": duplicates, "files": files}))
ok = duplicates == 0 and strange == 0 and len(files) == rotations + 1 and (mode == "copytruncate" or lost == 0)
sys.exit(0 if ok else "access_log: not as expected (%d lines without a number)" % strange)
PY
