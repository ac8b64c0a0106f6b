"""Reads what a source's tables hold, a bounded piece of each, and says it as a profile. Runs in workers.

`executor.profiling.profiler` goes through the tables; the rest are its parts: the statements it runs, how rows become
figures, how foreign keys that nobody declared are found. Knows no policy: which tables it may read it is told.
"""
