"""Rows that say again what a test row or a labelled row says: which they are, and of which one."""

from types import ModuleType

import pandas as pd


def of_test_rows(rows: pd.DataFrame, content: ModuleType, similarity: float) -> pd.Series:
    """What nearly repeats a test row; by index, the reason. `rows` has the columns content, table, origin."""
    return _near(rows[rows["table"] != "test"], rows[rows["table"] == "test"], content, similarity)


def of_labelled_rows(rows: pd.DataFrame, content: ModuleType, similarity: float) -> pd.Series:
    """What repeats a labelled row; as above.

    Of the pool what has its label by now, and would be guessed and proposed for labelling again. Of the source what
    nearly repeats one: with its label it would be trained on where the gate holds that row out.
    """
    labelled = rows[(rows["table"] == "labelled") & rows["content"].notna()]
    origins = labelled.drop_duplicates("id").set_index("id")["origin"]
    pool = rows[(rows["table"] == "unlabelled") & rows["id"].isin(origins.index)]
    known = pd.Series([f"has its label in {origins[name]}" for name in pool["id"]], index=pool.index, dtype="str")
    return pd.concat([known, _near(rows[rows["table"] == "source"], labelled, content, similarity)])


def _near(rows: pd.DataFrame, references: pd.DataFrame, content: ModuleType, similarity: float) -> pd.Series:
    rows, references = rows[rows["content"].notna()], references[references["content"].notna()]
    nearest = content.near_duplicates(rows["content"].tolist(), references["content"].tolist(), similarity)
    reasons = [f"nearly repeats {references['origin'].iloc[place]}" for place in nearest if place >= 0]
    return pd.Series(reasons, index=rows.index[nearest >= 0], dtype="str")
