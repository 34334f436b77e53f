"""What stops a run, as one message for the person at the terminal."""


class PlatformError(Exception):
    """Something is wrong that the message names, with what to do about it."""


class CommandFailed(PlatformError):
    """A program ended with an error; `said` is what it wrote there."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"failed: {command}\n{said.strip()}")
        self.said = said
