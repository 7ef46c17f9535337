output "host" {
  description = "Name of the external host."
  value       = var.host

  # Who uses the route waits until it is complete.
  depends_on = [kubernetes_manifest.virtual_service]
}

output "clusters" {
  description = "Names of the route's clusters in the egress gateway, by port name."
  value       = { for name, port in var.ports : name => "outbound|${port.number}||${var.host}" }
  depends_on  = [kubernetes_manifest.virtual_service]
}
