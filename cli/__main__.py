"""`python -m cli` is `gossip`, and the installed command begins here, too: whatever the environment calls the script.

Everything is imported within, so that Ctrl-C ends it in order also while it is being loaded.
"""


def main() -> None:
    """The entry point of the installed command."""
    try:
        from cli.app import main as run

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # cli/exits.py, which may not be loaded yet


if __name__ == "__main__":
    main()
