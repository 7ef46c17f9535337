output "instance_id" {
  description = "Id of the broker's instance."
  value       = module.host.instance_id
}

output "address" {
  description = "Address the operator reaches the instance at."
  value       = module.host.address
}

output "host" {
  description = "Name of the broker inside the VPC and the cluster."
  value       = module.broker.host
}

output "port" {
  description = "Port that the application uses."
  value       = local.port
}

output "console" {
  description = "URL of the management console."
  value       = "http://${module.host.address}:${module.broker.console_port}/"
}

output "username" {
  description = "Administrator of the broker."
  value       = module.broker.username
}

output "password" {
  description = "The administrator's password."
  value       = module.broker.password
  sensitive   = true
}

output "ca_cert_pem" {
  description = "Authority that signed the broker's certificate."
  value       = module.broker.ca_cert_pem
}

output "ssh_user" {
  description = "User to log in as over SSH."
  value       = module.host.ssh_user
}

output "ssh_private_key" {
  description = "That user's private key."
  value       = module.host.private_key
  sensitive   = true
}

output "ssh_host_keys" {
  description = "Keys that the instance shows over SSH."
  value       = module.host.host_keys
}
