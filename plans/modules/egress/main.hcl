# The way of one external host's traffic: sidecar -> egress gateway -> host. One ServiceEntry and one VirtualService hold
# all its ports, because several for one host make routes vanish.

locals {
  gateway_host = "${var.egress_service}.${var.namespace}.svc.cluster.local"
  exported_to  = concat(["."], var.client_namespaces)

  ports = [
    for name, port in var.ports : {
      name     = "${port.routing == "sni" ? "tls" : "tcp"}-${name}"
      number   = port.number
      protocol = port.routing == "sni" ? "TLS" : "TCP"
      sni      = port.routing == "sni"
    }
  ]

  to_gateway = { for port in local.ports : port.name => [{
    destination = { host = local.gateway_host, subset = var.name, port = { number = port.number } }
  }] }

  to_host = { for port in local.ports : port.name => [{
    destination = { host = var.host, port = { number = port.number } }
  }] }

  tls_routes = flatten([for port in local.ports : [
    { match = [{ gateways = ["mesh"], port = port.number, sniHosts = [var.host] }], route = local.to_gateway[port.name] },
    { match = [{ gateways = ["${var.name}-egress"], port = port.number, sniHosts = [var.host] }], route = local.to_host[port.name] },
  ] if port.sni])

  tcp_routes = flatten([for port in local.ports : [
    { match = [{ gateways = ["mesh"], port = port.number }], route = local.to_gateway[port.name] },
    { match = [{ gateways = ["${var.name}-egress"], port = port.number }], route = local.to_host[port.name] },
  ] if !port.sni])
}

resource "kubernetes_manifest" "service_entry" {
  manifest = {
    apiVersion = "networking.istio.io/v1"
    kind       = "ServiceEntry"
    metadata   = { name = var.name, namespace = var.namespace }
    spec = merge(
      {
        hosts      = [var.host]
        location   = "MESH_EXTERNAL"
        resolution = "DNS"
        exportTo   = local.exported_to
        ports      = [for port in local.ports : { number = port.number, name = port.name, protocol = port.protocol }]
      },
      length(var.addresses) > 0 ? { addresses = var.addresses } : {},
    )
  }

  lifecycle {
    precondition {
      condition     = length(var.addresses) > 0 || alltrue([for port in local.ports : port.sni])
      error_message = "A port with routing \"opaque\" needs addresses: without them it would take all traffic to its number, whatever the destination."
    }
  }
}

resource "kubernetes_manifest" "destination_rule" {
  manifest = {
    apiVersion = "networking.istio.io/v1"
    kind       = "DestinationRule"
    metadata   = { name = "egressgateway-${var.name}", namespace = var.namespace }
    spec = {
      host    = local.gateway_host
      subsets = [{ name = var.name }]
    }
  }

  depends_on = [kubernetes_manifest.service_entry]
}

resource "kubernetes_manifest" "gateway" {
  manifest = {
    apiVersion = "networking.istio.io/v1"
    kind       = "Gateway"
    metadata   = { name = "${var.name}-egress", namespace = var.namespace }
    spec = {
      selector = var.egress_selector
      servers = [for port in local.ports : merge(
        {
          port  = { number = port.number, name = port.name, protocol = port.protocol }
          hosts = [var.host]
        },
        port.sni ? { tls = { mode = "PASSTHROUGH" } } : {},
      )]
    }
  }

  depends_on = [kubernetes_manifest.destination_rule]
}

resource "kubernetes_manifest" "virtual_service" {
  manifest = {
    apiVersion = "networking.istio.io/v1"
    kind       = "VirtualService"
    metadata   = { name = "${var.name}-egress", namespace = var.namespace }
    spec = merge(
      {
        hosts    = [var.host]
        gateways = ["mesh", kubernetes_manifest.gateway.manifest.metadata.name]
        exportTo = local.exported_to
      },
      length(local.tcp_routes) > 0 ? { tcp = local.tcp_routes } : {},
      length(local.tls_routes) > 0 ? { tls = local.tls_routes } : {},
    )
  }
}
