"""Manifests against the schemas of Kubernetes, against each other, and their pipelines; see check-manifests.sh.

  check_manifests.py FOLDER BINARY|-      FOLDER has the manifests, those of the chart as chart-SET.yaml
"""
import pathlib
import re
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The oldest that Chart.yaml takes, and the newest with a schema here.
VERSIONS = ("1.25", kubernetes_validate.latest_version())
# Kinds that Kubernetes itself does not have; tests/long/kubernetes.sh checks them by their own definition.
FOREIGN = {"PodMonitor"}
faults = []


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def pick(objects, kind, part=""):
    found = [o for o in objects if o["kind"] == kind and part in o["metadata"]["name"]]
    return found[0] if found else None


def valid(path, objects):
    for version in VERSIONS:
        for o in objects:
            if o["kind"] in FOREIGN:
                continue
            try:
                kubernetes_validate.validate(o, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as why:
                faults.append(f"{path.name}: {o['kind']} {o['metadata']['name']}, Kubernetes {version}: {getattr(why, 'message', why)}")


def needs_token(objects):
    return pick(objects, "ConfigMap") and 'type = "kubernetes"' in str(pick(objects, "ConfigMap")["data"])


def sound(path, objects):
    """What no schema says: names that are referred to are there, secrets are only referred to, memory adds up."""
    names = [(o["kind"], o["metadata"]["name"], o["metadata"].get("namespace")) for o in objects]
    for name in {n for n in names if names.count(n) > 1}:
        faults.append(f"{path.name}: twice: {name}")
    if any(o["kind"] == "Secret" for o in objects):
        faults.append(f"{path.name}: a Secret in a manifest")
    for o in objects:
        template = o.get("spec", {}).get("template") if o["kind"] in ("DaemonSet", "StatefulSet") else None
        if not template:
            continue
        where, pod = f"{path.name}: {o['kind']} {o['metadata']['name']}", template["spec"]
        wanted, labels = o["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]
        if any(labels.get(key) != value for key, value in wanted.items()):
            faults.append(f"{where}: its selector does not find its pods")
        volumes = {v["name"]: v for v in pod["volumes"]} | {v["metadata"]["name"]: v for v in o["spec"].get("volumeClaimTemplates", [])}
        container = pod["containers"][0]
        mounts = {m["name"] for m in container["volumeMounts"]}
        if mounts != set(volumes):
            faults.append(f"{where}: volumes {sorted(volumes)}, mounts {sorted(mounts)}")
        for v in volumes.values():
            if "configMap" in v and not pick(objects, "ConfigMap", v["configMap"]["name"]):
                faults.append(f"{where}: no ConfigMap {v['configMap']['name']}")
        for m in container["volumeMounts"]:
            if m["name"] != "state" and not m.get("readOnly"):
                faults.append(f"{where}: {m['mountPath']} can be written")
        security, general = container["securityContext"], pod.get("securityContext", {})
        for key, value in {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}.items():
            if security.get(key) is not value:
                faults.append(f"{where}: {key} is not {value}")
        if security["capabilities"]["drop"] != ["ALL"] or "RuntimeDefault" not in str([security, general]):
            faults.append(f"{where}: capabilities or seccomp")
        ports = {p["name"] for p in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if container[probe]["httpGet"]["port"] not in ports:
                faults.append(f"{where}: {probe} asks a port that is not there")
        buffers = next(v["value"] for v in container["env"] if v["name"] == "LOGWEIR_MEMORY_MAX")
        limit = container["resources"]["limits"]["memory"]
        if int(limit.removesuffix("Mi")) < int(buffers.removesuffix("MiB")) + 64:
            faults.append(f"{where}: {buffers} of buffers in {limit}")
        if needs_token(objects) and o["kind"] == "DaemonSet" and pod["automountServiceAccountToken"] is not True:
            faults.append(f"{where}: the filter `kubernetes` has no token")
        account = pod["serviceAccountName"]
        binding = pick(objects, "ClusterRoleBinding")
        if binding and binding["subjects"][0]["name"] != account:
            faults.append(f"{where}: the rights are another account's")


def alike(manifest, chart):
    """The plain manifest is what the chart gives with its own values."""
    a, b = ([pick(objects, kind) for kind in ("ClusterRole", "DaemonSet", "ConfigMap")] for objects in (manifest, chart))
    if a[0]["rules"] != b[0]["rules"]:
        faults.append("manifest and chart give other rights")
    pods = [o["spec"]["template"]["spec"] for o in (a[1], b[1])]
    for key in ("priorityClassName", "terminationGracePeriodSeconds", "tolerations"):
        if pods[0][key] != pods[1][key]:
            faults.append(f"manifest and chart: {key} differs")
    containers = [pod["containers"][0] for pod in pods]
    for key in ("image", "securityContext", "resources", "ports"):
        if containers[0][key] != containers[1][key]:
            faults.append(f"manifest and chart: {key} differs")
    mounts = [{(m["mountPath"], m.get("readOnly", False)) for m in c["volumeMounts"]} for c in containers]
    if mounts[0] != mounts[1]:
        faults.append(f"manifest and chart: mounts differ: {mounts[0] ^ mounts[1]}")
    # Their exclusion of the agent's own log names the namespace where it is known.
    texts = [re.sub(r"logweir-\*[^\"]*", "", o["data"]["containers.toml"]) for o in (a[2], b[2])]
    if texts[0] != texts[1]:
        faults.append("manifest and chart: pipelines differ")
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    about = yaml.safe_load((ROOT / "packaging/helm/logweir/Chart.yaml").read_text())
    if not version == about["appVersion"] == containers[0]["image"].rsplit(":", 1)[1]:
        faults.append(f"versions: Cargo.toml {version}, chart {about['appVersion']}, manifest {containers[0]['image']}")


def checked(binary, path, objects):
    """Every pipeline is one that the agent takes."""
    count = 0
    for o in objects:
        if o["kind"] != "ConfigMap":
            continue
        with tempfile.TemporaryDirectory() as folder:
            for name, text in o["data"].items():
                pathlib.Path(folder, name).write_text(text)
                count += 1
            env = {"LOGWEIR_HOST_NAME": "node", "ELASTICSEARCH_URL": "http://127.0.0.1:9"}
            done = subprocess.run([binary, "check", folder], env=env, capture_output=True, text=True)
            if done.returncode or "warning" in done.stderr:
                faults.append(f"{path.name}: {o['metadata']['name']}: {done.stdout}{done.stderr}")
    return count


folder, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
all_objects = {path: documents(path) for path in sorted(folder.glob("*.yaml"))}
pipelines = 0
for path, objects in all_objects.items():
    valid(path, objects)
    sound(path, objects)
    if binary != "-":
        pipelines += checked(binary, path, objects)
alike(all_objects[folder / "logweir.yaml"], all_objects[folder / "chart-default.yaml"])
kinds = {o["kind"] for objects in all_objects.values() for o in objects}
print(f"{sum(map(len, all_objects.values()))} objects of {len(kinds)} kinds against Kubernetes {' and '.join(VERSIONS)}; {pipelines} pipelines")
for text in faults:
    print("packaging:", text, file=sys.stderr)
sys.exit(bool(faults))
