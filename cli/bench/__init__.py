"""What `gossip bench` measures: one file a section, each with `measure(*, quick) -> Section`.

A section measures the program as it is installed, whole commands where it can, and prints what was measured beside it
in the same run. Rooms may be crossed here as nowhere else: raw sockets and bare libraries stand beside our own code.
"""
