variable "instance_id" {
  description = "Id of the instance the broker runs on. When it changes, everything on it is made anew."
  type        = string
}

variable "address" {
  description = "Address the instance is reached at over SSH."
  type        = string
}

variable "ssh_user" {
  description = "User to log in as; needs sudo without a password."
  type        = string
  default     = "ubuntu"
}

variable "private_key" {
  description = "Private key of that user."
  type        = string
  sensitive   = true
}

variable "host_keys" {
  description = "Public keys the instance may show, in OpenSSH form."
  type        = list(string)
}

variable "private_dns" {
  description = "Private DNS name of the instance: the name that clients use and that its certificate holds."
  type        = string
}

variable "private_ip" {
  description = "Private address of the instance."
  type        = string
}

variable "tls" {
  description = "Listen for AMQP with TLS on port 5671."
  type        = bool
  default     = true
}

variable "plain" {
  description = "Listen for AMQP without TLS on port 5672."
  type        = bool
  default     = true

  validation {
    condition     = var.plain || var.tls
    error_message = "A broker without any listener is of no use: set plain or tls."
  }
}

variable "console" {
  description = "Listen for the management console on every address; otherwise on loopback only, where SSH reaches it."
  type        = bool
  default     = true
}

variable "username" {
  description = "Administrator that clients log in as."
  type        = string
  default     = "admin"
}

variable "vhost" {
  description = "Virtual host of the broker."
  type        = string
  default     = "/"
}

variable "ca_cert_pem" {
  description = "Certificate of the authority that signs the broker's certificate; null: one is made."
  type        = string
  default     = null
}

variable "ca_private_key_pem" {
  description = "Private key of that authority."
  type        = string
  default     = null
  sensitive   = true
}

variable "certificate_hours" {
  description = "How long the broker's certificate is valid, in hours; it is renewed in the last tenth."
  type        = number
  default     = 8760
}
