"""What a model has to say to who maintains lists by hand: pure, values in and values out.

    sightings --Scorer--> Scored --> groups, proposals with evidence, flags, suspects

An advisor: nothing here blocks a request or writes a list. It refuses to know files, terminals and the network.
"""
