locals {
  make_ca     = var.ca_cert_pem == null
  ca_cert_pem = local.make_ca ? tls_self_signed_cert.ca[0].cert_pem : var.ca_cert_pem
  ca_key_pem  = local.make_ca ? tls_private_key.ca[0].private_key_pem : var.ca_private_key_pem
}

resource "tls_private_key" "ca" {
  count = local.make_ca ? 1 : 0

  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}

resource "tls_self_signed_cert" "ca" {
  count = local.make_ca ? 1 : 0

  private_key_pem       = tls_private_key.ca[0].private_key_pem
  validity_period_hours = 87600
  is_ca_certificate     = true
  allowed_uses          = ["cert_signing", "crl_signing"]

  subject {
    common_name = "RabbitMQ authority"
  }
}

# RSA, because some clients of brokers know nothing else.
resource "tls_private_key" "server" {
  algorithm = "RSA"
  rsa_bits  = 2048
}

resource "tls_cert_request" "server" {
  private_key_pem = tls_private_key.server.private_key_pem
  dns_names       = [var.private_dns]
  ip_addresses    = [var.private_ip]

  subject {
    common_name = var.private_dns
  }
}

resource "tls_locally_signed_cert" "server" {
  ca_private_key_pem    = local.ca_key_pem
  ca_cert_pem           = local.ca_cert_pem
  cert_request_pem      = tls_cert_request.server.cert_request_pem
  validity_period_hours = var.certificate_hours
  early_renewal_hours   = floor(var.certificate_hours / 10)
  allowed_uses          = ["digital_signature", "key_encipherment", "server_auth"]
}
