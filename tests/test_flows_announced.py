"""Announced files on the night's page."""

from pathlib import Path

from flows.announced import shown


def test_of_a_table_the_first_rows_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    path = tmp_path / "label_next.csv"
    path.write_text("text\n" + "".join(f"row {number}\n" for number in range(25)), encoding="utf-8")
    text = "\n".join(shown("Rows to label next", path))
    assert f"`{path}`" in text
    assert "| row 9 |" in text
    assert "| row 10 |" not in text
    assert "| and 15 more |" in text


def test_a_text_of_a_stranger_is_shown_as_it_is_however_long(tmp_path: Path) -> None:
    path = tmp_path / "label_next.csv"
    path.write_text(f"text\n![x](http://example.org/p.png) <img src=x> | a\n{'b' * 200_000}\n", encoding="utf-8")
    text = "\n".join(shown("Rows to label next", path))
    assert r"| \!\[x\](http://example.org/p.png) \<img src=x\> \| a |" in text
    assert "b" * 200_000 in text


def test_another_file_is_only_named(tmp_path: Path) -> None:
    assert shown("Report", tmp_path / "report.html") == [f"Report: `{tmp_path / 'report.html'}`"]
