output "host" {
  description = "Name that clients connect to."
  value       = var.private_dns

  # Who uses the broker waits until its user may do something.
  depends_on = [rabbitmq_permissions.admin]
}

output "address" {
  description = "Private address of the broker."
  value       = var.private_ip
}

output "port" {
  description = "Port with TLS, null when it is off."
  value       = var.tls ? 5671 : null
}

output "plain_port" {
  description = "Port without TLS, null when it is off."
  value       = var.plain ? 5672 : null
}

output "console_port" {
  description = "Port of the management console."
  value       = 15672
  depends_on  = [rabbitmq_permissions.admin]
}

output "vhost" {
  description = "Virtual host."
  value       = var.vhost
}

output "ca_cert_pem" {
  description = "Certificate of the authority that clients must trust."
  value       = local.ca_cert_pem
}

output "username" {
  description = "User that clients log in as."
  value       = rabbitmq_user.admin.name
}

output "password" {
  description = "That user's password."
  value       = random_password.admin.result
  sensitive   = true
}
