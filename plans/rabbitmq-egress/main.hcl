# A RabbitMQ broker with TLS on an instance of its own, Istio with its gateways, and the way of an application's traffic
# through the egress gateway: to the broker and to Stripe.

stack {
  required_version = ">= 0.1.0"

  backend "local" {
    path = "../../state/rabbitmq-egress"
  }
}

provider "aws" {
  region              = var.region
  endpoint            = var.aws_endpoint
  allowed_account_ids = var.aws_account_ids

  default_tags {
    tags = { environment = stack.environment }
  }
}

provider "kubernetes" {
  config_path    = var.kubeconfig
  config_context = var.kube_context
  cluster_id     = var.cluster_id
}

provider "helm" {
  config_path    = var.kubeconfig
  config_context = var.kube_context
  cluster_id     = var.cluster_id
  binary         = var.helm
}

provider "probe" {
  kubernetes {
    config_path    = var.kubeconfig
    config_context = var.kube_context
    cluster_id     = var.cluster_id
  }
}

locals {
  tls    = var.protocol == "tls"
  port   = local.tls ? 5671 : 5672
  amqp   = local.tls ? "amqps" : "amqp"
  stripe = "api.stripe.com"
}

module "host" {
  source = "../modules/ec2-host"

  name              = "rabbitmq-${stack.environment}"
  ami               = var.ami
  instance_type     = var.instance_type
  volume_gib        = var.volume_gib
  protect           = var.protect
  vpc_id            = var.vpc_id
  subnet_id         = var.subnet_id
  availability_zone = coalesce(var.availability_zone, "${var.region}a")

  ingress = {
    ssh     = { port = 22, sources = var.operator_sources }
    console = { port = 15672, sources = var.operator_sources }
    amqps   = { port = 5671, sources = setunion(var.operator_sources, var.client_sources) }
    amqp    = { port = 5672, sources = setunion(var.operator_sources, var.client_sources) }
  }
}

# Brings its own providers "host" and "rabbitmq", which reach the instance over SSH.
module "broker" {
  source = "../modules/rabbitmq-broker"

  instance_id = module.host.instance_id
  address     = module.host.address
  ssh_user    = module.host.ssh_user
  private_key = module.host.private_key
  host_keys   = module.host.host_keys
  private_dns = module.host.private_dns
  private_ip  = module.host.private_ip
}

module "istio" {
  source = "../modules/istio"

  chart_repository     = var.istio_repository
  chart_version        = var.istio_version
  istiod_resources     = var.istiod_resources
  gateway_resources    = var.gateway_resources
  ingress_service_type = var.ingress_service_type
  keep_crds            = var.keep_crds
}

module "egress_rabbitmq" {
  source = "../modules/egress"

  name              = "rabbitmq"
  host              = module.broker.host
  addresses         = [module.broker.address]
  namespace         = module.istio.namespace
  egress_service    = module.istio.egress_service
  egress_selector   = module.istio.egress_selector
  client_namespaces = [var.namespace]

  ports = local.tls ? {
    amqps = { number = 5671, routing = var.tls_routing }
  } : {
    amqp = { number = 5672, routing = "opaque" }
  }
}

module "egress_stripe" {
  source = "../modules/egress"

  name              = "stripe"
  host              = local.stripe
  namespace         = module.istio.namespace
  egress_service    = module.istio.egress_service
  egress_selector   = module.istio.egress_selector
  client_namespaces = [var.namespace]
  ports             = { stripe = { number = 443, routing = "sni" } }
}

module "client" {
  source = "../modules/spring-client"

  namespace       = var.namespace
  plain_namespace = var.probe_namespace
  deployments     = var.deployments
  probe_image     = var.probe_image
  host            = module.egress_rabbitmq.host
  port            = local.port
  tls             = local.tls
  vhost           = module.broker.vhost
  username        = module.broker.username
  password        = module.broker.password
  ca_cert_pem     = module.broker.ca_cert_pem

  # Pods that are made before the injector works get no sidecar.
  depends_on = [module.istio]
}
