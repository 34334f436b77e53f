"""All shoppers' events in the order of their time.

Each shopper is a lazy stream; a heap holds the next event of those whose active time has begun, so memory grows with
the shoppers who are active at once, not with the events.
"""

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush, heapreplace

from anmodel.events import Event
from anmodel.generator.catalogue import Catalogue
from anmodel.generator.options import Options
from anmodel.generator.plan import plan_visits
from anmodel.generator.session import Memory, visit_events
from anmodel.generator.shopper import Shopper, make_shopper
from anmodel.generator.volume import set_events


class Crowd:
    """The chosen shoppers and their events; `total` is how many events there will be."""

    def __init__(self, users: Iterable[tuple[str, str]], options: Options) -> None:
        """`users` are (user_uid, region); their order does not matter."""
        self._options = options
        self._catalogue = Catalogue(options.seed)
        self.shoppers = [make_shopper(uid, region, options) for uid, region in users]
        self.shoppers.sort(key=lambda shopper: (shopper.start, shopper.user_uid))
        self.total = set_events(self.shoppers, options) if self.shoppers else 0

    def events(self) -> Iterator[Event]:
        """Every event, by time and then by user; the same every time it is called."""
        heap: list[tuple[int, str, Event, Iterator[tuple[int, Event]]]] = []
        for shopper in self.shoppers:
            while heap and heap[0][0] < shopper.start:
                yield _next(heap)
            stream = self._stream(shopper)
            at, event = next(stream)
            heappush(heap, (at, shopper.user_uid, event, stream))
        while heap:
            yield _next(heap)

    def _stream(self, shopper: Shopper) -> Iterator[tuple[int, Event]]:
        """One shopper's events, strictly rising in time."""
        visits, memory = plan_visits(shopper, self._options), Memory()
        for number, visit in enumerate(visits):
            until = visits[number + 1].start if number + 1 < len(visits) else shopper.end
            yield from visit_events(shopper, self._options, self._catalogue, number, visit, until, memory)


def _next(heap: list[tuple[int, str, Event, Iterator[tuple[int, Event]]]]) -> Event:
    """The earliest event; its shopper's next one takes its place."""
    _, uid, event, stream = heap[0]
    following = next(stream, None)
    if following is None:
        heappop(heap)
    else:
        heapreplace(heap, (following[0], uid, following[1], stream))
    return event
