"""What a stage needs that git does not carry: outputs of other stages and tracked data, and the champion."""

from pathlib import Path, PurePosixPath

from flows.graph import Stage


def needs(stage: Stage, folder: Path) -> list[str]:
    """List what DVC has to bring before the stage can run in this workspace."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        cached = [repo.fs.relpath(out.fs_path, repo.root_dir) for out in repo.index.outs if out.use_cache]
    return sorted(path for path in cached if reads(stage, path))


def reads(stage: Stage, path: str) -> bool:
    """Tell whether the stage depends on the path, on something in it, or on a folder around it."""
    there = PurePosixPath(path)
    deps = map(PurePosixPath, stage.deps)
    return any(there.is_relative_to(dep) or dep.is_relative_to(there) for dep in deps)
