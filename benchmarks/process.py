"""One fresh process of the benchmark: trains systems on one draw, measures them, and writes what it measured."""

from pathlib import Path
from typing import Any

from benchmarks import folders, peers
from benchmarks.folders import DataFolder
from benchmarks.trained import Trained, cost, score
from handful import storage
from handful.parameters import Parameters
from tasks import start


def main(parameters: Parameters, task: Path, answer: Path) -> None:
    """Read the task, train, measure, and write one record for each of its systems, in their order."""
    asked = storage.read_json(task)
    folder = folders.find(Path(asked["data"]))
    test = folders.test_rows(folder)
    draw, systems = train(parameters, folder, asked["shots"], asked["seed"], asked["systems"])
    contents, labels, outside = test["content"].tolist(), test["label"].tolist(), folders.out_of_scope(folder)
    records = []
    for name in asked["systems"]:
        scores = score(systems[name], contents, labels, outside, parameters.evaluate, asked["seed"])
        records.append({**scores, **cost(systems[name], contents), "draw": draw, **_threads()})
    storage.write_json(records, answer)


def train(
    parameters: Parameters, folder: DataFolder, shots: int, seed: int, systems: list[str]
) -> tuple[str, dict[str, Trained]]:
    """Return the fingerprint of the labelled rows that were drawn, and the trained systems by name."""
    if systems[0] in peers.PEERS:
        labelled = folders.draw(parameters, folder, shots, seed)["labelled"]
        trained = {name: peers.PEERS[name](labelled, parameters, seed) for name in systems}
        return folders.fingerprint(labelled), trained
    # The stages bring packages that no peer needs: a peer's memory shall not hold them.
    from benchmarks import pipeline

    return pipeline.train(parameters, folder, shots, seed, with_student="student" in systems)


def _threads() -> dict[str, Any]:
    import torch

    return {"train_threads": torch.get_num_threads(), "predict_threads": 1}


if __name__ == "__main__":
    start(main)
