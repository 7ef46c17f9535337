"""The HTTP server: moto's applications with the strict EC2 inside."""

import logging
import os
import tempfile

from . import images, network


def prepare():
    """Settings that moto reads when it is imported."""
    file = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
    file.close()
    images.write(file.name)
    os.environ.update(
        MOTO_AMIS_PATH=file.name,
        MOTO_ENABLE_AMI_VALIDATION="true",
        MOTO_ENABLE_KEYPAIR_VALIDATION="true",
        MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION="true",
        MOTO_LOAD_IAM_AWS_MANAGED_POLICIES="false",
    )
    return file.name


def install(machines):
    """Makes moto strict and puts `machines` behind its instances. Once a process. Gives the shared state."""
    listed = prepare()
    from moto.ec2 import utils
    from moto.ec2.models import EC2Backend, ec2_backends
    from moto.ec2.responses import EC2Response

    os.unlink(listed)
    from . import groups, launching, lifecycle
    from .cloud import Cloud, refuse

    cloud = Cloud(machines)
    lifecycle.install(cloud)
    launching.install(cloud)
    groups.install(cloud)

    utils.filter_dict_attribute_mapping["client-token"] = "client_token"
    utils.filter_dict_attribute_mapping["instance-state-code"] = "state_code_text"
    moto_passes = utils.passes_filter_dict

    def passes(instance, filters):
        try:
            return moto_passes(instance, filters)
        except NotImplementedError:
            raise refuse("InvalidParameterValue", "The filter is invalid, or unknown here: " + ", ".join(filters))

    utils.passes_filter_dict = passes
    from moto.ec2.models.instances import Instance

    Instance.state_code_text = property(lambda self: str(self.state_code))

    moto_call = EC2Response.call_action

    def call_action(self):
        with cloud.lock:
            answer = moto_call(self)
        if not self._get_action().startswith(("Describe", "Get")):
            # A rule is in force when its call has been answered.
            cloud.refresh_firewalls()
        return answer

    EC2Response.call_action = call_action

    moto_reset = EC2Backend.reset

    def reset(self):
        if self.region_name == network.REGION:
            cloud.tokens.clear()
            cloud.machines.clear()
        moto_reset(self)
        if self.region_name == network.REGION:
            _reserve(self)

    EC2Backend.reset = reset
    # The first look loads the images and makes the default VPC: no caller should wait for it.
    from moto.core import DEFAULT_ACCOUNT_ID

    _reserve(ec2_backends[DEFAULT_ACCOUNT_ID][network.REGION])
    return cloud


def _reserve(backend):
    """Keeps instances off the addresses of cluster nodes."""
    for subnet in (subnet for zones in backend.subnets.values() for subnet in zones.values()):
        for address in network.NODES:
            if address in subnet.cidr:
                subnet._subnet_ips[str(address)] = None


def serve(host, port):
    """A server that answers in threads. The caller runs `serve_forever`."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.INFO)
    return make_server(
        host,
        port,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
