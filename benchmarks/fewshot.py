"""`python -m benchmarks.fewshot`: accuracy, time, memory and size of this project and its peers on the same draws."""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import folders, peers, results
from benchmarks.folders import DataFolder
from handful import parameters, storage
from handful.errors import DataError, HandfulError, MissingExtraError, ParameterError
from handful.parameters import Parameters
from tasks import end_with_parent

ROOT = Path(__file__).parents[1]
PARAMETER_FILES = {"text": ROOT / "params.yaml", "image": ROOT / "params.image.yaml"}
# The systems, grouped by the process that they share: teacher and student come out of one run of the pipeline.
PROCESSES = (("teacher", "student"), ("linear_probe",), ("setfit",), ("model2vec",))
SYSTEMS = tuple(system for process in PROCESSES for system in process)


@dataclass(frozen=True)
class Job:
    """One process: these systems, trained on one draw."""

    folder: DataFolder
    parameter_file: Path
    parameters: Parameters
    shots: int
    seed: int
    systems: tuple[str, ...]

    @property
    def wanted(self) -> list[results.Record]:
        """The identities of the records that the process is to give."""
        return [
            results.identity(self.folder, system, self.shots, self.seed, self.parameters) for system in self.systems
        ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for; status 1 and one paragraph if something cannot be done."""
    asked = _parse(arguments)
    try:
        jobs = list(plan(asked))
        failures = run(jobs, asked.out)
    except HandfulError as error:
        sys.exit(f"benchmarks.fewshot: {error}")
    except KeyboardInterrupt:
        sys.exit(f"benchmarks.fewshot: stopped. {asked.out} keeps what was measured; run again to go on.")
    if records := measured(jobs, asked.out):
        sys.stdout.write(results.tables(records))
    if failures:
        sys.exit("benchmarks.fewshot: " + "\n".join(failures))


def plan(asked: argparse.Namespace) -> Iterator[Job]:
    """Give the jobs in the order in which they run; everything that can be checked beforehand is.

    Raises:
        HandfulError: a folder, a file of parameters or a package cannot be used.
    """
    _check_packages(asked.systems)
    found = [folders.find(path) for path in asked.data]
    if len({folder.name for folder in found}) < len(found):
        raise DataError("Two data folders have the same name, and records name their data by it. Rename one of them.")
    read = [(folder, *_parameters_for(folder, asked)) for folder in found]
    for folder, path, values in read:
        for seed in range(asked.seeds):
            for process in PROCESSES:
                systems = tuple(system for system in process if system in asked.systems)
                if systems:
                    yield Job(folder, path, values, asked.shots, seed, systems)


def run(jobs: Sequence[Job], out: Path) -> list[str]:
    """Run the jobs whose records are not there yet and keep each answer at once; return the failures."""
    failures: list[str] = []
    for job in jobs:
        missing = [identity for identity in job.wanted if results.standing(results.read(out), identity) is None]
        for identity, answer in zip(missing, _process(job, missing, failures), strict=False):
            storage.write_json(results.add(results.read(out), {**identity, **answer}), out)
    return failures


def measured(jobs: Sequence[Job], out: Path) -> list[results.Record]:
    """The records of the jobs that are there."""
    wanted = [identity for job in jobs for identity in job.wanted]
    return [record for identity in wanted if (record := results.standing(results.read(out), identity))]


def _process(job: Job, missing: Sequence[results.Record], failures: list[str]) -> list[results.Record]:
    """Train and measure in a fresh process, so that memory, imports and cached embeddings are its own."""
    systems = [identity["system"] for identity in missing]
    what = f"{job.folder.name}, {job.shots} shots, seed {job.seed}, {' and '.join(systems)}"
    if not systems:
        return []
    sys.stderr.write(f"--- {what}\n")
    with tempfile.TemporaryDirectory(prefix="handful-benchmark-") as name:
        task, answer = Path(name, "task.json"), Path(name, "answer.json")
        storage.write_json(
            {"data": str(job.folder.path), "shots": job.shots, "seed": job.seed, "systems": systems}, task
        )
        command = [sys.executable, "-m", "benchmarks.process", str(job.parameter_file), str(task), str(answer)]
        environment = _environment(Path(name, "cache"))
        # Before the process imports anything: killed early, the benchmark must not leave it behind either.
        started = subprocess.run(command, env=environment, stdout=2, check=False, preexec_fn=end_with_parent)
        if started.returncode:
            failures.append(f"{what}: its process ended with status {started.returncode}; what it said stands above.")
            return []
        records: list[results.Record] = storage.read_json(answer)
        return records


def _environment(cache: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    quiet = dict.fromkeys(["HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "TQDM_DISABLE"], "1")
    return {**os.environ, **quiet, "PYTHONPATH": path, "HANDFUL_CACHE": str(cache)}


def _check_packages(systems: Sequence[str]) -> None:
    for system in systems:
        for package in peers.PACKAGES.get(system, ()):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "peers")


def _parameters_for(folder: DataFolder, asked: argparse.Namespace) -> tuple[Path, Parameters]:
    path = asked.params or PARAMETER_FILES[folder.modality]
    values = parameters.read(path)
    if values.modality != folder.modality:
        raise ParameterError(
            f"{path} is for {values.modality}, and {folder.path} holds {folder.modality}. Name another with --params."
        )
    unfit = [system for system in asked.systems if system in peers.TEXT_ONLY and folder.modality != "text"]
    if unfit:
        raise DataError(
            f"{folder.path} holds {folder.modality}, and {', '.join(unfit)} can only learn text. "
            "Leave it out of --systems, or run that folder by itself."
        )
    return path, values


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.fewshot", description=__doc__)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a data folder; may be repeated")
    parser.add_argument("--shots", type=count, required=True, help="rows per class that keep their label")
    parser.add_argument("--seeds", type=count, required=True, help="how many draws: seeds 0, 1, 2 and so on")
    parser.add_argument("--systems", type=_systems, required=True, help=",".join(SYSTEMS))
    parser.add_argument("--out", type=Path, required=True, help="JSON file of records; a run goes on where it stopped")
    parser.add_argument("--params", type=Path, help="parameter file, else the one that fits the data's modality")
    return parser.parse_args(arguments)


def count(value: str) -> int:
    """Read a whole number from 1 off the command line."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {value!r} instead")
    return int(value)


def _systems(value: str) -> list[str]:
    unknown = [name for name in value.split(",") if name not in SYSTEMS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such system: {', '.join(unknown)}; there are {', '.join(SYSTEMS)}")
    return value.split(",")


if __name__ == "__main__":
    main()
