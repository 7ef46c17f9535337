variable "protocol" {
  description = "How the application speaks to the broker: \"tls\" (port 5671) or \"plain\" (port 5672)."
  type        = string
  default     = "tls"

  validation {
    condition     = contains(["tls", "plain"], var.protocol)
    error_message = "The protocol is \"tls\" or \"plain\"."
  }
}

variable "tls_routing" {
  description = "How TLS to the broker is routed: \"sni\" by the server name that clients send, \"opaque\" by address, for clients that send none."
  type        = string
  default     = "sni"
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-2"
}

variable "aws_endpoint" {
  description = "Address of the AWS services; null: Amazon's."
  type        = string
  default     = null
}

variable "aws_account_ids" {
  description = "Accounts that may be touched; null: any."
  type        = list(string)
  default     = null
}

variable "ami" {
  description = "Image of the instance; null: the newest Ubuntu 24.04 at the time it is made."
  type        = string
  default     = null
}

variable "instance_type" {
  description = "Type of the instance."
  type        = string
  default     = "t2.xlarge"
}

variable "volume_gib" {
  description = "Size of its root volume in GiB."
  type        = number
  default     = 60
}

variable "vpc_id" {
  description = "VPC of the instance; null: the region's default one."
  type        = string
  default     = null
}

variable "subnet_id" {
  description = "Subnet of the instance, a public one; null: the default one of the availability zone."
  type        = string
  default     = null
}

variable "availability_zone" {
  description = "Availability zone of the instance where no subnet is given; null: the region's zone a."
  type        = string
  default     = null
}

variable "operator_sources" {
  description = "Networks (CIDR) from which SSH, the console and the broker may be reached: where this plan is applied from, and the administrators."
  type        = set(string)

  validation {
    condition     = length(var.operator_sources) > 0
    error_message = "Without a network to come from, nobody can set the broker up."
  }
}

variable "client_sources" {
  description = "Networks (CIDR) from which the broker is used: what the cluster's pods or nodes send from, such as its subnets."
  type        = set(string)
}

variable "kubeconfig" {
  description = "Path of the kubeconfig; null: the environment variable KUBECONFIG names it."
  type        = string
  default     = null
}

variable "kube_context" {
  description = "Context in the kubeconfig; null: its current one."
  type        = string
  default     = null
}

variable "cluster_id" {
  description = "Uid of the namespace kube-system of the only cluster that may be touched; null: any."
  type        = string
  default     = null
}

variable "helm" {
  description = "The program helm; null: the one on PATH."
  type        = string
  default     = null
}

variable "istio_repository" {
  description = "Helm repository with Istio's charts."
  type        = string
  default     = "https://istio-release.storage.googleapis.com/charts"
}

variable "istio_version" {
  description = "Version of the charts."
  type        = string
  default     = "1.30.3"
}

variable "istiod_resources" {
  description = "What istiod asks for."
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
  description = "Type of the ingress gateway's Service; ClusterIP where the cluster has no load balancer."
  type        = string
  default     = "LoadBalancer"
}

variable "keep_crds" {
  description = "Keep Istio's resource definitions on destroy. Removing them removes every Istio object of the cluster."
  type        = bool
  default     = true
}

variable "namespace" {
  description = "Namespace of the application."
  type        = string
  default     = "ecommerce"
}

variable "probe_namespace" {
  description = "Namespace for a probe without sidecar."
  type        = string
  default     = "no-injection"
}

variable "deployments" {
  description = "Deployments that use the broker: for each the container that gets the settings, and an image where the deployment is to be made here."
  type = map(object({
    container = string
    image     = optional(string)
  }))
}

variable "probe_image" {
  description = "Image of the pods that are probed from; it needs bash (or socat, or nc) and sleep."
  type        = string
}

variable "stripe_ca_file" {
  description = "File with the authority that signs api.stripe.com's certificate; null: those of this machine."
  type        = string
  default     = null
}

variable "protect" {
  description = "Whether plans that would destroy or replace the broker's instance are refused, for its queues would be lost. Set it to false before a destroy, and in environments that come and go."
  type        = bool
  default     = true
}
