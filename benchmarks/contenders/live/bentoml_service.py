"""Runs in BentoML's environment, in a folder with ``model.pkl``: a service as BentoML's guide writes it."""

import pickle
from pathlib import Path

import bentoml  # type: ignore[import-not-found]
import numpy as np


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Risk:
    def __init__(self) -> None:
        self.model = pickle.loads(Path("model.pkl").read_bytes())  # our own file

    @bentoml.api  # type: ignore[untyped-decorator]
    def score(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(rows)[:, 1]  # type: ignore[no-any-return]
