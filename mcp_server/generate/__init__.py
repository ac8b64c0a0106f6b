"""Questions to SQL with a configured model: the body of the queue of questions, and the process that serves it.

Holds the model's key and no source's password; what the model writes goes past the guard as the asking principal's SQL,
and runs as a job of its own. The only place that knows the model library.
"""
