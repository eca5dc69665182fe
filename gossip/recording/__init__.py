"""What a node's machine was told, kept in a file, and told again to a fresh machine that must answer the same.

    records.py    the file: what a record is, as bytes and as values
    answers.py    what a machine answers, as one hash
    shelf.py      what a machine looks up in its store: noted, or answered from notes
    recorder.py   between a node and its machine
    replay.py     the same events to a machine made anew

The machine is a function of its start and its events (gossip/peer), so a failure on somebody's laptop can be seen
again on another machine, as often as wanted. It refuses to know what events mean.
"""
