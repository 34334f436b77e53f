"""The users table as the gateway reads it when there are no forecasts. Every method blocks."""

from collections.abc import Iterator
from itertools import islice

from anmodel.gateway.parts import ListedUser
from anmodel.gateway.selection import Selection
from anmodel.users import User, UsersTable


class ShopUsers:
    """Users in the table's order, filtered by search and region. `UsersError` when the database does not answer."""

    def __init__(self, table: UsersTable) -> None:
        self._table = table

    def count(self, selection: Selection) -> int:
        """Users that search and region let through."""
        if not selection.search and selection.region is None:
            return self._table.count()
        return sum(1 for _ in self._matching(selection))

    def page(self, selection: Selection) -> Iterator[ListedUser]:
        """The selection's page, read a block at a time."""
        if selection.region is None and selection.limit is not None:
            found: Iterator[User] = iter(self._table.list(selection.limit, selection.offset, selection.search))
        else:
            end = None if selection.limit is None else selection.offset + selection.limit
            found = islice(self._matching(selection), selection.offset, end)
        return (ListedUser(user.user_uid, user.region or None) for user in found)

    def user(self, user_id: str) -> ListedUser | None:
        """One user, None if the table does not have them."""
        user = self._table.get(user_id)
        return None if user is None else ListedUser(user.user_uid, user.region or None)

    def ping(self) -> None:
        """Ask the database for a sign of life."""
        self._table.list(limit=1)

    def _matching(self, selection: Selection) -> Iterator[User]:
        search = selection.search.casefold()
        for user in self._table.iter_all():
            if search in user.user_uid.casefold() and selection.region in (None, user.region):
                yield user
