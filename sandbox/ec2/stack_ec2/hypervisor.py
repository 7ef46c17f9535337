"""Runs a host for every instance: one thread each, which does what is asked in the order it was asked."""

import pathlib
import queue
import shutil
import socket
import sys
import threading
import time
import traceback

from . import system
from .host import LINK_PREFIX, NAMESPACE_PREFIX, Host, release_nspawn
from .machines import Machines


class Hypervisor(Machines):
    """Machines that are real.

    `folder` holds the disks, `image` is the system they boot from, `packages` what apt has fetched in earlier
    hosts, `logs` the consoles."""

    def __init__(self, folder, image, packages, logs):
        self._folder, self._image = pathlib.Path(folder), pathlib.Path(image)
        self._packages, self._logs = pathlib.Path(packages), pathlib.Path(logs)
        for made in (self._folder, self._packages, self._logs):
            made.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._keepers = {}

    def launch(self, launch):
        host = Host(
            launch,
            self._folder / launch.instance_id,
            self._image,
            self._packages,
            self._logs / f"host-{launch.instance_id}.log",
        )
        keeper = Keeper(host, self.events, self._forget)
        with self._lock:
            self._keepers[launch.instance_id] = keeper
        keeper.ask("launch", launch)

    def start(self, launch):
        self._ask(launch.instance_id, "start", launch)

    def stop(self, instance_id):
        self._ask(instance_id, "stop")

    def reboot(self, instance_id):
        self._ask(instance_id, "reboot")

    def destroy(self, instance_id):
        if not self._ask(instance_id, "destroy"):
            # Its host could not be made, or is gone by `clear`.
            threading.Thread(target=self.events.destroyed, args=(instance_id,), daemon=True).start()

    def set_firewall(self, instance_id, rules):
        keeper = self._keepers.get(instance_id)
        if keeper is not None:
            try:
                keeper.host.set_firewall(rules)
            except system.Failed as error:
                log(instance_id, f"packet filter rules: {error}")

    def clear(self):
        with self._lock:
            keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.silent = True
            keeper.ask("destroy")
        for keeper in keepers:
            keeper.join()
        clean(self._folder)

    def _ask(self, instance_id, verb, *arguments):
        with self._lock:
            keeper = self._keepers.get(instance_id)
        if keeper is None:
            return False
        keeper.ask(verb, *arguments)
        return True

    def _forget(self, instance_id):
        with self._lock:
            self._keepers.pop(instance_id, None)


class Keeper(threading.Thread):
    """Keeps one host."""

    def __init__(self, host, events, forget):
        self.host = host
        self.instance_id = host.launch.instance_id
        super().__init__(name=self.instance_id, daemon=True)
        self.silent = False
        self._events, self._forget = events, forget
        self._asked = queue.SimpleQueue()
        self._generation = 0
        self.start()

    def ask(self, verb, *arguments):
        self._asked.put((verb, arguments))

    def run(self):
        alive = True
        while alive:
            verb, arguments = self._asked.get()
            begun = time.monotonic()
            try:
                alive = getattr(self, f"_{verb}")(*arguments)
                log(self.instance_id, f"{verb} ({time.monotonic() - begun:.2f} s)")
            except Exception:
                log(self.instance_id, f"{verb} failed: {traceback.format_exc()}")
                alive = self._give_up(verb)
        self._forget(self.instance_id)

    def _tell(self, event):
        if not self.silent:
            getattr(self._events, event)(self.instance_id)

    def _launch(self, launch):
        self.host.make()
        return self._start(launch)

    def _start(self, launch):
        self.host.boot(launch)
        self._tell("started")
        self._watch()
        return True

    def _watch(self):
        """Follows a boot from another thread, so that this one stays free for what is asked."""
        self._generation += 1
        threading.Thread(target=self._follow, args=(self._generation,), daemon=True).start()

    def _follow(self, generation):
        if self.host.wait_reachable():
            self._tell("reachable")
        again = self.host.wait_end()
        # By itself: what was asked for is told by the one who was asked.
        self.ask("ended", generation, again)

    def _ended(self, generation, again):
        if generation != self._generation:
            return True
        if again:
            return self._boot_again()
        self._generation += 1
        self.host.release()
        self._tell("stopped")
        return True

    def _boot_again(self):
        self.host.release()
        self.host.boot(self.host.launch)
        self._watch()
        return True

    def _stop(self):
        self._generation += 1
        self.host.shut_down()
        self._tell("stopped")
        return True

    def _reboot(self):
        self._generation += 1
        self.host.shut_down()
        return self._boot_again()

    def _destroy(self):
        self._generation += 1
        self.host.kill()
        self._tell("destroyed")
        self.host.remove()
        return False

    def _give_up(self, verb):
        self._generation += 1
        try:
            self.host.kill()
        except Exception:
            log(self.instance_id, traceback.format_exc())
        if verb in ("launch", "start"):
            self._tell("failed")
            self.host.remove()
            return False
        if verb == "destroy":
            self._tell("destroyed")
            return False
        self._tell("stopped")
        return True


def clean(folder):
    """Removes what hosts that are gone have left: namespaces, links, mounts, control groups, disks."""
    folder = pathlib.Path(folder)
    for group in system.own_control_groups():
        system.kill_control_group(group)
    for namespace in pathlib.Path("/run/netns").glob(NAMESPACE_PREFIX + "*"):
        system.attempt("ip", "netns", "delete", namespace.name)
    for _, link in socket.if_nameindex():
        if link.startswith(LINK_PREFIX):
            system.attempt("ip", "link", "delete", link)
    for left in folder.glob("*"):
        release_nspawn(left.name, left / "root")
        system.unmount(left / "root")
        shutil.rmtree(left, ignore_errors=True)
    for group in system.own_control_groups():
        system.remove_control_group(group)


def log(instance_id, text):
    print(f"{time.strftime('%H:%M:%S')} {instance_id}: {text}", file=sys.stderr, flush=True)
