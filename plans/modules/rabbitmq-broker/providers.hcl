provider "host" {
  instance    = var.instance_id
  address     = var.address
  user        = var.ssh_user
  private_key = var.private_key
  host_keys   = var.host_keys
}

# The management API is reached through the SSH session, so port 15672 need not be open to the operator.
provider "rabbitmq" {
  instance = var.instance_id
  endpoint = "http://127.0.0.1:15672"
  username = local.operator
  password = random_password.operator.result

  ssh {
    address     = var.address
    user        = var.ssh_user
    private_key = var.private_key
    host_keys   = var.host_keys
  }
}
