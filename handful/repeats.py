"""Rows that say again what a test row or a labelled row says: which they are, and of which one."""

from types import ModuleType

import pandas as pd


def of_test_rows(rows: pd.DataFrame, content: ModuleType, similarity: float) -> pd.Series:
    """What nearly repeats a test row; by index, the reason. `rows` has the columns content, table, origin."""
    present = rows["content"].notna()
    references = rows[(rows["table"] == "test") & present]
    others = rows[(rows["table"] != "test") & present]
    nearest = content.near_duplicates(others["content"].tolist(), references["content"].tolist(), similarity)
    reasons = [f"nearly repeats {references['origin'].iloc[place]}" for place in nearest if place >= 0]
    return pd.Series(reasons, index=others.index[nearest >= 0], dtype="str")


def of_labelled_rows(rows: pd.DataFrame) -> pd.Series:
    """What of the pool has its label by now, and would be guessed and proposed for labelling again; as above."""
    labelled = rows[(rows["table"] == "labelled") & rows["content"].notna()]
    origins = labelled.drop_duplicates("id").set_index("id")["origin"]
    pool = rows[(rows["table"] == "unlabelled") & rows["id"].isin(origins.index)]
    return pd.Series([f"has its label in {origins[name]}" for name in pool["id"]], index=pool.index, dtype="str")
