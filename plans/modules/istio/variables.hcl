variable "chart_repository" {
  description = "Helm repository with the charts base, istiod and gateway."
  type        = string
  default     = "https://istio-release.storage.googleapis.com/charts"
}

variable "chart_version" {
  description = "Version of the charts."
  type        = string
  default     = "1.30.3"
}

variable "namespace" {
  description = "Namespace of the control plane and the gateways."
  type        = string
  default     = "istio-system"
}

variable "outbound_traffic" {
  description = "What sidecars do with traffic to unknown hosts: REGISTRY_ONLY blocks it, ALLOW_ANY lets it bypass the gateway unseen."
  type        = string
  default     = "REGISTRY_ONLY"

  validation {
    condition     = contains(["REGISTRY_ONLY", "ALLOW_ANY"], var.outbound_traffic)
    error_message = "Outbound traffic is REGISTRY_ONLY or ALLOW_ANY."
  }
}

variable "istiod_resources" {
  description = "What istiod asks for; the chart's 500m CPU and 2 GiB are too much for a small cluster."
  type        = map(map(string))
  default     = { requests = { cpu = "500m", memory = "2048Mi" } }
}

variable "gateway_resources" {
  description = "What each gateway asks for and is limited to."
  type        = map(map(string))
  default = {
    requests = { cpu = "100m", memory = "128Mi" }
    limits   = { cpu = "2000m", memory = "1024Mi" }
  }
}

variable "ingress_service_type" {
  description = "Type of the ingress gateway's Service; ClusterIP or NodePort where no load balancer exists."
  type        = string
  default     = "LoadBalancer"
}

variable "proxy_readiness_seconds" {
  description = "Seconds between two readiness probes of a proxy; a gateway is ready at a probe, not before."
  type        = number
  default     = 1
}

variable "keep_crds" {
  description = "Keep Istio's resource definitions when it is destroyed. Removing them removes every Istio object of the cluster."
  type        = bool
  default     = true
}
