"""bill_of_materials.py TARGET

Prints what is in the binary, as CycloneDX 1.5 JSON: each crate that is linked for TARGET with the usual features, with
version, licence, checksum and package URL. The same Cargo.lock gives the same text.
"""

import json
import subprocess
import sys
import tomllib
from uuid import NAMESPACE_URL, uuid5


def main(target: str) -> None:
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    data = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    with open("Cargo.lock", "rb") as file:
        locked = tomllib.load(file)["package"]
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in locked}
    packages = {p["id"]: p for p in data["packages"]}
    nodes = {n["id"]: n for n in data["resolve"]["nodes"]}
    root = data["resolve"]["root"]

    def linked(node: dict) -> list[str]:
        """What a crate is linked with: no build scripts' crates, no tests'."""
        normal = [d for d in node["deps"] if any(k["kind"] is None for k in d["dep_kinds"])]
        return [d["pkg"] for d in normal if not is_macro(packages[d["pkg"]])]

    found, waiting = set(), [root]
    while waiting:
        at = waiting.pop()
        if at not in found:
            found.add(at)
            waiting.extend(linked(nodes[at]))

    def reference(package: dict) -> str:
        return f"pkg:cargo/{package['name']}@{package['version']}"

    def component(package: dict, kind: str) -> dict:
        item = {
            "type": kind,
            "bom-ref": reference(package),
            "name": package["name"],
            "version": package["version"],
            "purl": reference(package),
        }
        if package.get("license"):
            item["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if package.get("repository"):
            item["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
        checksum = checksums.get((package["name"], package["version"]))
        if checksum:
            item["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        return item

    crates = sorted((packages[i] for i in found if i != root), key=lambda p: (p["name"], p["version"]))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(packages[root], "application")},
        "components": [component(p, "library") for p in crates],
        "dependencies": [
            {"ref": reference(packages[i]), "dependsOn": sorted(reference(packages[d]) for d in linked(nodes[i]))}
            for i in sorted(found, key=lambda i: reference(packages[i]))
        ],
    }
    bill["serialNumber"] = f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(bill, sort_keys=True))}"
    json.dump(bill, sys.stdout, indent=1, sort_keys=True)
    print()


def is_macro(package: dict) -> bool:
    return any("proc-macro" in t["kind"] for t in package["targets"])


if len(sys.argv) != 2:
    sys.exit(__doc__)
main(sys.argv[1])
