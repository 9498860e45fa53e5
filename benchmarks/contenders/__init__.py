"""The contenders: one module each, run by ``benchmarks.worker`` in a process of its own.

A module has ``prepare(work)``, which imports, reads and warms up without being timed and returns the work
to be timed as a function. It may have ``answer(result)``, the columns to be compared with the other
contenders', and ``figures(result)``, numbers to be reported beside the time.
"""
