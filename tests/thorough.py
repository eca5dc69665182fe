"""How often a test tries the same thing with other luck.

    make test                                        a few times, or a hundred where that takes seconds
    make test ARGS=--hypothesis-profile=thorough     as often as docs/ say, which takes much longer: for releases

The profile is one of Hypothesis's, so that the same word asks for more examples of its properties.
"""

from __future__ import annotations

from typing import Final

from hypothesis import settings

THOROUGH: Final = "thorough"


def times(usual: int, thorough: int) -> int:
    return thorough if settings.get_current_profile_name() == THOROUGH else usual
