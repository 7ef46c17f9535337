variable "name" {
  description = "Prefix of object and subset names; environments on one cluster each have their own."
  type        = string
  default     = "rabbitmq"
}

variable "host" {
  description = "Name of the external host, exactly as clients use it."
  type        = string
}

variable "addresses" {
  description = "Addresses of the host without a mask. Needed where a port is routed by address: plain AMQP, and TLS without server names."
  type        = list(string)
  default     = []
}

variable "ports" {
  description = "Ports of the host by name. Routing \"sni\" goes by the server name that a TLS client sends, \"opaque\" by address and port."
  type = map(object({
    number  = number
    routing = string
  }))

  validation {
    condition     = length(var.ports) > 0 && alltrue([for port in var.ports : contains(["sni", "opaque"], port.routing)])
    error_message = "At least one port is needed, each with routing \"sni\" or \"opaque\"."
  }
}

variable "namespace" {
  description = "Namespace of the mesh's configuration and its egress gateway."
  type        = string
  default     = "istio-system"
}

variable "client_namespaces" {
  description = "Namespaces whose sidecars may use the route."
  type        = list(string)
}

variable "egress_service" {
  description = "Name of the egress gateway's Service."
  type        = string
  default     = "istio-egressgateway"
}

variable "egress_selector" {
  description = "Labels of the egress gateway's pods."
  type        = map(string)
  default     = { istio = "egressgateway" }
}
