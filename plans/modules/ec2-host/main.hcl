# One instance with a public address, reachable over SSH with a host key that is known before it exists.

locals {
  tags = merge(var.tags, { Name = var.name })

  # One rule for each port and network, by a name that stays when others come and go.
  rules = merge([
    for service, open in var.ingress : {
      for source in open.sources : "${service} ${source}" => {
        service = service
        port    = open.port
        source  = source
      }
    }
  ]...)
}

data "aws_vpc" "this" {
  id      = var.vpc_id
  default = var.vpc_id == null ? true : null
}

data "aws_subnet" "this" {
  id                = var.subnet_id
  vpc_id            = data.aws_vpc.this.id
  availability_zone = var.subnet_id == null ? var.availability_zone : null
  default_for_az    = var.subnet_id == null ? true : null
}

data "aws_ami" "ubuntu" {
  count = var.ami == null ? 1 : 0

  most_recent = true
  owners      = [var.ami_owner]

  dynamic "filter" {
    for_each = {
      name                = var.ami_name
      state               = "available"
      architecture        = "x86_64"
      virtualization-type = "hvm"
      root-device-type    = "ebs"
    }
    content {
      name   = filter.key
      values = [filter.value]
    }
  }
}

# The user's key.
resource "tls_private_key" "user" {
  algorithm = "ED25519"
}

# The key the instance shows at the first contact. It travels in the user data, so that no unknown key is ever accepted.
resource "tls_private_key" "host" {
  algorithm = "ED25519"
}

resource "aws_key_pair" "user" {
  key_name   = var.name
  public_key = trimspace(tls_private_key.user.public_key_openssh)
  tags       = local.tags
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "What may reach ${var.name}"
  vpc_id      = data.aws_vpc.this.id
  tags        = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each = local.rules

  security_group_id = aws_security_group.this.id
  description       = each.value.service
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.source
}

resource "aws_instance" "this" {
  ami                         = var.ami == null ? data.aws_ami.ubuntu[0].id : var.ami
  instance_type               = var.instance_type
  key_name                    = aws_key_pair.user.key_name
  subnet_id                   = data.aws_subnet.this.id
  vpc_security_group_ids      = [aws_security_group.this.id]
  associate_public_ip_address = true
  tags                        = local.tags

  user_data = join("\n", ["#cloud-config", yamlencode({
    ssh_deletekeys  = true
    ssh_genkeytypes = []
    ssh_keys = {
      ed25519_private = tls_private_key.host.private_key_openssh
      ed25519_public  = trimspace(tls_private_key.host.public_key_openssh)
    }
  })])

  root_block_device {
    volume_size = var.volume_gib
    volume_type = "gp3"
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  lifecycle {
    ignore_changes  = [ami]
    prevent_destroy = var.protect
  }
}
