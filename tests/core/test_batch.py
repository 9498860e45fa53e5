from __future__ import annotations

import numpy as np
import polars as pl

from headwater.core.batch import Batch


def test_a_part_of_a_batch_is_a_batch() -> None:
    five = np.arange(5)
    batch = Batch("s", five + 10, five, five * 2, pl.DataFrame({"x": five}))
    part = batch[1:3]
    assert len(batch) == 5
    assert len(part) == 2
    assert (part.stream, part.offset.tolist(), part.arrival.tolist()) == ("s", [11, 12], [1, 2])
    assert (part.time.tolist(), part.frame["x"].to_list()) == ([2, 4], [1, 2])
