"""The arguments of a person's choice of the version in use."""

ACTIONS = ("judge", "roll back", "use")


def register_arguments(action: str, version: str | None) -> list[str]:
    """Of `register`; `version` counts for the action use alone. Raises ValueError when it is needed and empty."""
    if action == "use":
        if not version:
            raise ValueError("Version is empty. The action use needs the number of a version; MLflow lists them")
        return ["register", "--version", version]
    return ["register", *(["--rollback"] if action == "roll back" else [])]
