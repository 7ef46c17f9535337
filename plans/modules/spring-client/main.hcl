# Deployments of Spring services as clients of the broker: namespaces, credentials, settings, and pods to probe from.

locals {
  made   = { for name, deployment in var.deployments : name => deployment if deployment.image != null }
  secret = "rabbitmq-client"
  folder = "/etc/rabbitmq-client"

  # Values are strings; a setting that is not wanted is null, so that one left from before goes.
  settings = {
    SPRING_RABBITMQ_HOST               = var.host
    # A list of addresses would outweigh host and port.
    SPRING_RABBITMQ_ADDRESSES          = ""
    SPRING_RABBITMQ_PORT               = tostring(var.port)
    SPRING_RABBITMQ_USERNAME           = var.username
    SPRING_RABBITMQ_VIRTUALHOST        = var.vhost
    SPRING_RABBITMQ_SSL_ENABLED        = tostring(var.tls)
    SPRING_RABBITMQ_SSL_TRUSTSTORE     = "file:${local.folder}/ca.pem"
    SPRING_RABBITMQ_SSL_TRUSTSTORETYPE = "PEM"
  }
}

resource "kubernetes_manifest" "namespace" {
  for_each = {
    (var.namespace)       = "enabled"
    (var.plain_namespace) = "disabled"
  }

  manifest = {
    apiVersion = "v1"
    kind       = "Namespace"
    metadata   = { name = each.key, labels = { "istio-injection" = each.value } }
  }
}

resource "kubernetes_manifest" "credentials" {
  manifest = {
    apiVersion = "v1"
    kind       = "Secret"
    type       = "Opaque"
    metadata   = { name = local.secret, namespace = kubernetes_manifest.namespace[var.namespace].manifest.metadata.name }
    data       = { "ca.pem" = base64encode(var.ca_cert_pem) }
  }

  sensitive_manifest = {
    data = { password = base64encode(var.password) }
  }
}

resource "kubernetes_manifest" "deployment" {
  for_each = local.made

  manifest = {
    apiVersion = "apps/v1"
    kind       = "Deployment"
    metadata   = { name = each.key, namespace = kubernetes_manifest.namespace[var.namespace].manifest.metadata.name }
    spec = {
      replicas = 1
      selector = { matchLabels = { app = each.key } }
      template = {
        metadata = { labels = { app = each.key } }
        spec = {
          terminationGracePeriodSeconds = 1
          containers                    = [{ name = each.value.container, image = each.value.image }]
        }
      }
    }
  }
}

resource "kubernetes_patch" "settings" {
  for_each = var.deployments

  api_version = "apps/v1"
  kind        = "Deployment"
  namespace   = var.namespace
  name        = each.key

  patch = {
    spec = {
      template = {
        # A new password or certificate restarts the pods.
        metadata = { annotations = {
          "stack/rabbitmq-digest" = nonsensitive(sha256("${var.password}${var.ca_cert_pem}"))
        } }
        spec = {
          containers = [{
            name = each.value.container
            env = concat(
              [for name, value in local.settings : { name = name, value = value }],
              [{
                name      = "SPRING_RABBITMQ_PASSWORD"
                valueFrom = { secretKeyRef = { name = local.secret, key = "password" } }
              }],
            )
            volumeMounts = [{ name = local.secret, mountPath = local.folder, readOnly = true }]
          }]
          volumes = [{ name = local.secret, secret = { secretName = local.secret } }]
        }
      }
    }
  }

  wait {
    rollout = true
  }

  depends_on = [kubernetes_manifest.deployment, kubernetes_manifest.credentials]
}

# A pod without sidecar shows the network and the broker, one with a sidecar shows the mesh.
resource "kubernetes_manifest" "probe" {
  for_each = kubernetes_manifest.namespace

  manifest = {
    apiVersion = "v1"
    kind       = "Pod"
    metadata   = { name = "probe", namespace = each.value.manifest.metadata.name, labels = { app = "probe" } }
    spec = {
      terminationGracePeriodSeconds = 1
      containers = [{
        name    = "probe"
        image   = var.probe_image
        command = ["sleep", "infinity"]
      }]
    }
  }

  wait {
    condition {
      type = "Ready"
    }
  }
}
