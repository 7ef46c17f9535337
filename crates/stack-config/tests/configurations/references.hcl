# case: names that are not declared
variable "name" {
  default = 1
}
locals {
  value = 1
}
resource "stack_data" "known" {
}
output "a" {
  value = [var.nmae, local.valeu, stack_data.nope.id, module.m.x, data.cloud_image.i.id, stack_data.knwon]
}
# case: references that name nothing
output "a" {
  value = [var, each.foo, path.nope, count, terraform.nope, word]
}
# case: what has a meaning in some places only
resource "stack_data" "a" {
  input = [each.key, count.index, self.id]
  lifecycle {
    precondition {
      condition     = self.id != ""
      error_message = "x"
    }
    postcondition {
      condition     = self.id != "" && stack_data.a.id != ""
      error_message = "x"
    }
  }
}
resource "stack_data" "b" {
  for_each = toset([each.key])
  input    = each.value
}
resource "stack_data" "c" {
  count = count.index
  input = count.index
}
# case: a resource may not refer to itself
resource "stack_data" "a" {
  count = length(stack_data.a)
  input = stack_data.a
}
# case: instances and attributes
resource "stack_data" "one" {
}
resource "stack_data" "many" {
  count = 2
}
resource "stack_data" "each" {
  for_each = toset(["a"])
}
output "o" {
  value = [
    stack_data.one[0].id,
    stack_data.many.id,
    stack_data.each.id,
    stack_data.one.ouput,
    stack_data.many[0].nope,
    stack_data.many[*].id,
    stack_data.each["a"].id,
    stack_data.one.id,
  ]
}
# case: depends_on takes whole objects
resource "stack_data" "a" {
}
resource "stack_data" "b" {
  depends_on = [stack_data.a.id, stack_data.a, var.v, stack_data.nope]
}
variable "v" {
  default = 1
}
# case: replace_triggered_by takes resources
resource "stack_data" "a" {
}
resource "stack_data" "b" {
  lifecycle {
    replace_triggered_by = [var.v, stack_data.a.id, stack_data.a]
  }
}
variable "v" {
  default = 1
}
# case: iterators and variables of for are no references
variable "list" {
  default = []
}
provider "cloud" {
  region = "x"
}
resource "cloud_instance" "a" {
  image = join(",", [for image in var.list : image.name])
  dynamic "disk" {
    for_each = var.list
    iterator = each_disk
    content {
      size = each_disk.value
      type = [for k, v in each_disk.value : k][0]
    }
  }
}
