# case: arguments against the schema
provider "cloud" {
  region = "x"
}
# error: STK0106 1-30 Missing required argument
resource "cloud_instance" "a" {
# error: STK0105 3-8 Unsupported argument
# hint: did you mean "image"?
  imgae   = "x"
# error: STK0123 3-5 "id" attribute is read-only
  id      = "y"
# warning: STK0124 3-6 Argument is deprecated
  old     = "z"
# error: STK0123 3-10 "address" attribute is read-only
  address = 1
# error: STK0106 3-7 Missing required argument
  disk {
# error: STK0105 5-8 Unsupported argument
# hint: did you mean "type"?
    typ = "x"
  }
# error: STK0104 3-7 Unsupported block type
# hint: did you mean "disk"?
  disc {
  }
# error: STK0104 3-7 Unsupported block type
# hint: did you mean to define the argument "tags"? Write it with an equals sign
  tags {
  }
  root {
    size = 1
  }
# error: STK0108 3-7 Too many root blocks
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
# error: STK0108 3-7 Too many disk blocks
  disk {
    size = 4
  }
  timeouts {
    create = "1m"
    delete = "1h30m"
  }
}
# case: timeouts are constant durations
provider "cloud" {
  region = "x"
}
resource "stack_data" "a" {
  timeouts {
# error: STK0430 14-19 Invalid timeout
    create = "2 m"
# error: STK0430 14-18 Invalid timeout
    update = "0s"
    delete = "90s"
# error: STK0105 5-9 Unsupported argument
    make = "1m"
  }
# error: STK0108 3-11 Duplicate timeouts block
  timeouts {
  }
}
data "cloud_image" "b" {
  name = "x"
  timeouts {
    read = "1m"
# error: STK0105 5-11 Unsupported argument
    create = "1m"
  }
}
# case: types and providers that do not exist
# error: STK0122 1-25 Invalid resource type
# hint: did you mean "stack_data"?
resource "stack_dta" "a" {
}
# error: STK0122 1-29 Invalid resource type
# hint: did you mean provider "cloud"?
# hint: did you mean "cloud_instance"?
resource "clod_instance" "b" {
}
# error: STK0122 1-22 Invalid data source
# hint: "stack_data" is a resource type, not a data source
data "stack_data" "c" {
}
# error: STK0122 1-23 Invalid resource type
# hint: there are the providers cloud, stack
resource "nothing" "d" {
}
# error: STK0122 1-17 Unknown provider
# hint: did you mean "cloud"?
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
# error: STK0105 7-11 Unsupported argument
      nope = disk.key
    }
  }
  dynamic "disk" {
# error: STK0120 16-27 Reference to undeclared input variable
# hint: this variable can be declared with a variable "missing" {} block
    for_each = var.missing
    iterator = it
    content {
# error: STK0120 14-24 Reference to undeclared resource
# hint: it is declared by a resource "disk" "value" block
      size = disk.value
    }
  }
# error: STK0104 3-18 Unsupported block type
  dynamic "thing" {
    for_each = []
    content {
    }
  }
}
# case: a dynamic block needs a collection and content
resource "stack_data" "a" {
# error: STK0106 3-17 Missing required argument
# error: STK0106 3-17 Missing dynamic content block
  dynamic "disk" {
  }
# error: STK0107 3-10 Missing type for dynamic
  dynamic {
  }
  dynamic "x" {
    for_each = []
# error: STK0109 16-20 Invalid dynamic iterator name
    iterator = "it"
    content {
    }
  }
}
# case: meta-arguments
resource "stack_data" "a" {
  count    = 1
# error: STK0112 3-11 Invalid combination of "count" and "for_each"
  for_each = {}
# error: STK0113 14-23 Invalid provider configuration reference
# hint: write the reference without quotes
  provider = "cloud.x"
# error: STK0110 16-28 Invalid expression
  depends_on = stack_data.b
  lifecycle {
# error: STK0110 29-34 Variables not allowed
    create_before_destroy = maybe
# error: STK0105 5-20 Unsupported argument
# hint: did you mean "prevent_destroy"?
    prevent_destory       = true
# error: STK0110 29-34 Invalid expression
    ignore_changes        = "all"
# error: STK0111 30-35 Invalid replace_triggered_by expression
    replace_triggered_by  = [1 + 1]
  }
# error: STK0108 3-12 Duplicate lifecycle block
  lifecycle {
  }
# error: STK0104 3-27 Unsupported block type
# hint: files, packages, services and commands on a host are resources: host_file, host_package, host_service, host_command
  provisioner "local-exec" {
  }
}
resource "stack_data" "b" {
# error: STK0111 17-31 Invalid expression
# hint: write the address without quotes
# error: STK0111 33-34 Invalid expression
# error: STK0111 36-41 Invalid expression
  depends_on = ["stack_data.a", 1, foo()]
}
# case: lifecycle of a data source
data "cloud_image" "i" {
  name = "x"
  lifecycle {
# error: STK0105 5-20 Invalid data resource lifecycle argument
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
# error: STK0119 23-27 Unsupported attribute
# warning: STK0121 36-38 Redundant ignore_changes element
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
# error: STK0113 1-30 Provider requires configuration
resource "cloud_instance" "a" {
  image = "x"
}
resource "cloud_instance" "b" {
  image    = "x"
# error: STK0113 14-24 Provider configuration not present
# hint: declare it: provider "cloud" { alias = "west" }
  provider = cloud.west
}
resource "cloud_instance" "c" {
  image    = "x"
# error: STK0113 14-19 Invalid provider configuration reference
  provider = stack
}
# case: arguments of a provider
# error: STK0106 1-17 Missing required argument
provider "cloud" {
# error: STK0105 3-9 Unsupported argument
# hint: did you mean "region"?
  regoin = "x"
}
