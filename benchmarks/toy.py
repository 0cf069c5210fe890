"""A small repository with the project's own orchestration and seven quick stages, for whole nights in a minute."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

# A stage of any name: it reads the folders before it and writes its own in parts, so that it can be killed half-way.
WORK = '''"""Write one stage's outputs from those before it, slowly."""

import hashlib
import json
import sys
import time
from pathlib import Path

name, seconds, *sources, out = sys.argv[1:]
seen = hashlib.sha256(name.encode())
for source in map(Path, sources):
    for file in [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file()):
        seen.update(file.read_bytes())
folder = Path(out)
folder.mkdir(parents=True, exist_ok=True)
with (folder / "rows.txt").open("w") as rows:
    for part in range(20):
        time.sleep(float(seconds) / 20)
        rows.write(f"{part} {seen.hexdigest()}\\n" * 2000)
        rows.flush()
if name == "validate":
    (folder.parent / "drift.json").write_text(json.dumps({"reference": None, "checks": [], "problem": None}))
if name == "evaluate":
    scores = {"accuracy": int(seen.hexdigest()[:4], 16) / 65536, "macro_f1": 0.5}
    verdict = {"decision": "first", "reason": "There is no champion yet.", "difference": None, "interval": None}
    metrics = {"classes": ["a", "b"], "rows": 360, "teacher": scores, "student": scores, "champion": None}
    (folder / "metrics.json").write_text(json.dumps(metrics | {"verdict": verdict | {"mcnemar_p": None}}))
    (folder / "report.md").write_text("# Report of the toy\\n")
'''
AFTER = {  # the folders that a stage reads, and those that it writes
    "ingest": (["raw.txt"], "data/ingest"),
    "validate": (["data/ingest"], "data/validate/rows"),
    "augment": (["data/validate/rows"], "data/augment"),
    "select": (["data/validate/rows", "data/augment"], "data/select"),
    "pretrain_transfer": (["data/select"], "data/pretrain_transfer"),
    "distill": (["data/pretrain_transfer"], "data/distill/student"),
    "evaluate": (["data/distill/student"], "data/evaluate"),
}
STUDENT = AFTER["distill"][1]
METRICS = f"{AFTER['evaluate'][1]}/metrics.json"


def make(project: Path, root: Path, seconds: float) -> Path:
    """Make the repository out of the orchestration of `project`; each stage takes so many seconds."""
    shutil.copytree(project / "flows", root / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("prefect.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(project / name, root)
    graph = {"stages": _stages(seconds), "artifacts": {"student": {"path": STUDENT, "type": "model"}}}
    files = {
        "work.py": WORK,
        "raw.txt": "rows of night 0\n",
        "params.yaml": "seed: 0\n",
        "dvc.yaml": yaml.safe_dump(graph),
    }
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    git(root, "init", "--quiet", "--initial-branch", "main")
    dvc(root, "init", "--quiet")
    shutil.copy(project / ".dvc" / "config", root / ".dvc" / "config")
    commit(root, "The toy")
    return root


def _stages(seconds: float) -> dict[str, Any]:
    stages: dict[str, Any] = {}
    for name, (sources, out) in AFTER.items():
        command = f"python work.py {name} {seconds} {' '.join(sources)} {out}"
        stages[name] = {"cmd": command, "deps": ["work.py", *sources], "outs": [out]}
    stages["validate"]["outs"].append("data/validate/drift.json")
    stages["evaluate"]["outs"] = ["data/evaluate/report.md", "data/evaluate/rows.txt"]
    stages["evaluate"] |= {"metrics": [{METRICS: {"cache": False}}], "meta": {"show": "data/evaluate/report.md"}}
    return stages


def git(root: Path, *arguments: str) -> str:
    """Call git in the repository, as somebody who needs no settings of their own."""
    name = ["-c", "user.name=toy", "-c", "user.email=toy@example.org"]
    return subprocess.run(["git", *name, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def dvc(root: Path, *arguments: str) -> str:
    """Call DVC in the repository."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def commit(root: Path, message: str) -> None:
    """Commit all that git does not ignore."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", message)


def workspace(root: Path) -> Path:
    """Return where the last night worked: a worktree of its own under .prefect/nights, or the repository itself."""
    return max([*root.glob(".prefect/nights/*/"), root], key=lambda folder: (folder != root, folder.name))


def student(root: Path) -> str:
    """Return a fingerprint of the student's files, or what is in their place."""
    folder = workspace(root) / STUDENT
    seen = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        seen.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return seen.hexdigest() if folder.is_dir() else "no student"


def half_written(root: Path) -> list[str]:
    """Return the outputs that differ from dvc.lock, and the files of the cache that are not what their name says."""
    changed = list(json.loads(dvc(workspace(root), "status", "--json")))
    cached = [path for path in (root / ".dvc" / "cache" / "files" / "md5").glob("??/*") if path.is_file()]
    broken = [
        path.name for path in cached if hashlib.md5(path.read_bytes()).hexdigest() != f"{path.parent.name}{path.stem}"
    ]
    return changed + broken


def worse_promoted(root: Path) -> list[str]:
    """Return the tags that put a student to work against the verdict in its own metrics."""
    promoted = git(root, "tag", "--list", "student#prod#*").split()
    verdicts = {tag: json.loads(git(root, "show", f"{tag}:{METRICS}"))["verdict"]["decision"] for tag in promoted}
    return [tag for tag, decision in verdicts.items() if decision not in ("first", "promote")]


def reset(root: Path) -> None:
    """Forget every night: what it made, what DVC remembers of it, its branches, worktrees and tags."""
    for folder in (".dvc/cache", ".dvc/tmp", ".prefect/nights", "data"):
        shutil.rmtree(root / folder, ignore_errors=True)
    git(root, "worktree", "prune")
    git(root, "clean", "--quiet", "--force", "-d", "-x", "--exclude", ".prefect")
    git(root, "checkout", "--quiet", "--force", "main")
    for kind, names in (("branch", "nightly/*"), ("tag", "student*")):
        found = git(root, kind, "--list", names).split()
        if found:
            git(root, kind, *(["-D"] if kind == "branch" else ["--delete"]), *found)
