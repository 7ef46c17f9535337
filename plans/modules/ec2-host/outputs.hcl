output "instance_id" {
  description = "Id of the instance."
  value       = aws_instance.this.id
}

output "address" {
  description = "Address the instance is reached at from outside of its VPC."
  value       = aws_instance.this.public_ip

  # Before its rules are in force nobody reaches the instance.
  depends_on = [aws_vpc_security_group_ingress_rule.this]
}

output "private_ip" {
  description = "Private address."
  value       = aws_instance.this.private_ip
}

output "private_dns" {
  description = "Private DNS name."
  value       = aws_instance.this.private_dns
}

output "ssh_user" {
  description = "User to log in as."
  value       = var.ssh_user
}

output "private_key" {
  description = "Private key of that user."
  value       = tls_private_key.user.private_key_openssh
  sensitive   = true
}

output "host_keys" {
  description = "Public keys that the instance may show."
  value       = [trimspace(tls_private_key.host.public_key_openssh)]
}

output "security_group_id" {
  description = "Id of the security group."
  value       = aws_security_group.this.id
}
