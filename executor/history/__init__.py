"""Every submit, move and end of a job, moved from the broker's event stream into a SQL database, and kept there.

Audit, old lists, and the answer when the broker lost its data. `records` says what an event carries; `drainer` moves
events, through `writing`; `reading` answers; `chain` makes what was written tamper-evident; `schema` makes the tables.
Only `records` is loaded before something is read or written: the database library takes a while to load.
"""
