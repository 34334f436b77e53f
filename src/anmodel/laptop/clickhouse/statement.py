"""Where a statement's format, data and traps are: just enough of ClickHouse's lexer, no grammar.

The engine parses every statement itself; this only finds what an HTTP front must know before it.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from anmodel.laptop.clickhouse.problems import refusal

_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|\#(?:\s|!)[^\n]*|/\*.*?(?:\*/|\Z))
      |(?P<string>'(?:[^'\\]|\\.|'')*(?:'|\Z)|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      |(?P<name>`(?:[^`\\]|\\.|``)*(?:`|\Z)|"(?:[^"\\]|\\.|"")*(?:"|\Z))
      |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
      |(?P<other>\d[\w.]*|.)""",
    re.DOTALL | re.VERBOSE,
)
_KEPT_CHARACTERS: Final = 64 << 10
_SELECTS: Final = frozenset({"SELECT", "WITH", "FROM", "("})


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL: `word` is upper case for bare words, the character for punctuation, else empty."""

    word: str
    start: int
    end: int
    depth: int
    is_string: bool


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT whose data follow it.

    `target` is the statement up to its SETTINGS or data clause, `settings` what is between those; `format` is empty
    when the statement names none; `data_at` is the first character of the data; `input_at` where the `input(` of an
    `INSERT … SELECT … FROM input(…)` begins and ends, else None.
    """

    target: str
    settings: str
    format: str
    data_at: int
    input_at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Any other statement. `format_at` is the place for INTO OUTFILE, before the FORMAT clause."""

    text: str
    is_select: bool
    is_kill: bool
    has_totals: bool
    format: str | None
    format_at: int


def tokens(text: str) -> Iterator[Token]:
    """The statement's tokens without blanks and comments, lazily: data after a FORMAT clause is never looked at."""
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "tag" else "string"
        if kind == "skip":
            continue
        piece = match.group()
        if piece in ")]}":
            depth -= 1
        word = piece.upper() if kind == "word" else piece if kind == "other" else ""
        yield Token(word, match.start(), match.end(), depth, kind == "string")
        if piece in "([{":
            depth += 1


def read_insert(text: str) -> Insert | None:
    """The INSERT at the head of `text`, or None if the statement is none or takes its rows from a SELECT."""
    stream = tokens(text)
    first = next(stream, None)
    if first is None or first.word != "INSERT":
        return None
    selects, input_at, settings_at, last = False, None, None, first
    for token in stream:
        if token.word == "INFILE" and last.word == "FROM":
            raise refusal(
                48, "NOT_IMPLEMENTED", "FROM INFILE reads the client's files: send the data in the request's body"
            )
        if last.word == "INPUT" and token.word == "(":
            input_at = (last.start, token.end)
        is_clause = token.depth == 0 and last.word not in ("INTO", "TABLE", ".")
        if is_clause and not selects and token.word == "VALUES":
            return _insert(text, settings_at, token.start, "Values", token.end, None)
        if is_clause and last.word == "FORMAT" and token.word.isidentifier() and (input_at or not selects):
            name = text[token.start : token.end]
            return _insert(text, settings_at, last.start, name, _data_start(text, token.end), input_at)
        if is_clause and not selects and token.word == "SETTINGS":
            settings_at = token.start
        selects = selects or (token.word in ("SELECT", "WITH") and (token.depth == 0 or last.word == "("))
        last = token
    return None if selects else _insert(text, settings_at, len(text), "", len(text), None)


def _insert(
    text: str, settings_at: int | None, clause_at: int, name: str, data_at: int, input_at: tuple[int, int] | None
) -> Insert:
    settings_at = clause_at if settings_at is None else settings_at
    return Insert(text[:settings_at], text[settings_at:clause_at], name, data_at, input_at)


def _data_start(text: str, at: int) -> int:
    """Data begin after the format's name and one line break, or after blanks, as a server has it."""
    found = re.compile(r"\s*;?[ \t\f]*\r?\n?").match(text, at)
    gap = found.group() if found else ""
    line = gap.find("\n")
    return at + (line + 1 if line >= 0 else len(gap))


def read_query(text: str, formats: frozenset[str]) -> Query:
    """What the front must know of a statement without data; `formats` are the engine's output formats, lower case.

    Refuses INTO OUTFILE, which would write on the server's disk. What comes again is not read again: a long statement
    takes longer to read here than in the engine.
    """
    return _kept_query(text, formats) if len(text) <= _KEPT_CHARACTERS else _read_query(text, formats)


def _read_query(text: str, formats: Collection[str]) -> Query:
    found = list(tokens(text))
    while found and found[-1].word == ";":
        found.pop()
    end = found[-1].end if found else 0
    for before, after in pairwise(found):
        if before.word == "INTO" and after.word == "OUTFILE":
            raise refusal(
                48, "NOT_IMPLEMENTED", "INTO OUTFILE writes the client's files: read the response's body instead"
            )
    words = [token.word for token in found]
    clause = _format_clause(found, text, formats)
    return Query(
        text=text[:end],
        is_select=bool(words) and words[0] in _SELECTS,
        is_kill=bool(words) and words[0] == "KILL",
        has_totals="TOTALS" in words,
        format=None if clause is None else text[found[clause + 1].start : found[clause + 1].end],
        format_at=end if clause is None else found[clause].start,
    )


_kept_query = lru_cache(128)(_read_query)


def _format_clause(found: list[Token], text: str, formats: Collection[str]) -> int | None:
    """Index of the FORMAT word of the statement's own FORMAT clause: before the end or before SETTINGS."""
    for index in range(len(found) - 2, 0, -1):
        word, name = found[index], found[index + 1]
        follows = found[index + 2].word if index + 2 < len(found) else ""
        if word.depth == 0 and word.word == "FORMAT" and follows in ("", "SETTINGS") and name.word.isidentifier():
            last_known = text[name.start : name.end].lower() in formats
            if last_known or name.word not in ("ASC", "DESC", "SETTINGS"):
                return index
    return None


def replace_strings(text: str, replacements: dict[str, str]) -> str:
    """`text` with whole string literals of those values replaced: 'a' → 'b'."""
    parts, at = [], 0
    for token in tokens(text):
        value = text[token.start + 1 : token.end - 1] if token.is_string else None
        if value in replacements:
            parts += [text[at : token.start], quote(replacements[value])]
            at = token.end
    return "".join([*parts, text[at:]])


def quote(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
