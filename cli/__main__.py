"""`python -m cli` is `gossip`: how the demo starts its peers, whatever the environment calls the script."""

from cli.app import main

main()
