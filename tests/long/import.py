"""The work of import.sh: imports every configuration of a folder, checks what comes out, counts."""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

LANGUAGES = ("logstash", "fluentd", "fluent-bit")
SUFFIXES = {".conf", ".config", ".cfg", ".yaml", ".yml"}


class Figures:
    """What is counted for one language."""

    def __init__(self):
        self.files = self.converted = self.differs = self.missing = 0
        self.syntax = self.outputs = self.refused = self.refused_with_todo = self.panics = 0
        self.reasons = collections.Counter()

    def line(self, name):
        whole = self.converted + self.differs + self.missing
        done = 100.0 * (self.converted + self.differs) / whole if whole else 100.0
        return (
            f"{name:<11}{self.files:>6}{self.converted:>11}{self.differs:>9}{self.missing:>9}{done:>8.1f} %"
            f"{self.syntax:>9}{self.outputs:>9}{self.refused:>9}{self.refused_with_todo:>10}{self.panics:>8}"
        )


def imported(logweir, language, path, folder):
    """One import: its exit code, its account or None, and what it said."""
    command = [logweir, "import", language, "--json", "-o", folder, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    try:
        return done.returncode, json.loads(done.stdout), done.stderr
    except ValueError:
        return done.returncode, None, done.stderr


def checked(logweir, files, figures, path):
    """Checks each pipeline by itself."""
    for file in files:
        figures.outputs += 1
        done = subprocess.run([logweir, "check", file], capture_output=True, text=True, timeout=120)
        if "panicked" in done.stderr:
            figures.panics += 1
        if done.returncode == 0:
            continue
        if "# TODO" in pathlib.Path(file).read_text():
            figures.refused_with_todo += 1
        else:
            figures.refused += 1
        for message in re.findall(r"(?m)^error: (.*)$", done.stderr):
            figures.reasons[f"check  {message}"] += 1
            print(f"check refuses {path}: {message}", file=sys.stderr)


def measure(logweir, language, path, figures):
    """One configuration."""
    figures.files += 1
    with tempfile.TemporaryDirectory() as folder:
        code, account, said = imported(logweir, language, path, folder)
        if code not in (0, 1, 2, 3) or "panicked" in said:
            figures.panics += 1
            print(f"exit code {code} on {path}\n{said}", file=sys.stderr)
        if account is None:
            return
        figures.converted += account["converted"]
        figures.differs += account["converted_with_difference"]
        figures.missing += account["not_convertible"]
        figures.syntax += account["files_with_errors"] > 0
        if account["files_with_errors"]:
            first = next((line for line in said.splitlines() if line.startswith("error")), "?")
            figures.reasons[f"syntax {first}"] += 1
            print(f"syntax {path}: {first}", file=sys.stderr)
        for plugin in account["plugins"]:
            if plugin["result"] == "not_convertible":
                figures.reasons[f"to do  {plugin['kind']} {plugin['plugin']}: {plugin['reason']}"] += 1
        checked(logweir, account["files"], figures, path)


def main():
    logweir, root = sys.argv[1], pathlib.Path(sys.argv[2])
    listed = "--list" in sys.argv[3:]
    print("           files  converted  differs  missing    done    syntax  outputs  refused  with TODO  panics")
    failed = False
    for language in LANGUAGES:
        figures = Figures()
        for path in sorted((root / language).rglob("*")):
            if path.is_file() and path.suffix in SUFFIXES:
                measure(logweir, language, path, figures)
        print(figures.line(language), flush=True)
        if listed:
            for reason, number in figures.reasons.most_common():
                print(f"  {number:>4}  {reason}")
        failed |= bool(figures.refused or figures.panics)
    sys.exit(failed)


if __name__ == "__main__":
    main()
