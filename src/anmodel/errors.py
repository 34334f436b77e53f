"""Every error AnModel raises on purpose.

    AnModelError
    ├── SettingError            a setting is missing or wrong; stops the start     exit 2
    ├── InputError              a file, argument or record from outside is wrong   exit 2, HTTP 422
    │   ├── RequestRefused      a request to the collector may not or cannot be taken   HTTP 4xx or 503, as it says
    │   └── MessageRefused      one message of a topic breaks its contract         HTTP 422, dead letter
    │       ├── EventRefused        of events
    │       └── PredictionRefused   of logged predictions
    ├── ContractError           two parts disagree on columns or versions          exit 3, HTTP 422
    ├── NotReadyError           something needed is not there yet (no snapshot)    exit 4, HTTP 503
    │   └── NoChampionError         no version of the model is in use              exit 6, HTTP 503
    └── UnavailableError        an outside system does not answer; try again       exit 5, HTTP 503
        ├── TopicError          Kafka
        │   └── MessageTooLarge     a topic takes no message of that size
        ├── WarehouseError      ClickHouse
        │   ├── RowsRefused         it refuses rows for what they hold
        │   └── InsertTooLarge      it takes them only in smaller pieces
        ├── LakeError           the folder or bucket of Parquet
        ├── RegistryError       MLflow
        ├── UsersError          the users database
        └── ClusterError        the Kubernetes API, or KServe behind it

A message says what came, what was allowed and what to do. Errors are raised where they are found, always `from`
their cause, and caught once at the edge: an HTTP answer, a dead letter or an exit code.
"""


class AnModelError(Exception):
    """The root; `exit_code` is what a command ends with, `status` what an HTTP answer carries."""

    exit_code = 1
    status = 500


class SettingError(AnModelError):
    """A setting is missing or wrong. The message names the variable."""

    exit_code = 2


class InputError(AnModelError):
    """Something given from outside (a file, an argument, a record) is wrong."""

    exit_code = 2
    status = 422


class RequestRefused(InputError):
    """A request to the collector is not taken, for what it is or for who sent it.

    `field` names what is at fault, `reason` says what came and what was allowed; `retry_after` is the seconds after
    which the same may be sent again, None where that does not help.
    """

    def __init__(self, status: int, field: str, reason: str, retry_after: int | None = None) -> None:
        super().__init__(f"{field}: {reason}")
        self.status = status
        self.field = field
        self.reason = reason
        self.retry_after = retry_after


class MessageRefused(InputError):
    """One message breaks its contract.

    `field` is the path of the field at fault (`body` when the text is no JSON object at all), `reason` says what
    came and what was allowed.
    """

    def __init__(self, field: str, reason: str) -> None:
        self.field = _shortened(field, 200)
        self.reason = _shortened(reason, 1000)
        super().__init__(f"{self.field}: {self.reason}")


class EventRefused(MessageRefused):
    """One event breaks the event contract."""


class PredictionRefused(MessageRefused):
    """One message breaks the contract of logged predictions."""


class ContractError(AnModelError):
    """Two parts disagree: columns of a snapshot against those of a model, say. The message names the difference."""

    exit_code = 3
    status = 422


class NotReadyError(AnModelError):
    """Something that must be made first is not there yet; the message says which command makes it."""

    exit_code = 4
    status = 503


class NoChampionError(NotReadyError):
    """No version of the model is in use yet: of what may be missing, the one thing that is no fault of a forecast."""

    exit_code = 6


class UnavailableError(AnModelError):
    """An outside system does not answer or refuses; trying again later may help."""

    exit_code = 5
    status = 503


class TopicError(UnavailableError):
    """Kafka did not take or give messages."""


class MessageTooLarge(TopicError):
    """A message is larger than its topic takes: no repeat changes that."""


class WarehouseError(UnavailableError):
    """ClickHouse did not answer or refused a statement; the message carries its own code and text.

    `code` is ClickHouse's, None where it did not answer.
    """

    code: int | None

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class RowsRefused(WarehouseError):
    """ClickHouse refuses an insert for what its rows hold: the same rows again would be refused again."""


class InsertTooLarge(WarehouseError):
    """ClickHouse refuses an insert for its size (rows, memory, months); it may take the rows in smaller pieces."""


class LakeError(UnavailableError):
    """The folder or bucket of Parquet files cannot be read or written."""


class RegistryError(UnavailableError):
    """MLflow did not answer or refused."""


class UsersError(UnavailableError):
    """The users database did not answer or refused."""


class ClusterError(UnavailableError):
    """The Kubernetes API did not answer or refused, or what KServe should serve does not come up."""


def _shortened(text: str, most: int) -> str:
    """A text that may be the sender's own, of a length that an answer and a dead letter's headers bear."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"
