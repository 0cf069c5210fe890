"""A small repository with the project's own orchestration and seven quick stages, for whole nights in a minute."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from handful import registry

# A stage of any name: it reads the folders before it and writes its own in parts, so that it can be killed half-way.
# The last line, which only a whole one has, is how good the student of these rows is.
WORK = '''"""Write one stage's outputs from those before it, slowly."""

import hashlib
import json
import sys
import time
from pathlib import Path


def quality(source):
    rows = source if source.is_file() else source / "rows.txt"
    return rows.read_text().splitlines()[-1]


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
    rows.write(quality(Path(sources[0])))
if name == "validate":
    (folder / "profile.json").write_text(json.dumps({"test": seen.hexdigest()}))
    (folder.parent / "drift.json").write_text(json.dumps({"reference": None, "checks": [], "problem": None}))
if name == "evaluate":
    scores = {"accuracy": float(quality(Path(sources[0]))), "macro_f1": 0.5}
    place = Path(sources[1])
    champion, verdict = None, "first"
    if (place / "version.json").exists():
        before = float(quality(place / "student"))
        champion = json.loads((place / "version.json").read_text()) | {"accuracy": before}
        verdict = "promote" if scores["accuracy"] >= before else "keep"
    metrics = {"classes": ["a", "b"], "rows": 360, "teacher": scores, "student": scores, "champion": champion}
    reason = f"{scores['accuracy']} beside {champion and champion['accuracy']}"
    (folder / "metrics.json").write_text(json.dumps(metrics | {"verdict": {"decision": verdict, "reason": reason}}))
    (folder / "report.md").write_text("# Report of the toy\\n")
'''
AFTER = {  # the folders that a stage reads, and those that it writes
    "ingest": (["raw.txt"], "data/ingest"),
    "validate": (["data/ingest"], "data/validate/rows"),
    "augment": (["data/validate/rows"], "data/augment"),
    "select": (["data/validate/rows", "data/augment"], "data/select"),
    "pretrain_transfer": (["data/select"], "data/pretrain_transfer"),
    "distill": (["data/pretrain_transfer"], "data/distill/student"),
    "evaluate": (["data/distill/student", "data/champion"], "data/evaluate"),
}
STUDENT, CHAMPION = AFTER["distill"][1], "data/champion"
TAKES = {"student": STUDENT, "profile.json": f"{AFTER['validate'][1]}/profile.json"}
KNOWN = (".git", ".dvc")
METRICS = f"{AFTER['evaluate'][1]}/metrics.json"


def make(project: Path, root: Path, seconds: float) -> Path:
    """Make the repository out of the orchestration of `project`; each stage takes so many seconds."""
    for package in ("flows", "handful"):
        shutil.copytree(project / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("prefect.yaml", "constraints.txt", ".gitignore", ".dvcignore", f"{CHAMPION}/.gitignore"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / name, root / name)
    graph = {"stages": _stages(seconds), "artifacts": {"student": {"path": STUDENT, "type": "model"}}}
    files = {
        "work.py": WORK,
        "params.yaml": "seed: 0\n",
        "dvc.yaml": yaml.safe_dump(graph),
    }
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    git(root, "init", "--quiet", "--initial-branch", "main")
    dvc(root, "init", "--quiet")
    shutil.copy(project / ".dvc" / "config", root / ".dvc" / "config")
    write_rows(root, 0, 0.8)
    return root


def write_rows(root: Path, number: int, quality: float) -> None:
    """Let the rows of a night arrive, of which a student of this accuracy can be made."""
    (root / "raw.txt").write_text(f"rows of night {number}\n{quality}\n", encoding="utf-8")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", f"Rows of night {number}")


def _stages(seconds: float) -> dict[str, Any]:
    stages: dict[str, Any] = {}
    for name, (sources, out) in AFTER.items():
        command = f"python work.py {name} {seconds} {' '.join(sources)} {out}"
        stages[name] = {"cmd": command, "deps": ["work.py", *sources], "outs": [out]}
    stages["validate"]["outs"].append("data/validate/drift.json")
    stages["validate"]["deps"].append(CHAMPION)
    stages["evaluate"]["outs"] = ["data/evaluate/report.md", "data/evaluate/rows.txt"]
    meta = {"show": "data/evaluate/report.md", "champion": {"folder": CHAMPION, "takes": TAKES}}
    stages["evaluate"] |= {"metrics": [{METRICS: {"cache": False}}], "meta": meta}
    return stages


def git(root: Path, *arguments: str) -> str:
    """Call git in the repository, as somebody who needs no settings of their own."""
    name = ["-c", "user.name=toy", "-c", "user.email=toy@example.org"]
    return subprocess.run(["git", *name, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def dvc(root: Path, *arguments: str) -> str:
    """Call DVC in the repository."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def newest(root: Path) -> Path:
    """Lay out beside the repository what the newest version's commit and the cache hold of it; return where."""
    folder, version = root.parent / "newest", registry.read(root).newest
    shutil.rmtree(folder, ignore_errors=True)
    git(root, "clone", "--quiet", "--shared", str(root), str(folder))
    git(folder, "checkout", "--quiet", "--detach", version.revision if version else "HEAD")
    dvc(folder, "cache", "dir", "--local", str(root / ".dvc" / "cache"))
    if version is not None:
        dvc(folder, "checkout", "--quiet")
    return folder


def student(folder: Path) -> str:
    """Return a fingerprint of the student's files, or what is in their place."""
    place, seen = folder / STUDENT, hashlib.sha256()
    for file in sorted(path for path in place.rglob("*") if path.is_file()):
        seen.update(file.relative_to(place).as_posix().encode() + file.read_bytes())
    return seen.hexdigest() if place.is_dir() else "no student"


def half_written(root: Path, folder: Path) -> list[str]:
    """Return what is not whole or is left over: outputs unlike dvc.lock, files of cache and clone, worktrees.

    What DVC had begun to copy into the cache lies there as a `.tmp`, which is no result to anybody; `dvc gc` takes it.
    """
    notes = [note for some in json.loads(dvc(folder, "status", "--json")).values() for note in some]
    changed = [path for note in notes if isinstance(note, dict) for path in note.get("changed outs", ())]
    there = (path for path in (root / ".dvc" / "cache" / "files" / "md5").glob("??/*") if path.is_file())
    cached = [path for path in there if path.suffix != ".tmp"]
    broken = [
        path.name for path in cached if hashlib.md5(path.read_bytes()).hexdigest() != f"{path.parent.name}{path.stem}"
    ]
    left = [path.name for path in root.glob(".prefect/nights/*")]
    return [*changed, *broken, *left, *git(root, "status", "--porcelain").splitlines()]


def worse_promoted(root: Path) -> list[str]:
    """Return the tags that put a student to work against the verdict in its own metrics."""
    promoted = git(root, "tag", "--list", "student#prod#*").split()
    verdicts = {tag: json.loads(git(root, "show", f"{tag}:{METRICS}"))["verdict"]["decision"] for tag in promoted}
    return [tag for tag, decision in verdicts.items() if decision not in ("first", "promote")]


def keep(root: Path) -> None:
    """Keep what git and DVC know now, to return to it."""
    for name in KNOWN:
        shutil.copytree(root / name, root.parent / "kept" / name, symlinks=True)


def reset(root: Path) -> None:
    """Return to what was kept, and forget every night since."""
    shutil.rmtree(root / ".prefect" / "nights", ignore_errors=True)
    for name in KNOWN:
        shutil.rmtree(root / name)
        shutil.copytree(root.parent / "kept" / name, root / name, symlinks=True)
