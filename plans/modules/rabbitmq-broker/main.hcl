# The user that this module manages the broker with. It is imported once, on a blank node, so that the broker never has
# the user "guest".
locals {
  operator = "stack-operator"
  folder   = "/etc/rabbitmq"
}

resource "random_password" "operator" {
  length  = 32
  special = false
}

resource "random_id" "operator_salt" {
  byte_length = 4

  keepers = {
    password = nonsensitive(sha256(random_password.operator.result))
  }
}

resource "random_password" "admin" {
  length  = 32
  special = false
}

resource "host_ready" "broker" {
}

resource "host_package" "broker" {
  names         = ["rabbitmq-server"]
  hold_services = true

  depends_on = [host_ready.broker]
}

resource "host_directory" "certs" {
  path  = "${local.folder}/certs"
  owner = "rabbitmq"
  group = "rabbitmq"
  mode  = "0750"

  depends_on = [host_package.broker]
}

resource "host_file" "ca" {
  path    = "${host_directory.certs.path}/ca_certificate.pem"
  content = local.ca_cert_pem
  owner   = "rabbitmq"
  group   = "rabbitmq"
  mode    = "0444"
}

resource "host_file" "certificate" {
  path    = "${host_directory.certs.path}/server_certificate.pem"
  content = tls_locally_signed_cert.server.cert_pem
  owner   = "rabbitmq"
  group   = "rabbitmq"
  mode    = "0444"
}

resource "host_file" "key" {
  path              = "${host_directory.certs.path}/server_key.pem"
  sensitive_content = tls_private_key.server.private_key_pem
  owner             = "rabbitmq"
  group             = "rabbitmq"
  mode              = "0400"
}

# The node's name is part of where its data lies, so it must not follow the host name.
resource "host_file" "environment" {
  path      = "${local.folder}/rabbitmq-env.conf"
  content   = "NODENAME=rabbit@localhost\n"
  overwrite = true

  depends_on = [host_package.broker]
}

resource "host_file" "plugins" {
  path      = "${local.folder}/enabled_plugins"
  content   = "[rabbitmq_management].\n"
  overwrite = true

  depends_on = [host_package.broker]
}

resource "host_file" "definitions" {
  path  = "${local.folder}/definitions.json"
  owner = "root"
  group = "rabbitmq"
  mode  = "0640"

  sensitive_content = jsonencode({
    vhosts = [{ name = "/" }]
    users = [{
      name              = local.operator
      password_hash     = provider::rabbitmq::password_hash(random_password.operator.result, random_id.operator_salt.hex)
      hashing_algorithm = "rabbit_password_hashing_sha256"
      tags              = "administrator"
    }]
  })

  depends_on = [host_package.broker]
}

resource "host_file" "configuration" {
  path      = "${local.folder}/rabbitmq.conf"
  overwrite = true

  content = <<-EOT
    load_definitions = ${local.folder}/definitions.json
    management.tcp.port = 15672
    management.tcp.ip = ${var.console ? "0.0.0.0" : "127.0.0.1"}
    %{~if var.plain}
    listeners.tcp.default = 5672
    %{~else}
    listeners.tcp = none
    %{~endif}
    %{~if var.tls}
    listeners.ssl.default = 5671
    ssl_options.cacertfile = ${host_file.ca.path}
    ssl_options.certfile = ${host_file.certificate.path}
    ssl_options.keyfile = ${host_file.key.path}
    ssl_options.verify = verify_peer
    ssl_options.fail_if_no_peer_cert = false
    %{~endif}
  EOT

  depends_on = [host_package.broker]
}

resource "host_service" "broker" {
  name = "rabbitmq-server"

  triggers = {
    ca            = host_file.ca.sha256
    certificate   = host_file.certificate.sha256
    key           = host_file.key.sha256
    environment   = host_file.environment.sha256
    plugins       = host_file.plugins.sha256
    definitions   = host_file.definitions.sha256
    configuration = host_file.configuration.sha256
  }
}

resource "rabbitmq_vhost" "clients" {
  count = var.vhost == "/" ? 0 : 1

  name = var.vhost

  depends_on = [host_service.broker]
}

resource "rabbitmq_user" "admin" {
  name     = var.username
  password = random_password.admin.result
  tags     = ["administrator"]

  depends_on = [host_service.broker]
}

resource "rabbitmq_permissions" "admin" {
  user  = rabbitmq_user.admin.name
  vhost = var.vhost == "/" ? "/" : rabbitmq_vhost.clients[0].name
}
