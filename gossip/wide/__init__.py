"""Beyond one network: finding, signalling and announcements over libp2p. The only room that knows py-libp2p and trio.

It is imported only by a node that was told of a bootstrap or a relay; docs/wide.md says what it does.
"""
