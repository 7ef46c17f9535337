"""Small steps on the machine that runs the sandbox: programs, mounts, control groups."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time


class Failed(Exception):
    """A program ended with an error; the text holds what it wrote."""


def run(*command, stdin=None):
    """Runs a program to its end and gives its output."""
    done = subprocess.run(
        [str(part) for part in command],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        wrote = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise Failed(f"`{' '.join(str(part) for part in command)}` ended with {done.returncode}: {wrote}")
    return done.stdout


def attempt(*command):
    """Runs a program whose failure means that there was nothing to do."""
    try:
        run(*command)
    except (Failed, OSError):
        return False
    return True


def unmount(path):
    """Takes away all mounts on a path; lazily where something still uses them."""
    while os.path.ismount(path):
        if not attempt("umount", path) and not attempt("umount", "--lazy", path):
            raise Failed(f"{path} cannot be unmounted")


def kill(pid, sent=signal.SIGKILL):
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return False
    return True


def own_control_groups():
    """Folders in which a host needs a control group of its own: its systemd takes the group it is in as its root,
    and would end the processes of its neighbour in it. One of them in systemd's hierarchy of version 1, one in
    version 2, where they are mounted."""
    folders = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, after = line.split(" - ", 1)
        fields, (kind, _, options) = before.split(" "), after.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            folders.append(pathlib.Path(fields[4]) / "stack-sandbox")
    return folders


def kill_control_group(folder):
    """Ends all processes in a control group and below it, also those that are made meanwhile."""
    for _ in range(200):
        pids = []
        for path, _, _ in os.walk(folder):
            with contextlib.suppress(OSError):
                pids += pathlib.Path(path, "cgroup.procs").read_text(encoding="ascii").split()
        if not pids:
            return
        for pid in pids:
            kill(int(pid))
        time.sleep(0.02)


def remove_control_group(folder):
    """Removes a control group with all below it, when their processes have ended."""
    for _ in range(100):
        if not folder.exists():
            return
        for path, _, _ in os.walk(folder, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                # The last process is still being taken away by the kernel.
                continue
        time.sleep(0.02)
