"""ClickHouse's errors: code, name, text, and the HTTP status a server gives each."""

import re
from typing import Final

from anmodel.errors import WarehouseError

_SHAPE: Final = re.compile(r"Code: (\d+)\. DB::Exception: .*", re.DOTALL)
_NAME: Final = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")
_VERSION: Final = re.compile(r"\(version [^()]*(\([^()]*\))?\)\s*$")

# Which status a server answers each error with; all others are 500.
_NAMES_OF_STATUS: Final = {
    400: """BAD_ARGUMENTS CANNOT_COMPILE_REGEXP CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE
        CANNOT_PARSE_QUOTED_STRING CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER
        CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING CANNOT_PARSE_IPV4 CANNOT_PARSE_IPV6 CANNOT_PARSE_UUID
        CANNOT_PARSE_INPUT_ASSERTION_FAILED DUPLICATE_COLUMN ILLEGAL_COLUMN THERE_IS_NO_COLUMN
        UNKNOWN_ELEMENT_IN_AST UNKNOWN_TYPE_OF_AST_NODE TOO_DEEP_AST TOO_BIG_AST UNEXPECTED_AST_STRUCTURE
        SYNTAX_ERROR INCORRECT_DATA TYPE_MISMATCH VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE""",
    401: "REQUIRED_PASSWORD",
    403: "UNKNOWN_USER WRONG_PASSWORD AUTHENTICATION_FAILED SET_NON_GRANTED_ROLE ACCESS_DENIED",
    404: """UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE
        UNKNOWN_SETTING UNKNOWN_DIRECTION_OF_SORTING UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT
        UNKNOWN_DATABASE_ENGINE UNKNOWN_TYPE_OF_QUERY UNKNOWN_ROLE""",
    408: "TIMEOUT_EXCEEDED",
    411: "HTTP_LENGTH_REQUIRED",
    413: "QUERY_IS_TOO_LARGE",
    501: "NOT_IMPLEMENTED",
    503: "SOCKET_TIMEOUT CANNOT_OPEN_FILE CANNOT_SCHEDULE_TASK",
}
_STATUS: Final = {name: status for status, names in _NAMES_OF_STATUS.items() for name in names.split()}


class EngineError(WarehouseError):
    """What ClickHouse says against a request: `code` and `name` are its own, `str()` is the text for the client."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(text, code)
        self.code: int = code
        self.name = name

    @property
    def is_fatal(self) -> bool:
        """The engine itself has crashed and will answer nothing but this until it is started anew."""
        return self.code == 236 and "fatal error" in str(self)

    @property
    def http_status(self) -> int:
        """The status of the HTTP answer; 500 for every error that is not the client's."""
        return _STATUS.get(self.name, 500)


def refusal(code: int, name: str, reason: str) -> EngineError:
    """An error of this front's own, in ClickHouse's form."""
    return EngineError(code, name, f"Code: {code}. DB::Exception: {reason} ({name})")


def from_engine(error: Exception, version: str) -> EngineError:
    """chDB's exception as ClickHouse's error; one without a code becomes STD_EXCEPTION, as on a server."""
    found = _SHAPE.search(str(error))
    if found is None:
        return EngineError(
            1001, "STD_EXCEPTION", f"Code: 1001. DB::Exception: {error} (STD_EXCEPTION) (version {version})"
        )
    text = found.group(0).rstrip()
    names = _NAME.findall(text)
    if not _VERSION.search(text):
        text = f"{text} (version {version})"
    return EngineError(int(found.group(1)), names[-1] if names else "UNKNOWN_EXCEPTION", text)
