"""The pool as far as the encoder looks at it: all of it, or as many rows as the parameters allow, drawn by the seed."""

import hashlib
import logging

import numpy as np
import pandas as pd

log = logging.getLogger("handful.pool")


def drawn(pool: pd.DataFrame, most: int | None, seed: int) -> pd.DataFrame:
    """Draw `most` rows of a larger pool, in its order, and say so; a smaller one, or without a bound, is taken whole.

    Rows are ranked by a hash of seed and id. So every stage draws the same ones, and a night's new rows change few of
    those of yesterday, whose embeddings are known.
    """
    if most is None or len(pool) <= most:
        return pool
    ranks = [
        int.from_bytes(hashlib.blake2b(f"pool {seed} {row}".encode(), digest_size=8).digest()) for row in pool["id"]
    ]
    first = np.sort(np.argsort(np.array(ranks, np.uint64), kind="stable")[:most])
    log.info("%s of the pool's %s rows are looked at, drawn by the seed (pool_rows)", f"{most:,}", f"{len(pool):,}")
    return pool.iloc[first].reset_index(drop=True)
