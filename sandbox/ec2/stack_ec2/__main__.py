"""The sandbox's EC2 and S3 endpoint: `python -m stack_ec2 serve` and `python -m stack_ec2 clean`."""

import argparse
import pathlib
import signal
import sys
import threading

from . import endpoint, hypervisor
from .machines import RecordsOnly


def main():
    parser = argparse.ArgumentParser(prog="stack_ec2", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    serve = verbs.add_parser("serve", help="serve until SIGTERM, then end all hosts")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, required=True, help="port to listen on")
    serve.add_argument("--image", type=pathlib.Path, help="folder of the hosts' system; without it, no hosts")
    serve.add_argument("--disks", type=pathlib.Path, help="folder for the hosts' disks")
    serve.add_argument("--packages", type=pathlib.Path, help="folder for packages that hosts have fetched")
    serve.add_argument("--logs", type=pathlib.Path, help="folder for the hosts' consoles")
    clean = verbs.add_parser("clean", help="remove what hosts have left that were not ended properly")
    clean.add_argument("--disks", type=pathlib.Path, required=True, help="folder of the hosts' disks")
    arguments = parser.parse_args()
    if arguments.verb == "clean":
        hypervisor.clean(arguments.disks)
        return
    if arguments.image is None:
        machines = RecordsOnly()
    else:
        hypervisor.clean(arguments.disks)
        machines = hypervisor.Hypervisor(arguments.disks, arguments.image, arguments.packages, arguments.logs)
    endpoint.install(machines)
    server = endpoint.serve(arguments.host, arguments.port)

    def end(signum, _frame):
        hypervisor.log("endpoint", f"ends on {signal.Signals(signum).name}")
        # Waits for `serve_forever`, which runs in this very thread.
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    hypervisor.log("endpoint", f"serves on {arguments.host}:{server.server_port}")
    server.serve_forever()
    machines.clear()
    sys.exit(0)


main()
