"""The manifests, the chart and the filter `kubernetes` against a real API server; see kubernetes.sh."""

import collections
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

import yaml

import bulk

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
CACHE = pathlib.Path(os.environ["LOGWEIR_TEST_CACHE"]).resolve()
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# A second pipeline, for pods that name it.
AUDIT = """
[inputs.containers]
type = "file"
paths = ["/var/log/containers/*.log"]
codec = "container"

[[filters]]
type = "kubernetes"
pipeline = "audit"
labels = ["*"]
annotations = ["team/*"]
cluster = "test"

[outputs.logs]
type = "elasticsearch"
hosts = ["${ELASTICSEARCH_URL}"]
index = "audit"
"""
started = time.monotonic()
home = pathlib.Path(tempfile.mkdtemp(prefix="logweir-kubernetes-"))


def say(text):
    print(f"{time.monotonic() - started:4.0f} s  {text}", flush=True)


def check(condition, what, more=""):
    if not condition:
        sys.exit(f"kubernetes: not so: {what}\n{more}")
    say(f"ok: {what}")


def until(what, condition, seconds=90):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            sys.exit(f"kubernetes: waited {seconds} s in vain: {what}")
        time.sleep(0.1)
    return value


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*command, **more):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)


class Cluster:
    """etcd and kube-apiserver on loopback."""

    def __init__(self):
        self.port, self.etcd_ports = free_port(), (free_port(), free_port())
        self.tls = home / "tls"
        run("bash", ROOT / "tests/tools/tls.sh", self.tls, check=True)
        run("openssl", "genrsa", "-out", home / "accounts.key", "2048", check=True)
        (home / "tokens.csv").write_text("admin-token,admin,1,system:masters\n")
        self.context = ssl.create_default_context(cafile=str(self.tls / "ca.crt"))
        self.etcd = self.server = None
        (home / "kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url(), "certificate-authority": str(self.tls / "ca.crt")}}],
            "users": [{"name": "admin", "user": {"token": "admin-token"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}]}))
        self.environment = {"PATH": f"{CACHE / 'bin'}:{os.environ['PATH']}", "HOME": str(home), "KUBECONFIG": str(home / "kubeconfig")}

    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def start_etcd(self):
        client, peer = (f"http://127.0.0.1:{port}" for port in self.etcd_ports)
        self.etcd = subprocess.Popen(
            ["etcd", "--data-dir", home / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"],
            stdin=subprocess.DEVNULL, stdout=open(home / "etcd.log", "ab"), stderr=subprocess.STDOUT)

    def start(self):
        # Debian's etcd cannot tell its progress, which the newer way to watch needs.
        self.server = subprocess.Popen(
            [CACHE / "bin/kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.etcd_ports[0]}", "--bind-address=127.0.0.1",
             "--advertise-address=127.0.0.1", f"--secure-port={self.port}", f"--tls-cert-file={self.tls / 'server.crt'}",
             f"--tls-private-key-file={self.tls / 'server.key'}", f"--token-auth-file={home / 'tokens.csv'}",
             "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
             f"--service-account-key-file={home / 'accounts.key'}", f"--service-account-signing-key-file={home / 'accounts.key'}",
             "--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none", "--feature-gates=WatchList=false"],
            stdin=subprocess.DEVNULL, stdout=open(home / "kube-apiserver.log", "ab"), stderr=subprocess.STDOUT)
        until("the API server is ready", self.is_ready, 180)

    def stop(self):
        self.server.kill()
        self.server.wait()

    def restart(self):
        self.stop()
        self.start()

    def is_ready(self):
        if self.server.poll() is not None:
            sys.exit("kubernetes: kube-apiserver ended: " + (home / "kube-apiserver.log").read_text()[-2000:])
        try:
            return self.ask("GET", "/readyz", token="admin-token", raw=True) == "ok"
        except OSError:
            return False

    def ask(self, method, path, body=None, token="admin-token", kind="application/json", raw=False):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url() + path, data, method=method)
        request.add_header("Authorization", f"Bearer {token}")
        request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.context) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            if raw:
                raise
            sys.exit(f"kubernetes: {method} {path}: {error.code} {error.read().decode()[:600]}")
        return text if raw else json.loads(text)

    def kubectl(self, *arguments, **more):
        return run(CACHE / "bin/kubectl", *arguments, env=self.environment, **more)

    def etcdctl(self, *arguments):
        endpoint = f"--endpoints=http://127.0.0.1:{self.etcd_ports[0]}"
        return run("etcdctl", endpoint, *arguments, check=True, env=os.environ | {"ETCDCTL_API": "3"}).stdout

    def revision(self):
        return json.loads(self.etcdctl("endpoint", "status", "-w", "json"))[0]["Status"]["header"]["revision"]

    def helm(self, *arguments):
        return run(CACHE / "bin/helm", *arguments, env=self.environment)

    def token(self):
        return self.kubectl("create", "token", "logweir", "--namespace", "logweir", "--duration", "1h", check=True).stdout.strip()


class Pod:
    """A pod of the API server, and what a kubelet does for its logs."""

    def __init__(self, cluster, name, labels=None, annotations=None, node="node-a", containers=("app",), owner=None, namespace="shop"):
        self.cluster, self.name, self.namespace = cluster, name, namespace
        metadata = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
        if owner:
            kind, owner_name = owner
            metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": kind, "name": owner_name, "uid": str(uuid.uuid4()), "controller": True}]
        self.images = {c: f"registry.example:5000/{c}:1.{n}" for n, c in enumerate(containers)}
        self.ids = {c: uuid.uuid4().hex * 2 for c in containers}
        made = cluster.ask("POST", f"/api/v1/namespaces/{namespace}/pods", {
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"nodeName": node, "containers": [{"name": c, "image": image} for c, image in self.images.items()]}})
        self.uid = made["metadata"]["uid"]

    def path(self):
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    def runs(self):
        """What the kubelet tells once the containers run."""
        statuses = [{"name": c, "image": image, "imageID": "", "ready": True, "restartCount": 0, "containerID": f"containerd://{self.ids[c]}",
                     "state": {"running": {"startedAt": "2026-11-29T10:00:00Z"}}} for c, image in self.images.items()]
        self.patch({"status": {"phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "containerStatuses": statuses}}, "/status")
        return self

    def patch(self, body, part=""):
        self.cluster.ask("PATCH", self.path() + part, body, kind="application/merge-patch+json")

    def delete(self):
        self.cluster.ask("DELETE", self.path(), {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})

    def write(self, text, container=None, stream="stdout", parts=1):
        """A line of a container, in CRI form, in as many parts as are wanted."""
        container = container or next(iter(self.images))
        folder = home / "log/pods" / f"{self.namespace}_{self.name}_{self.uid}" / container
        folder.mkdir(parents=True, exist_ok=True)
        size = -(-len(text) // parts)
        with open(folder / "0.log", "a") as log:
            for n in range(parts):
                now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"
                log.write(f"{now} {stream} {'F' if n == parts - 1 else 'P'} {text[n * size:(n + 1) * size]}\n")
        link = home / "log/containers" / f"{self.name}_{self.namespace}_{container}-{self.ids[container]}.log"
        if not link.is_symlink():
            link.symlink_to(f"/var/log/pods/{folder.parent.name}/{container}/0.log")

    def path_only(self, container=None):
        """What events have while the API server knows nothing of the pod."""
        container = container or next(iter(self.images))
        return {"kubernetes": {"namespace": self.namespace, "pod": {"name": self.name}, "container": {"name": container}},
                "container": {"id": self.ids[container]}}

    def known(self, container=None, node="node-a", ip="10.1.2.3", **more):
        container = container or next(iter(self.images))
        name, tag = self.images[container].rsplit(":", 1)
        pod = {"name": self.name, "uid": self.uid} | ({"ip": ip} if ip else {})
        runtime = {"runtime": "containerd", "image": {"name": name, "tag": [tag]}} if ip else {}
        return {"kubernetes": {"namespace": self.namespace, "pod": pod, "container": {"name": container}, "node": {"name": node}} | more,
                "container": {"id": self.ids[container]} | runtime,
                "orchestrator": {"type": "kubernetes", "namespace": self.namespace}}


class Agent:
    """The agent as the DaemonSet says, in a root of its own with the mounts that it says."""

    def __init__(self, cluster, daemonset, pipelines, sink):
        self.cluster, self.process, self.peak = cluster, None, 0
        pod = daemonset["spec"]["template"]["spec"]
        self.container, self.volumes = pod["containers"][0], pod["volumes"]
        self.admin = free_port()
        security = self.container["securityContext"]
        self.kept = [name.lower() for name in security["capabilities"]["add"]]
        check(security["capabilities"]["drop"] == ["ALL"] and not security["allowPrivilegeEscalation"] and security["readOnlyRootFilesystem"],
              f"the manifest drops all capabilities but {self.kept}, and its root is read-only")
        (home / "pipelines").mkdir()
        for name, text in pipelines.items():
            (home / "pipelines" / name).write_text(text)
        for folder in ("account", "state", "docker", "log/containers", "log/pods"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(cluster.tls / "ca.crt", home / "account/ca.crt")
        (home / "account/namespace").write_text("logweir")
        (home / "account/token").write_text(cluster.token())
        self.environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(cluster.port)}
        for variable in self.container["env"]:
            field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            check(field in (None, "spec.nodeName"), f"{variable['name']} is {variable.get('value') or field}")
            self.environment[variable["name"]] = variable.get("value") or "node-a"
        self.environment["ELASTICSEARCH_URL"] = f"http://127.0.0.1:{sink.server_address[1]}"
        self.arguments = [f"127.0.0.1:{self.admin}" if part == "0.0.0.0:9600" else part for part in self.container["args"]]

    def start(self):
        sources = {"/var/lib/logweir": "state", "/var/log": "log", "/var/lib/docker/containers": "docker"}
        places = {volume["name"]: home / sources[volume["hostPath"]["path"]] if "hostPath" in volume else home / "pipelines"
                  for volume in self.volumes}
        root = home / "root"
        lines = ["set -e", f"mount -t tmpfs none {root}"]
        mounts = [(places[m["name"]], m["mountPath"], m.get("readOnly", False)) for m in self.container["volumeMounts"]]
        # Where Kubernetes mounts the service account; /usr and /dev are this machine's, for a binary that is not static.
        mounts += [(home / "account", ACCOUNT, True), ("/usr", "/usr", True), ("/dev", "/dev", False), ("/proc", "/proc", False)]
        for source, target, read_only in mounts:
            lines += [f"mkdir -p {root}{target}", f"mount --rbind {source} {root}{target}"]
            if read_only:
                lines.append(f"mount -o remount,bind,ro {root}{target}")
        lines += [f"ln -s usr/lib usr/lib64 usr/bin {root}/", f"install -m 755 {os.environ['LOGWEIR_BINARY']} {root}/logweir",
                  f"mount -o remount,ro {root}", f"cd {root}",
                  "exec chroot . setpriv --no-new-privs --inh-caps=-all --bounding-set=-all," + ",".join(f"+{name}" for name in self.kept)
                  + " /logweir " + " ".join(self.arguments)]
        root.mkdir(exist_ok=True)
        self.process = subprocess.Popen(["unshare", "--mount", "--propagation=private", "bash", "-c", "\n".join(lines)],
                                        env=self.environment | {"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(home / "agent.log", "ab"))
        until("the probes of the manifest answer", self.is_well, 30)

    def is_well(self):
        check_ = [self.container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
        if self.process.poll() is not None:
            sys.exit("kubernetes: the agent ended: " + self.log()[-2000:])
        return all(self.get(path) is not None for path in check_)

    def stop(self):
        self.peak = max(self.peak, self.memory())
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def memory(self):
        """The most memory that it has taken up so far, in MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) >> 10

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metric(self, name):
        """The sum over pipelines."""
        found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", self.get("/metrics") or "", re.M)
        return sum(float(value) for value in found)

    def log(self):
        return (home / "agent.log").read_text(errors="replace")


def accepted(cluster):
    """Everything in packaging/kubernetes is taken, and a mistake is not."""
    folder = PACKAGING / "kubernetes"
    text = "\n---\n".join(path.read_text() for path in sorted(folder.glob("*.yaml")))
    objects = [document for document in yaml.safe_load_all(text) if document]
    done = cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", folder)
    lines = done.stdout.splitlines()
    check(done.returncode == 0 and len(lines) == len(objects) and all(line.endswith("serverside-applied") for line in lines),
          f"all {len(objects)} objects of packaging/kubernetes are accepted", done.stdout + done.stderr)
    check("Warning" not in done.stderr, "without a warning", done.stderr)
    for wrong in ("readOnlyRootFilesytem", "periodSecond"):
        right = {"readOnlyRootFilesytem": "readOnlyRootFilesystem", "periodSecond": "periodSeconds"}[wrong]
        done = cluster.kubectl("apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-", input=text.replace(right, wrong))
        check(done.returncode != 0 and wrong in done.stderr, f"a manifest with {wrong} is refused", done.stdout + done.stderr)
    done = run("bash", PACKAGING / "deploy.sh", "--dry-run", env=cluster.environment)
    check(done.returncode == 0 and done.stdout.count("server dry run") == len(objects), "packaging/deploy.sh --dry-run", done.stdout + done.stderr)
    daemonset = json.loads(cluster.kubectl("-n", "logweir", "get", "daemonset", "logweir", "-o", "json", check=True).stdout)
    template = daemonset["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | {"name": "logweir-x"}, "spec": template["spec"] | {"nodeName": "node-a"}}
    done = cluster.kubectl("-n", "logweir", "create", "--dry-run=server", "-o", "json", "-f", "-", input=json.dumps(pod))
    check(done.returncode == 0 and "Warning" not in done.stderr, "a pod of the DaemonSet is admitted without a warning", done.stderr)
    mounts = json.loads(done.stdout)["spec"]["containers"][0]["volumeMounts"]
    check(any(mount["mountPath"] == ACCOUNT for mount in mounts), f"and gets its account's token at {ACCOUNT}")
    return daemonset


def least_rights(cluster):
    """The account may read pods, and nothing else that not everybody may."""
    def rules(user):
        token = user if user != "everybody" else cluster.kubectl("create", "token", "default", "-n", "shop", check=True).stdout.strip()
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "kube-system"}}
        found = cluster.ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body, token=token)["status"]
        return {json.dumps(rule, sort_keys=True) for rule in found["resourceRules"]}

    own = [json.loads(rule) for rule in rules(cluster.token()) - rules("everybody")]
    check(own == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}], "its account may get, list and watch pods, and nothing else", own)


def charted(cluster):
    """The chart is installed, upgraded, rolled back and removed."""
    chart = PACKAGING / "helm/logweir"
    cluster.kubectl("apply", "--server-side", "-f", CACHE / "podmonitors.yaml", check=True)
    until("PodMonitor is known", lambda: cluster.kubectl("get", "podmonitors", "-A").returncode == 0)
    sets = sorted((chart / "ci").glob("*-values.yaml"))
    cluster.kubectl("create", "namespace", "chart", check=True)
    for values in sets:
        text = cluster.helm("template", "logweir", chart, "--kube-version", "1.34", "--namespace", "chart", "--values", values).stdout
        kinds = collections.Counter(document["kind"] for document in yaml.safe_load_all(text) if document)
        done = cluster.kubectl("apply", "--server-side", "--validate=strict", "--dry-run=server", "-n", "chart", "-f", "-", input=text)
        check(done.returncode == 0 and len(done.stdout.splitlines()) == kinds.total() and "Warning" not in done.stderr,
              f"the chart with {values.name}: {kinds.total()} objects are accepted ({', '.join(sorted(kinds))})", done.stdout + done.stderr)

    def has():
        got = cluster.kubectl("-n", "chart", "get", "daemonset,statefulset,configmap,service,pdb,networkpolicy,podmonitor,serviceaccount", "-l",
                              "app.kubernetes.io/instance=logweir", "-o", "name", check=True)
        return sorted(got.stdout.split())

    def step(*arguments):
        done = cluster.helm(*arguments)
        check(done.returncode == 0, f"helm {' '.join(str(a) for a in arguments[:3])}", done.stdout + done.stderr)

    step("install", "logweir", chart, "--namespace", "chart")
    first = has()
    step("upgrade", "logweir", chart, "--namespace", "chart", "--values", chart / "ci/everything-values.yaml")
    check(len(has()) > len(first), f"the upgrade made {', '.join(sorted(set(has()) - set(first)))}")
    step("rollback", "logweir", "1", "--namespace", "chart")
    check(has() == first, "the roll-back left what was there first", has())
    step("uninstall", "logweir", "--namespace", "chart")
    check(not has(), "nothing is left after the removal", has())
    done = run("bash", PACKAGING / "deploy.sh", "--dry-run", "--chart", chart, "--namespace", "chart", env=cluster.environment)
    check(done.returncode == 0 and "kind: DaemonSet" in done.stdout, "packaging/deploy.sh --dry-run --chart", done.stdout + done.stderr)


class Lines:
    """Every line that was written, and what its event must have."""

    def __init__(self, sink):
        self.sink, self.wanted, self.unwanted = sink, {}, set()

    def write(self, pod, want, container=None, index="logs-kubernetes", **more):
        """`want`: what its event has; `None`: there must be none."""
        text = f"line {len(self.wanted) + len(self.unwanted)} of {pod.name}"
        if more.get("parts", 1) > 1:
            text += " " + "x" * 100
        pod.write(text, container, **more)
        if want is None:
            self.unwanted.add(text)
        else:
            self.wanted[text] = (want, index, more.get("stream", "stdout"))
        return text

    def found(self):
        return {document["message"]: (index, document) for index, _, document in list(self.sink.documents)}

    def settle(self, what):
        """Waits until all are there, and compares them."""
        until(f"lines: {what}: {[text for text in self.wanted if text not in self.found()][:3]}",
              lambda: all(text in self.found() for text in self.wanted))
        found = self.found()
        for text, (want, index, stream) in self.wanted.items():
            got_index, document = found[text]
            got = {name: document[name] for name in ("kubernetes", "container", "orchestrator", "logweir") if name in document}
            if got != want or not got_index.startswith(index) or document["stream"] != stream:
                sys.exit(f"kubernetes: {what}: {text}: {got_index}, {document['stream']}\n got {json.dumps(got)}\nwant {json.dumps(want)}")
        self.only_once()
        say(f"ok: {what}: {len(self.wanted)} lines")

    def of_audit(self):
        """What the other pipeline got of these lines, without the beacon's."""
        return [document for _, _, document in self.sink.audit() if document["message"].startswith("line ")]

    def only_once(self):
        ids = collections.Counter((index, id) for index, id, _ in list(self.sink.documents))
        texts = collections.Counter(document["message"] for _, _, document in list(self.sink.documents))
        bad = [text for text in texts if text in self.unwanted] + [text for text, n in texts.items() if n > 1] + [i for i, n in ids.items() if n > 1]
        if bad:
            sys.exit(f"kubernetes: events that should not be, or twice: {bad[:5]}")


class Beacon:
    """A pod whose label tells how far the agent's watches are: what was changed before it is known to them, too."""

    def __init__(self, cluster, lines):
        self.lines, self.number, self.probes = lines, 0, 0
        self.pod = Pod(cluster, "beacon", {"version": "0"}, {"logweir.io/pipeline": "audit"}).runs()

    def sync(self):
        self.number += 1
        self.pod.patch({"metadata": {"labels": {"version": str(self.number)}}})
        until("both pipelines see what changed", self.is_seen)

    def is_seen(self):
        self.probes += 1
        text = f"probe {self.probes}"
        self.pod.write(text)
        sink = self.lines.sink

        def found():
            return [document for documents in (sink.documents, sink.audit()) for _, _, document in documents if document["message"] == text]

        until("a line of the beacon arrives in both pipelines", lambda: len(found()) == 2)
        return all(document["kubernetes"].get("labels", {}).get("version") == str(self.number) for document in found())


def follow(cluster, agent, lines, beacon):
    """Pods are made, labelled, annotated, replaced and deleted."""
    write = lines.write
    owner = {"owner": ("ReplicaSet", "web-5d9f"), "containers": ("app", "sidecar")}
    labels = {"app.kubernetes.io/name": "web", "pod-template-hash": "5d9f", "team": "a"}
    web = Pod(cluster, "web-5d9f-1", labels, **owner).runs()
    quiet = Pod(cluster, "quiet", annotations={"logweir.io/exclude": "true"}).runs()
    part = Pod(cluster, "part", annotations={"logweir.io/exclude": "proxy, init"}, containers=("app", "proxy")).runs()
    named = Pod(cluster, "named", {"a.b/c": "d"}, {"logweir.io/pipeline": "audit", "team/owner": "x", "other": "y"}).runs()
    other = Pod(cluster, "elsewhere", node="node-b").runs()
    beacon.sync()
    shape = {"deployment": {"name": "web"}, "labels": {"app_kubernetes_io/name": "web"}}
    dropped = agent.metric("logweir_events_dropped_total")
    write(web, web.known(**shape))
    write(web, web.known(**shape), stream="stderr", parts=3)
    write(web, web.known("sidecar", **shape), container="sidecar")
    write(quiet, None)
    write(part, part.known())
    write(part, None, container="proxy")
    write(named, named.known() | {"logweir": {"pipeline": "audit"}})
    lines.settle("pods, containers, streams, split lines, exclude, pipeline")
    want = named.known(labels={"a_b/c": "d"}, annotations={"team/owner": "x"}) | {"logweir": {"pipeline": "audit"}}
    want["orchestrator"] = want["orchestrator"] | {"cluster": {"name": "test"}}
    until("the pipeline of the name gets its pod", lambda: lines.of_audit())
    beacon.sync()
    found = lines.of_audit()
    check(len(found) == 1 and all(found[0].get(name) == want[name] for name in want),
          "the pipeline that a pod names gets its lines, with labels and annotations, and no other's", found)
    check(agent.metric("logweir_events_dropped_total") >= dropped + 2, "what is excluded is counted")
    write(other, other.path_only())
    lines.settle("a pod of another node is not known")
    check(agent.metric("logweir_kubernetes_pods") == 2 * 5, "each pipeline knows the five pods of its node")

    early = Pod(cluster, "early")
    beacon.sync()
    write(early, early.known(ip=""))
    lines.settle("a container that has just begun")
    early.runs()

    web.patch({"metadata": {"labels": {"app": "shop", "team": "b"}}})
    part.patch({"metadata": {"annotations": {"logweir.io/exclude": None}}})
    beacon.sync()
    shape["labels"] = shape["labels"] | {"app": "shop"}
    write(web, web.known(**shape))
    write(part, part.known("proxy"), container="proxy")
    lines.settle("labelled; an exclusion taken away")
    web.patch({"metadata": {"annotations": {"logweir.io/exclude": "sidecar"}}})
    beacon.sync()
    write(web, None, container="sidecar")
    write(web, web.known(**shape))
    lines.settle("excluded later")

    old = Pod(cluster, "db-0", {"app": "db", "version": "1"}, owner=("StatefulSet", "db")).runs()
    was = {"statefulset": {"name": "db"}, "labels": {"app": "db", "version": "1"}}
    beacon.sync()
    write(old, old.known(**was))
    lines.settle("a pod of a StatefulSet")
    old.delete()
    web.delete()
    beacon.sync()
    check(agent.metric("logweir_kubernetes_pods") == 2 * 5, "two pods are deleted")
    write(old, old.known(**was))
    write(web, web.known(**shape))
    lines.settle("the rest of deleted pods' files")
    new = Pod(cluster, "db-0", {"app": "db", "version": "2"}, owner=("StatefulSet", "db")).runs()
    beacon.sync()
    for _ in range(20):
        write(old, old.known(**was))
        write(new, new.known(statefulset={"name": "db"}, labels={"app": "db", "version": "2"}))
        write(web, web.known(**shape))
    lines.settle("a successor of the same name, while the first one's file is read on")
    return new


def without_server(cluster, agent, lines, beacon, known):
    """The API server is away, and back."""
    write, shape = lines.write, {"statefulset": {"name": "db"}, "labels": {"app": "db", "version": "2"}}
    cluster.stop()
    until("the agent misses the API server", lambda: agent.metric("logweir_kubernetes_connected") == 0)
    write(known, known.known(**shape))
    stranger = Stranger()
    write(stranger, stranger.path_only())
    lines.settle("without the API server: what is known, else namespace, pod and container from the path")
    check(agent.get("/ready") is not None, "the agent is ready all the same")
    check("events go on with what their path says" in agent.log(), "and says what is missing")
    cluster.etcdctl("compact", str(cluster.revision()))
    cluster.start()
    late = Pod(cluster, "late").runs()
    until("the pods are watched again", lambda: agent.metric("logweir_kubernetes_connected") == 2)
    beacon.sync()
    write(late, late.known())
    write(known, known.known(**shape))
    lines.settle("back, after etcd forgot what was before")


class Stranger(Pod):
    """A pod that the API server never told of."""

    def __init__(self):
        self.name, self.namespace, self.uid = "stranger", "shop", str(uuid.uuid4())
        self.images, self.ids = {"app": "x:1"}, {"app": uuid.uuid4().hex * 2}


def without_rights(cluster, agent, lines, beacon):
    """The account loses its rights and its token, and gets them back."""
    cluster.kubectl("delete", "clusterrolebinding", "logweir", check=True)
    # A watch that is open goes on; a new one is refused.
    before = len(agent.log())
    cluster.restart()
    until("the agent says what it needs", lambda: "its ClusterRole needs get, list and watch on pods" in agent.log()[before:])
    hidden = Pod(cluster, "hidden").runs()
    lines.write(hidden, hidden.path_only())
    lines.settle("without rights")
    check(agent.metric("logweir_kubernetes_connected") == 0, "it gets no list")
    # Its account is made anew, so that the old token is worth nothing; the kubelet replaces the file.
    cluster.kubectl("-n", "logweir", "delete", "serviceaccount", "logweir", check=True)
    cluster.kubectl("apply", "--server-side", "-f", PACKAGING / "kubernetes", check=True)
    cluster.restart()
    until("the agent says that its token is worth nothing", lambda: "is the service account's token mounted?" in agent.log())
    new = home / "account/token.new"
    new.write_text(cluster.token())
    new.rename(home / "account/token")
    until("the pods are watched again", lambda: agent.metric("logweir_kubernetes_connected") == 2)
    seen = Pod(cluster, "seen").runs()
    beacon.sync()
    lines.write(seen, seen.known())
    lines.settle("with rights and a new token")
    return seen


def restarted(cluster, agent, lines, pod):
    """A new version replaces the pod of the DaemonSet while lines are written."""
    for _ in range(50):
        lines.write(pod, pod.known())
    check(agent.stop() == 0, "SIGTERM ends it with 0")
    for _ in range(50):
        lines.write(pod, pod.known())
    agent.start()
    lines.settle("restarted")


class Sink:
    """The documents of the manifest's pipeline and those of `audit`."""

    def __init__(self):
        self.server = bulk.serve()
        self.server_address = self.server.server_address

    @property
    def documents(self):
        return [one for one in list(self.server.documents) if one[0] != "audit"]

    def audit(self):
        return [one for one in list(self.server.documents) if one[0] == "audit"]


def test():
    cluster, agent = Cluster(), None
    try:
        cluster.start_etcd()
        cluster.start()
        say("ok: " + cluster.kubectl("version", check=True).stdout.strip().splitlines()[-1])
        cluster.kubectl("create", "namespace", "shop", check=True)
        cluster.kubectl("-n", "shop", "create", "serviceaccount", "default", check=True)
        # First, because chart and manifest give the same names to what belongs to no namespace.
        charted(cluster)
        daemonset = accepted(cluster)
        least_rights(cluster)
        pipelines = cluster.ask("GET", "/api/v1/namespaces/logweir/configmaps/logweir-pipelines")["data"]
        sink = Sink()
        agent = Agent(cluster, daemonset, pipelines | {"audit.toml": AUDIT}, sink)
        agent.start()
        lines = Lines(sink)
        beacon = Beacon(cluster, lines)
        beacon.sync()
        db = follow(cluster, agent, lines, beacon)
        without_server(cluster, agent, lines, beacon, db)
        seen = without_rights(cluster, agent, lines, beacon)
        restarted(cluster, agent, lines, seen)
        check(agent.stop() == 0, "it ends with 0")
        request = agent.container["resources"]["requests"]["memory"]
        check(request.endswith("Mi") and agent.peak < int(request[:-2]), f"it took at most {agent.peak} MiB of the {request} that it asks for")
    finally:
        for process in (agent and agent.process, cluster.server, cluster.etcd):
            if process and process.poll() is None:
                process.kill()
                process.wait()
    say(f"all {len(lines.wanted)} lines arrived once with what is right for their pods; {len(lines.unwanted)} were left out")


def main():
    try:
        test()
    finally:
        if sys.argv[1:2] == ["--keep"]:
            folder = pathlib.Path(sys.argv[2])
            folder.mkdir(parents=True, exist_ok=True)
            for log in home.glob("*.log"):
                shutil.copy(log, folder)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
