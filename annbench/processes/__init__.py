"""Child processes that cannot harm: whatever becomes of one, nothing of it is left, and how it ended can be said.

`started.py` starts one and ends it with all it started (`family.py`); `log.py` keeps the end of what it prints,
`lines.py` reads what it says line by line, `endings.py` puts its end into words, `kernel.py` is for its first steps.
The two ways to talk to one are built on these: `annbench.datasets.child` asks one question, and
`annbench.runner.supervisor` holds a conversation.
"""
