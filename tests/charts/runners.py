"""A runner of ours in the place of the one that runs commands: it notes them, and answers as it is told."""

import json
import shlex
from collections.abc import Callable, Sequence

from bringup.errors import CommandFailed


class Notes:
    """`answers` gives, by the beginning of a command, what it says; an exception is raised, None is 'failed'."""

    dry = False

    def __init__(self, answers: dict[str, object] | None = None) -> None:
        self.answers = answers or {}
        self.ran: list[str] = []
        self.given: dict[str, str] = {}

    def run(self, command: Sequence[str], stdin: str | None = None, progress: Callable[[], str] | None = None) -> str:
        text = shlex.join(command)
        self.ran.append(text)
        if stdin is not None:
            self.given[text] = stdin
        return self._answer(text) or ""

    def ask(self, command: Sequence[str]) -> str | None:
        return self._answer(shlex.join(command))

    def read(self, command: Sequence[str]) -> str:
        return self._answer(shlex.join(command)) or f"# from {shlex.join(command)}"

    def _answer(self, text: str) -> str | None:
        for beginning, answer in self.answers.items():
            if text.startswith(beginning):
                if isinstance(answer, list):
                    answer = answer.pop(0) if len(answer) > 1 else answer[0]
                if isinstance(answer, str) and answer.startswith("!"):
                    raise CommandFailed(text, answer[1:])
                return answer if isinstance(answer, str) or answer is None else json.dumps(answer)
        return None
