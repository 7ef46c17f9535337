output "namespace" {
  description = "Namespace of the application."
  value       = var.namespace
  depends_on  = [kubernetes_patch.settings, kubernetes_manifest.probe]
}

output "plain_namespace" {
  description = "Namespace of the probe without sidecar."
  value       = var.plain_namespace
  depends_on  = [kubernetes_manifest.probe]
}

output "probe_pod" {
  description = "Name of the probe pod in either namespace."
  value       = "probe"
}

output "probe_container" {
  description = "Name of its container."
  value       = "probe"
}
