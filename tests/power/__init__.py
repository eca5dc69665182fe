"""Power cuts, three ways: a disk that forgets what was not synced (disk.py, vfs.py), a real file system that is cut
off (mounted.py), and the process killed between any two steps (steps.py). `python -m tests.soak` runs many of each."""
