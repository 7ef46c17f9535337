# case: arguments against the schema
provider "cloud" {
  region = "x"
}
resource "cloud_instance" "a" {
  imgae   = "x"
  id      = "y"
  old     = "z"
  address = 1
  disk {
    typ = "x"
  }
  disc {
  }
  tags {
  }
  root {
    size = 1
  }
  root {
    size = 2
  }
}
# case: too many blocks
provider "cloud" {
  region = "x"
}
resource "cloud_instance" "a" {
  image = "x"
  disk {
    size = 1
  }
  disk {
    size = 2
  }
  disk {
    size = 3
  }
  disk {
    size = 4
  }
  timeouts {
    create = "1m"
    delete = "2m"
  }
}
# case: types and providers that do not exist
resource "stack_dta" "a" {
}
resource "clod_instance" "b" {
}
data "stack_data" "c" {
}
resource "nothing" "d" {
}
provider "cluod" {
}
# case: dynamic blocks
provider "cloud" {
  region = "x"
}
resource "cloud_instance" "a" {
  image = "x"
  dynamic "disk" {
    for_each = [1]
    content {
      size = disk.value
      nope = disk.key
    }
  }
  dynamic "disk" {
    for_each = var.missing
    iterator = it
    content {
      size = disk.value
    }
  }
  dynamic "thing" {
    for_each = []
    content {
    }
  }
}
# case: a dynamic block needs a collection and content
resource "stack_data" "a" {
  dynamic "disk" {
  }
  dynamic {
  }
  dynamic "x" {
    for_each = []
    iterator = "it"
    content {
    }
  }
}
# case: meta-arguments
resource "stack_data" "a" {
  count    = 1
  for_each = {}
  provider = "cloud.x"
  depends_on = stack_data.b
  lifecycle {
    create_before_destroy = maybe
    prevent_destory       = true
    ignore_changes        = "all"
    replace_triggered_by  = [1 + 1]
  }
  lifecycle {
  }
  provisioner "local-exec" {
  }
}
resource "stack_data" "b" {
  depends_on = ["stack_data.a", 1, foo()]
}
# case: lifecycle of a data source
data "cloud_image" "i" {
  name = "x"
  lifecycle {
    prevent_destroy = true
    postcondition {
      condition     = self.id != ""
      error_message = "none"
    }
  }
}
# case: ignored changes must be there
provider "cloud" {
  region = "x"
}
resource "stack_data" "a" {
  lifecycle {
    ignore_changes = [nope, input, id]
  }
}
resource "cloud_instance" "b" {
  image = "x"
  lifecycle {
    ignore_changes = [tags["Name"], disk[0].size]
  }
}
# case: the provider of a resource
resource "cloud_instance" "a" {
  image = "x"
}
resource "cloud_instance" "b" {
  image    = "x"
  provider = cloud.west
}
resource "cloud_instance" "c" {
  image    = "x"
  provider = stack
}
# case: arguments of a provider
provider "cloud" {
  regoin = "x"
}
