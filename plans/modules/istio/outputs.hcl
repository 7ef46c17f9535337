output "namespace" {
  description = "Namespace of the control plane and the gateways."
  value       = var.namespace

  # Who makes Istio objects or injected pods waits until the control plane judges and injects.
  depends_on = [kubernetes_wait.definitions, kubernetes_wait.istiod, kubernetes_wait.injector, kubernetes_wait.validators]
}

output "egress_service" {
  description = "Name of the egress gateway's Service."
  value       = "istio-egressgateway"
  depends_on  = [helm_release.egress]
}

output "egress_selector" {
  description = "Labels of the egress gateway's pods."
  value       = { istio = "egressgateway" }
  depends_on  = [helm_release.egress]
}

output "version" {
  description = "Version of the charts that are installed."
  value       = helm_release.istiod.version
}
