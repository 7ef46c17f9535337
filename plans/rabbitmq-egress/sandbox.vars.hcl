# Values for the sandbox (sandbox/README.md). Credentials, the kubeconfig and the path of helm come from the environment,
# as `stack-sandbox up` prints them.
aws_endpoint     = "http://127.0.0.1:18080"
operator_sources = ["172.31.0.1/32"]
client_sources   = ["172.31.32.0/20"]

istio_repository     = "http://127.0.0.1:18090"
istio_version        = "1.31.0"
istiod_resources     = { requests = { cpu = "50m", memory = "128Mi" } }
gateway_resources    = { requests = { cpu = "20m", memory = "64Mi" } }
ingress_service_type = "ClusterIP"
keep_crds            = false
protect              = false

deployments = {
  payment-service = { container = "payment-service", image = "sandbox.local/client:1" }
  payment-history = { container = "payment-history", image = "sandbox.local/client:1" }
}
probe_image    = "sandbox.local/tools:1"
stripe_ca_file = "~/.cache/stack/sandbox/run/stripe-ca.pem"
