"""A queueing simulation of a deployment: one queue per process and one for the engine."""

from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from random import Random

from tests.bench.timing import Samples

_HALVINGS = 8


@dataclass(frozen=True)
class Demand:
    """The average CPU seconds of a request."""

    process: float
    """Seconds of the process until the answer, or until the first event of a turn."""
    engine: float
    word: float = 0.0
    """Seconds of the process for each word after the first event."""
    words: int = 0
    pace: float = 0.1
    """Seconds between two words."""


@dataclass(frozen=True)
class Deployment:
    """A deployment: each process handles one task at a time, and any core of the engine takes a search."""

    processes: int
    cores: int

    def most(self, demand: Demand) -> float:
        """Return the requests per second that use all capacity."""
        each = demand.process + demand.words * demand.word
        return min(self.processes / each, self.cores / demand.engine)


class _Cores:
    def __init__(self, count: int) -> None:
        self._free = [0.0] * count

    def add_task(self, now: float, seconds: float) -> float:
        """Add a task and return when it ends; tasks are served in the order of their arrival."""
        ended = max(now, self._free[0]) + seconds
        heapreplace(self._free, ended)
        return ended


def simulate(site: Deployment, demand: Demand, rate: float, seconds: float) -> Samples:
    """Simulate requests that start at random times; return the times until their answer or first event.

    The CPU time of each request is exponentially distributed, like a mixture of easy and hard requests.
    """
    random = Random(1)  # noqa: S311 - no secret
    processes = [_Cores(1) for _ in range(site.processes)]
    engine, taken = _Cores(site.cores), Samples()
    steps = [demand.process / 2, demand.engine, demand.process / 2]
    now, events = 0.0, list[tuple[float, int, int, float]]()
    while now < seconds:
        now += random.expovariate(rate)
        events.append((now, len(events), 0, now))
    heapify(events)
    while events:
        now, number, step, began = heappop(events)
        process = processes[number % site.processes]
        if step > len(steps):
            process.add_task(now, random.expovariate(1) * demand.word)
        elif step == len(steps):
            taken.seconds.append(now - began)
            for word in range(1, demand.words + 1):
                heappush(events, (now + word * demand.pace, number, step + 1, began))
        else:
            station = engine if step == 1 else process
            ended = station.add_task(now, random.expovariate(1) * steps[step])
            heappush(events, (ended, number, step + 1, began))
    return taken


def max_sustained_rate(site: Deployment, demand: Demand, limit: float, seconds: float) -> float:
    """Return the maximum number of requests per second of which 95 % are answered within the limit."""
    least, most = 0.0, site.most(demand)
    for _ in range(_HALVINGS):
        rate = (least + most) / 2
        if simulate(site, demand, rate, seconds).p95 <= limit:
            least = rate
        else:
            most = rate
    return least
