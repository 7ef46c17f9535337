# Istio by its Helm charts: definitions, control plane, a gate that opens when the control plane judges objects, gateways.

locals {
  definitions = ["serviceentries", "gateways", "destinationrules", "virtualservices"]

  # A list replaces the chart's list of ports, so all are given. The prefixes declare the protocol.
  egress_ports = [
    { name = "status-port", port = 15021, targetPort = 15021, protocol = "TCP" },
    { name = "tls-https", port = 443, targetPort = 443, protocol = "TCP" },
    { name = "tls-amqps", port = 5671, targetPort = 5671, protocol = "TCP" },
    { name = "tcp-amqp", port = 5672, targetPort = 5672, protocol = "TCP" },
  ]
}

resource "kubernetes_manifest" "namespace" {
  manifest = {
    apiVersion = "v1"
    kind       = "Namespace"
    metadata   = { name = var.namespace }
  }
}

resource "helm_release" "base" {
  name       = "istio-base"
  namespace  = kubernetes_manifest.namespace.manifest.metadata.name
  repository = var.chart_repository
  chart      = "base"
  version    = var.chart_version
  keep_crds  = var.keep_crds
  values     = [yamlencode({ defaultRevision = "default" })]
}

resource "helm_release" "istiod" {
  name       = "istiod"
  namespace  = helm_release.base.namespace
  repository = var.chart_repository
  chart      = "istiod"
  version    = var.chart_version

  values = [yamlencode({
    resources = var.istiod_resources
    global = {
      proxy = { readinessPeriodSeconds = var.proxy_readiness_seconds }
    }
    meshConfig = {
      accessLogFile         = "/dev/stdout"
      outboundTrafficPolicy = { mode = var.outbound_traffic }
    }
  })]
}

# Until istiod has put its certificate into both webhooks, pods are not injected and wrong objects are accepted.
resource "kubernetes_wait" "definitions" {
  api_version = "apiextensions.k8s.io/v1"
  kind        = "CustomResourceDefinition"
  names       = [for name in local.definitions : "${name}.networking.istio.io"]

  condition {
    type = "Established"
  }

  triggers = { release = helm_release.base.id }
}

resource "kubernetes_wait" "istiod" {
  api_version = "apps/v1"
  kind        = "Deployment"
  namespace   = var.namespace
  name        = "istiod"
  rollout     = true

  triggers = { release = helm_release.istiod.id }
}

resource "kubernetes_wait" "injector" {
  api_version = "admissionregistration.k8s.io/v1"
  kind        = "MutatingWebhookConfiguration"
  name        = "istio-sidecar-injector"
  fields      = { "webhooks[*].clientConfig.caBundle" = "*" }

  triggers = { release = helm_release.istiod.id }
}

resource "kubernetes_wait" "validators" {
  api_version = "admissionregistration.k8s.io/v1"
  kind        = "ValidatingWebhookConfiguration"
  names       = ["istiod-default-validator", "istio-validator-${var.namespace}"]

  fields = {
    "webhooks[*].clientConfig.caBundle" = "*"
    "webhooks[*].failurePolicy"         = "Fail"
  }

  triggers = { base = helm_release.base.id, istiod = helm_release.istiod.id }
}

resource "helm_release" "ingress" {
  name       = "istio-ingress"
  namespace  = var.namespace
  repository = var.chart_repository
  chart      = "gateway"
  version    = var.chart_version

  values = [yamlencode({
    name      = "istio-ingressgateway"
    resources = var.gateway_resources
    service   = { type = var.ingress_service_type }
  })]

  depends_on = [kubernetes_wait.definitions, kubernetes_wait.istiod, kubernetes_wait.injector, kubernetes_wait.validators]
}

resource "helm_release" "egress" {
  name       = "istio-egress"
  namespace  = var.namespace
  repository = var.chart_repository
  chart      = "gateway"
  version    = var.chart_version

  values = [yamlencode({
    name      = "istio-egressgateway"
    labels    = { app = "istio-egressgateway", istio = "egressgateway" }
    resources = var.gateway_resources
    service   = { type = "ClusterIP", ports = local.egress_ports }
  })]

  depends_on = [kubernetes_wait.definitions, kubernetes_wait.istiod, kubernetes_wait.injector, kubernetes_wait.validators]
}
