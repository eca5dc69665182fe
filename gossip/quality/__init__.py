"""How good a data set is, before anybody trains on it: `gossip data check`.

    near.py        when two requests are nearly the same
    repeats.py     counting what repeats among millions of rows, on disk
    measure.py     files -> Quality, one pass
    findings.py    Quality, and what a policy says of it -> what is wrong and what to do

Everything here is for the owner of the data alone. Nothing of it is sent, and a data entry is made elsewhere, from the
rows themselves (gossip/training/dataset.py).
"""
