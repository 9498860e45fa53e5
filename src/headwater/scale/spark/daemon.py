"""The process that Spark's Python workers of an executor are forked from, with the kernels already loaded.

::

    executor ──► daemon: loads Headwater once ──fork──► worker, ready at once
                                              ──fork──► worker

Loading takes some seconds of a processor; without this each worker loads for itself, and the second core of a
machine idles meanwhile. Nothing is computed here, so no pool of threads is begun that a fork would lose.
Spark starts it as ``spark.python.daemon.module``, which ``session`` sets; read ``worker`` next.
"""

from __future__ import annotations

import gc
import os

from pyspark.daemon import manager

from headwater.scale.spark.worker import machine

if __name__ == "__main__":
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # as `worker` does for Polars: a worker has one core
    machine()
    gc.freeze()  # what is loaded is not looked through again, and its pages stay shared
    manager()
