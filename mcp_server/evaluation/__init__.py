"""Measures how good written SQL is: runs it as the product runs any SQL, and compares its rows with a gold SQL's.

`verdicts` says when two results count as the same; `running` brings the rows, through the guard and a job; `answers`
says where the SQL comes from; `run` takes a file of questions through all of it.
"""
