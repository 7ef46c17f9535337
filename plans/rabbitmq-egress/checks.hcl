# Proof that it works, by speaking the protocols from where it matters. The credentials never leave this process but to
# the broker.

locals {
  # From a client that has just got its route, the first tries may still be refused.
  attempts = 20
  stripe_ca = var.stripe_ca_file == null ? null : file(pathexpand(var.stripe_ca_file))
}

check "console" {
  data "probe_http" "console" {
    url             = "http://${module.host.address}:${module.broker.console_port}/"
    expected_status = [200]
    attempts        = local.attempts
  }

  assert {
    condition     = data.probe_http.console.success
    error_message = "The console does not answer the operator: ${coalesce(data.probe_http.console.error, "-")}."
  }
}

check "broker_from_operator" {
  data "probe_amqp" "operator" {
    host         = module.host.address
    port         = local.port
    username     = module.broker.username
    password     = module.broker.password
    virtual_host = module.broker.vhost
    attempts     = local.attempts

    dynamic "tls" {
      for_each = local.tls ? [module.broker.host] : []
      content {
        ca_pem      = module.broker.ca_cert_pem
        server_name = tls.value
      }
    }
  }

  assert {
    condition     = data.probe_amqp.operator.success && data.probe_amqp.operator.logged_in
    error_message = "The operator cannot log in to the broker: ${coalesce(data.probe_amqp.operator.error, "-")}."
  }
}

check "broker_from_pod" {
  data "probe_amqp" "pod" {
    from         = "pod"
    host         = module.broker.host
    port         = local.port
    username     = module.broker.username
    password     = module.broker.password
    virtual_host = module.broker.vhost
    attempts     = local.attempts

    pod {
      namespace = module.client.plain_namespace
      name      = module.client.probe_pod
      container = module.client.probe_container
    }

    dynamic "tls" {
      for_each = local.tls ? [module.broker.ca_cert_pem] : []
      content {
        ca_pem = tls.value
      }
    }
  }

  assert {
    condition     = data.probe_amqp.pod.success && data.probe_amqp.pod.logged_in
    error_message = "A pod without sidecar cannot log in to the broker: ${coalesce(data.probe_amqp.pod.error, "-")}."
  }
}

check "broker_through_gateway" {
  data "probe_envoy" "broker" {
    namespace = module.istio.namespace
    selector  = "istio=egressgateway"
    cluster   = module.egress_rabbitmq.clusters[local.amqp]

    probe {
      kind         = local.amqp
      host         = module.egress_rabbitmq.host
      port         = local.port
      ca_pem       = local.tls ? module.broker.ca_cert_pem : null
      username     = module.broker.username
      password     = module.broker.password
      virtual_host = module.broker.vhost
      attempts     = local.attempts

      pod {
        namespace = module.client.namespace
        name      = module.client.probe_pod
        container = module.client.probe_container
      }
    }
  }

  assert {
    condition     = data.probe_envoy.broker.success
    error_message = "A pod with sidecar cannot log in to the broker: ${coalesce(data.probe_envoy.broker.error, "-")}."
  }

  assert {
    condition     = data.probe_envoy.broker.grew
    error_message = "The connection to the broker bypasses the egress gateway: its counter does not grow."
  }
}

check "stripe" {
  data "probe_http" "stripe" {
    from            = "pod"
    url             = "https://${local.stripe}/v1/charges"
    ca_pem          = local.stripe_ca
    expected_status = [401]
    attempts        = local.attempts

    pod {
      namespace = module.client.namespace
      name      = module.client.probe_pod
      container = module.client.probe_container
    }
  }

  assert {
    condition     = data.probe_http.stripe.success
    error_message = "Stripe does not answer a request without a key as it should: ${coalesce(data.probe_http.stripe.error, "-")}."
  }
}

check "stripe_through_gateway" {
  data "probe_envoy" "stripe" {
    namespace = module.istio.namespace
    selector  = "istio=egressgateway"
    cluster   = module.egress_stripe.clusters["stripe"]

    probe {
      kind     = "https"
      host     = module.egress_stripe.host
      port     = 443
      path     = "/v1/charges"
      ca_pem   = local.stripe_ca
      attempts = local.attempts

      pod {
        namespace = module.client.namespace
        name      = module.client.probe_pod
        container = module.client.probe_container
      }
    }
  }

  assert {
    condition     = data.probe_envoy.stripe.success && data.probe_envoy.stripe.grew
    error_message = "Requests to Stripe do not pass the egress gateway: ${coalesce(data.probe_envoy.stripe.error, "its counter does not grow")}."
  }
}
