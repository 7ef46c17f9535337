"""What stands behind an instance: the contract between the endpoint and whatever runs machines."""

import dataclasses
import threading


@dataclasses.dataclass(frozen=True)
class Launch:
    """All that a machine needs to know of its instance."""

    instance_id: str
    private_address: str
    public_address: str | None
    user_data: bytes
    public_keys: tuple[str, ...]
    firewall: str


class Machines:
    """Runs machines. Calls return at once; what has happened is told to `events`, an object with the methods
    `started`, `reachable`, `stopped`, `destroyed` and `failed`, each of which takes an instance id."""

    events = None

    def launch(self, launch):
        """Makes a machine and boots it: `started`, later `reachable`; or `failed`."""
        raise NotImplementedError

    def start(self, launch):
        """Boots a stopped machine: as `launch`."""
        raise NotImplementedError

    def stop(self, instance_id):
        """Shuts a machine down and keeps its disk: `stopped`."""
        raise NotImplementedError

    def reboot(self, instance_id):
        """Shuts a machine down and boots it again: `reachable`."""
        raise NotImplementedError

    def destroy(self, instance_id):
        """Ends a machine and removes its disk: `destroyed`."""
        raise NotImplementedError

    def set_firewall(self, instance_id, rules):
        """Puts packet filter rules in force before it returns; unknown machines are ignored."""

    def clear(self):
        """Ends all machines before it returns, and tells nobody."""


class RecordsOnly(Machines):
    """No machines: instances are records whose states change after short delays. For machines that cannot boot
    hosts, and for tests of the records alone."""

    def __init__(self, delay=0.2):
        self._delay = delay
        self._timers = []

    def _later(self, event, instance_id, times=1):
        timer = threading.Timer(self._delay * times, lambda: getattr(self.events, event)(instance_id))
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def launch(self, launch):
        self._later("started", launch.instance_id)
        self._later("reachable", launch.instance_id, times=2)

    start = launch

    def stop(self, instance_id):
        self._later("stopped", instance_id)

    def reboot(self, instance_id):
        self._later("reachable", instance_id)

    def destroy(self, instance_id):
        self._later("destroyed", instance_id)

    def clear(self):
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
