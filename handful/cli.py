"""The command `handful`: predict with a stored student, say what one is, and choose which version is at prod."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import handful
from handful.errors import DataError, HandfulError
from handful.student import Student

LINES_PER_CHUNK = 1024
BYTES_PER_LOOK = 65536


def main() -> None:
    """Run the command; mistakes end it with status 1 and one paragraph, with the traceback only under --debug."""
    arguments = _arguments()
    try:
        for line in COMMANDS[arguments.command](arguments):
            _write(line)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says it
    except OSError as error:
        # The reader (`| head`) has enough, or no room is left; nothing more must be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return
        if arguments.debug:
            raise
        sys.exit(f"handful: {error}")
    except HandfulError as error:
        if arguments.debug:
            raise
        sys.exit(f"handful: {error}")


def predict(student: Student, chunks: Iterable[Sequence[bytes]], abstain: bool = False) -> Iterator[str]:
    """Answer every line with a line of JSON: label, probability and all probabilities; a chunk is predicted at once.

    Lines are texts or image paths as they stand, or, if the first is a JSON object, JSON objects with the key `text`
    or `image`; an `id` in them is repeated in the answer, and blank lines among them are passed over. With `abstain`
    unsure answers have an empty label.
    """
    number, objects = count(1), None
    for chunk in chunks:
        texts = [(_decode(line, at), at) for line, at in zip(chunk, number, strict=False)]
        if objects is None:  # a blank line does not tell
            objects = next((_is_object(text) for text, _ in texts if text.strip()), None)
        rows = [_row(student, text, at, bool(objects)) for text, at in texts if text.strip() or not objects]
        for (_, known), probabilities in zip(
            rows, student.predict_proba([content for content, _ in rows]), strict=True
        ):
            best = int(probabilities.argmax())
            shown = {name: round(float(value), 6) for name, value in zip(student.classes_, probabilities, strict=True)}
            label = "" if abstain and probabilities[best] < student.threshold else student.classes_[best]
            answer = {**known, "label": label, "probability": shown[student.classes_[best]]}
            yield json.dumps({**answer, "probabilities": shown}, ensure_ascii=False)


def inspect(student: Student) -> str:
    """Describe a student for people."""
    description, kind = student.description, student.description["kind"].replace("_", " ")
    files = sorted((file.name, file.stat().st_size) for file in student.folder.iterdir())
    return "\n".join(
        [
            f"A {kind} student for {description['modality']}, format {description['format']}",
            f"{len(student.classes_)} classes: {', '.join(student.classes_)}",
            f"temperature {student.temperature:.3f}, threshold {student.threshold:.3f} below which it may abstain",
            f"{student.size_bytes:,} bytes:",
            *(f"  {name}  {size:,}" for name, size in files),
        ]
    )


def _predict(arguments: argparse.Namespace) -> Iterator[str]:
    student = handful.load(arguments.student, arguments.threads)
    return predict(student, _arriving(sys.stdin.fileno()), arguments.abstain)


def _inspect(arguments: argparse.Namespace) -> Iterator[str]:
    yield inspect(handful.load(arguments.student))


def _history(arguments: argparse.Namespace) -> Iterator[str]:
    from handful import history

    _ask_origin(arguments.repository)
    return history.lines(arguments.repository)


def _promote(arguments: argparse.Namespace) -> Iterator[str]:
    from handful import registry

    _ask_origin(arguments.repository)
    yield _at_prod(registry.promote(arguments.repository, arguments.version).name)
    yield from _tell_origin(arguments.repository)


def _rollback(arguments: argparse.Namespace) -> Iterator[str]:
    from handful import registry

    _ask_origin(arguments.repository)
    yield _at_prod(registry.roll_back(arguments.repository, arguments.to).name)
    yield from _tell_origin(arguments.repository)


def _ask_origin(repository: Path) -> None:
    from handful import registry

    if why := registry.fetch(repository):
        sys.stderr.write(f"handful: origin cannot be asked, so this is what is known here: {why}\n")


def _at_prod(version: str) -> str:
    return f"{version} is at prod."


def _tell_origin(repository: Path) -> Iterator[str]:
    from handful import registry

    yield "Origin knows." if registry.push(repository) else "There is no origin to tell."


COMMANDS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "predict": _predict,
    "inspect": _inspect,
    "history": _history,
    "promote": _promote,
    "rollback": _rollback,
}
HELP = {
    "predict": "read texts or image paths, one a line or as JSONL, and write JSONL with label and probabilities",
    "inspect": "say what a student is",
    "history": "list the registered versions: when, how good, which is at prod, and when that changed",
    "promote": "put a registered version at prod",
    "rollback": "put the version at prod again that was there before",
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="handful", description=handful.__doc__)
    parser.add_argument("--version", action="version", version=handful.__version__)
    chosen = parser.add_subparsers(dest="command", required=True)
    commands = {name: chosen.add_parser(name, help=text, description=text) for name, text in HELP.items()}
    for command in commands.values():
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    for name in ("predict", "inspect"):
        commands[name].add_argument("student", help="the folder that holds student.json")
    for name in ("history", "promote", "rollback"):
        help_text = "the clone whose students are meant; the working folder if not given"
        commands[name].add_argument("--repository", type=Path, default=Path.cwd(), help=help_text)
    commands["predict"].add_argument("--threads", type=int, default=0, help="cores to use; 0 takes all")
    commands["predict"].add_argument("--abstain", action="store_true", help="leave the label empty where unsure")
    commands["promote"].add_argument("version", nargs="?", help="such as v3; the newest if not given")
    commands["rollback"].add_argument("--to", metavar="VERSION", help="such as v3, in place of the one before")
    return parser.parse_args()


def _arriving(descriptor: int) -> Iterator[list[bytes]]:
    """The lines of a stream, all that are there at a look: who sends one and waits for its answer gets it."""
    rest: list[bytes] = []  # of a line that has not ended, joined once: a line may be long
    while block := os.read(descriptor, BYTES_PER_LOOK):
        *lines, last = block.split(b"\n")
        if lines:
            lines[0], rest = b"".join([*rest, lines[0]]), []
        rest.append(last)
        for start in range(0, len(lines), LINES_PER_CHUNK):
            yield lines[start : start + LINES_PER_CHUNK]
    if line := b"".join(rest):
        yield [line]


def _write(line: str) -> None:
    # UTF-8 whatever the locale; half of a surrogate pair, which only JSON can bring in, goes out as JSON writes it.
    sys.stdout.buffer.write(f"{line}\n".encode("utf-8", "backslashreplace"))
    sys.stdout.flush()  # at once: somebody may wait for it


def _decode(line: bytes, number: int) -> str:
    try:
        # Editors on Windows begin a file with a mark that is no part of the first line.
        return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"Line {number} of the input is not UTF-8 ({error.reason} at byte {error.start}). Convert it to UTF-8."
        ) from None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):  # no JSON, or more digits or brackets than Python reads
        return False


def _row(student: Student, text: str, number: int, objects: bool) -> tuple[Any, dict[str, Any]]:
    """The content to predict, and what of the line is repeated in the answer."""
    if not objects:
        return student.read(text), {}
    key = student.description["modality"]
    try:
        given = json.loads(text)
        content = given[key]
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"Line {number} of the input is not JSON ({error}), but the first line is. Give one JSON object a line."
        ) from None
    except (KeyError, TypeError):
        raise DataError(f"Line {number} of the input has no key {key!r}. Each JSON object needs it.") from None
    if not isinstance(content, str):
        raise DataError(
            f"Line {number} of the input has {content!r} under {key!r}. Put a string there: "
            f"{'a text' if key == 'text' else 'the path of an image'}."
        )
    return student.read(content), {"id": given["id"]} if "id" in given else {}


if __name__ == "__main__":
    main()
