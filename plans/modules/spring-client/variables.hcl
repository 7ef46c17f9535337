variable "namespace" {
  description = "Namespace of the application; its pods get a sidecar."
  type        = string
  default     = "ecommerce"
}

variable "plain_namespace" {
  description = "Namespace for a probe without sidecar."
  type        = string
  default     = "no-injection"
}

variable "deployments" {
  description = "Deployments that use the broker: for each the container that gets the settings, and an image if the deployment is to be made here; null where it exists already."
  type = map(object({
    container = string
    image     = optional(string)
  }))
}

variable "probe_image" {
  description = "Image of the probe pods; it needs a shell that can open connections, such as bash, and sleep."
  type        = string
}

variable "host" {
  description = "Name of the broker, exactly as the mesh routes it."
  type        = string
}

variable "port" {
  description = "Port of the broker."
  type        = number
}

variable "tls" {
  description = "Connect with TLS."
  type        = bool
}

variable "vhost" {
  description = "Virtual host."
  type        = string
  default     = "/"
}

variable "username" {
  description = "User to log in as."
  type        = string
}

variable "password" {
  description = "That user's password."
  type        = string
  sensitive   = true
}

variable "ca_cert_pem" {
  description = "Certificate of the authority that signed the broker's certificate."
  type        = string
}
