"""Who serves the champion: `promotion` decides which version that is, and knows nothing of how it is served."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from anmodel.errors import AnModelError
from anmodel.registry import ModelVersion

DECISION = "decision"
"""The tag of a version that says what was decided about it."""
CHAMPION, CHALLENGER, ROLLED_BACK, REJECTED = "champion", "challenger", "rolled back", "rejected"
WAS_CHAMPION = (CHAMPION, ROLLED_BACK)


class VersionRejected(AnModelError):
    """A version was put to the proof and did not serve as it must; the message says in what. It is not tried again."""


class Serving(Protocol):
    """What serves follows the registry's alias `champion`: it is brought there, and never decides itself."""

    def alone(self) -> AbstractContextManager[None]:
        """Within it no other run changes what serves; begins when one at work has ended."""

    def roll_out(self, version: ModelVersion, champion: ModelVersion | None) -> None:
        """Make `version` ready to be champion: put it to the proof, then have it answer in the champion's place.

        VersionRejected when it fails; then `champion` serves as before. Safe to cut short anywhere and repeat.
        """

    def settle(self, champion: ModelVersion) -> bool:
        """Make what serves be the champion alone, whatever it was; whether anything had to change. Safe to repeat."""


class ServedFromRegistry:
    """Predictors that watch the registry, as on a laptop: they follow the alias by themselves."""

    def alone(self) -> AbstractContextManager[None]:
        """Nothing to wait for: a run changes no more than the alias."""
        return nullcontext()

    def roll_out(self, version: ModelVersion, champion: ModelVersion | None) -> None:
        """Nothing to do: a predictor tries a champion before it takes it."""

    def settle(self, champion: ModelVersion) -> bool:
        """Nothing to do."""
        return False
