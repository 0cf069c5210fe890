"""A small DVC repository with seven stages of the real names, for the tests of the orchestration."""

import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent

# One script for all stages: it says how far it is and writes what a stage of that name would, in small.
WORK = '''"""Write one stage's folder from the folders before it."""

import json
import sys
import time
from pathlib import Path

name, *sources, out = sys.argv[1:]
seconds = float(Path("seconds.txt").read_text())
for part in range(5):
    print(f"[{25 * part:3.0f}%] {name}, part {part} of 4")
    time.sleep(seconds / 5)
folder = Path(out)
folder.mkdir(parents=True, exist_ok=True)
if name == "validate":
    rows = (Path(sources[0]) / "rows.txt").read_text().splitlines()
    counts = {"rows_in": len(rows), "accepted": sum("broken" not in row for row in rows)}
    (folder / "validation.json").write_text(json.dumps({"tables": {"labelled": counts}}))
if name == "broken":
    sys.exit("The seventh row of the table has no label.")
if name == "evaluate":
    from PIL import Image

    picture = Image.new("RGB", (240, 160), "white")
    picture.paste((20, 60, 200), (20, 20, 120, 80))
    picture.save(folder / "confusion.png")
    distilled, champion = map(Path, sources)
    version = champion / "version.json"
    score = lambda student: 0.5 if "worse" in (student / "rows.txt").read_text() else 0.84371
    student = {"accuracy": score(distilled), "rows_per_second": 31234.5, "intervals": {"accuracy": [0.8, 0.9]}}
    before = {**json.loads(version.read_text()), "accuracy": score(champion / "student")} if version.exists() else None
    decision = "first" if not before else "promote" if student["accuracy"] >= before["accuracy"] else "keep"
    verdict = {"decision": decision, "reason": f"{student['accuracy']} beside {before and before['accuracy']}"}
    teacher = {**student, "accuracy": 0.9, "rows_per_second": 85.25}
    metrics = {"rows": 360, "classes": ["a", "b"], "teacher": teacher, "student": student, "others": {"small": student}}
    metrics |= {"champion": before, "verdict": verdict}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "report.md").write_text("# Report of the toy\\n\\n![Confusion matrix](confusion.png)\\n")
elif name == "ingest":
    (folder / "rows.txt").write_text(Path(sources[0]).read_text())
elif name == "validate" and "broken" in (Path(sources[0]) / "rows.txt").read_text():
    sys.exit("Half of the rows are broken.")
else:
    (folder / "rows.txt").write_text(name + "".join((Path(source) / "rows.txt").read_text() for source in sources))
'''

GRAPH = """artifacts:
  student: {path: data/distill, type: model}
stages:
  ingest:
    cmd: python work.py ingest ${raw} ${out}/ingest
    deps: [work.py, '${raw}']
    outs: ['${out}/ingest']
  validate:
    cmd: python work.py validate ${out}/ingest ${out}/validate
    deps: [work.py, '${out}/ingest', '${out}/champion']
    outs: ['${out}/validate']
  augment:
    cmd: python work.py augment ${out}/validate ${out}/augment
    deps: [work.py, '${out}/validate']
    outs: ['${out}/augment']
  select:
    cmd: python work.py select ${out}/validate ${out}/augment ${out}/select
    deps: [work.py, '${out}/validate', '${out}/augment']
    outs: ['${out}/select']
  pretrain_transfer:
    cmd: python work.py pretrain_transfer ${out}/select ${out}/pretrain_transfer
    deps: [work.py, '${out}/select']
    outs: ['${out}/pretrain_transfer']
    meta: {pool: gpu, retries: 0, timeout_seconds: 600}
  distill:
    cmd: python work.py distill ${out}/pretrain_transfer ${out}/distill
    deps: [work.py, '${out}/pretrain_transfer']
    outs: ['${out}/distill']
    meta: {announce: {student: '${out}/distill'}}
  evaluate:
    cmd: python work.py evaluate ${out}/distill ${out}/champion ${out}/evaluate
    deps: [work.py, '${out}/distill', '${out}/champion']
    outs: ['${out}/evaluate/report.md', '${out}/evaluate/confusion.png']
    metrics:
      - ${out}/evaluate/metrics.json: {cache: false}
    meta:
      show: ${out}/evaluate/report.md
      announce: {report: '${out}/evaluate/report.md'}
      champion: {folder: '${out}/champion', takes: {student: '${out}/distill'}}
      headline: {student accuracy: student.accuracy}
"""

# As few stages as a night needs, for the tests that pass many nights.
SHORT = """artifacts:
  student: {path: data/validate, type: model}
stages:
  ingest:
    cmd: python work.py ingest ${raw} ${out}/ingest
    deps: [work.py, '${raw}']
    outs: ['${out}/ingest']
  validate:
    cmd: python work.py validate ${out}/ingest ${out}/validate
    deps: [work.py, '${out}/ingest', '${out}/champion']
    outs: ['${out}/validate']
  evaluate:
    cmd: python work.py evaluate ${out}/validate ${out}/champion ${out}/evaluate
    deps: [work.py, '${out}/validate', '${out}/champion']
    outs: ['${out}/evaluate/report.md', '${out}/evaluate/confusion.png']
    metrics:
      - ${out}/evaluate/metrics.json: {cache: false}
    meta:
      champion: {folder: '${out}/champion', takes: {student: '${out}/validate'}}
"""


def toy_repository(folder: Path, graph: str = GRAPH, seconds: float = 0.0) -> Path:
    """Make a DVC repository with the toy's stages and the project's own orchestration in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"work.py": WORK, "dvc.yaml": graph, "params.yaml": "raw: raw.txt\nout: data\n", "raw.txt": "rows\n"}
    for name, text in (files | {"seconds.txt": str(seconds)}).items():
        (folder / name).write_text(text, encoding="utf-8")
    for package in ("flows", "handful"):
        shutil.copytree(PROJECT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("prefect.yaml", "constraints.txt"):
        shutil.copy(PROJECT / name, folder)
    (folder / "data" / "champion").mkdir(parents=True)
    (folder / "data" / "champion" / ".gitignore").write_text("*\n!.gitignore\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=folder, check=True)
    for name in (".dvc/config", ".dvcignore", ".gitignore"):
        shutil.copy(PROJECT / name, folder / name)
    return folder


def project_repository(folder: Path) -> Path:
    """Copy the project as it stands in the working tree, its own stages and sample data included, into `folder`."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    commit(folder)
    return folder


def commit(folder: Path, message: str = "By a person") -> None:
    """Commit all that git does not ignore."""
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    who = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    command = ["git", *who, "commit", "--quiet", "--allow-empty", "--message", message]
    subprocess.run(command, cwd=folder, check=True)
