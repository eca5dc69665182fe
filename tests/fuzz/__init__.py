"""Bytes from others, made wrong on purpose: every decoder, and the whole machine behind one link (docs/fuzzing.md)."""
