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
# error: STK0120 12-20 Reference to undeclared input variable
# hint: did you mean "name"?
# error: STK0120 22-33 Reference to undeclared local value
# hint: did you mean "value"?
# error: STK0120 35-53 Reference to undeclared resource
# hint: did you mean "stack_data.known"?
# error: STK0120 55-65 Reference to undeclared module
# hint: a module is called by a module "m" block
# error: STK0120 67-88 Reference to undeclared resource
# hint: it is declared by a data "cloud_image" "i" block
# error: STK0120 90-106 Reference to undeclared resource
# hint: did you mean "stack_data.known"?
  value = [var.nmae, local.valeu, stack_data.nope.id, module.m.x, data.cloud_image.i.id, stack_data.knwon]
}
# case: references that name nothing
output "a" {
# error: STK0201 12-15 Invalid reference
# error: STK0201 17-25 Invalid "each" attribute
# error: STK0201 27-36 Invalid "path" attribute
# error: STK0201 38-43 Invalid reference
# error: STK0201 45-59 Invalid "terraform" attribute
# error: STK0201 61-65 Invalid reference
  value = [var, each.foo, path.nope, count, terraform.nope, word]
}
# case: what has a meaning in some places only
resource "stack_data" "a" {
# error: STK0118 12-20 Reference to "each" in context without for_each
# error: STK0118 22-33 Reference to "count" in non-counted context
# error: STK0118 35-42 Invalid "self" reference
  input = [each.key, count.index, self.id]
  lifecycle {
    precondition {
# error: STK0118 23-30 Invalid "self" reference
      condition     = self.id != ""
      error_message = "x"
    }
    postcondition {
# error: STK0118 40-55 Invalid reference in postcondition
# hint: the object is called self here
      condition     = self.id != "" && stack_data.a.id != ""
      error_message = "x"
    }
  }
}
resource "stack_data" "b" {
# error: STK0118 21-29 Reference to "each" in context without for_each
  for_each = toset([each.key])
  input    = each.value
}
resource "stack_data" "c" {
# error: STK0118 11-22 Reference to "count" in non-counted context
  count = count.index
  input = count.index
}
# case: a resource may not refer to itself
resource "stack_data" "a" {
# error: STK0118 18-30 Self-referential block
  count = length(stack_data.a)
# error: STK0118 11-23 Self-referential block
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
# error: STK0119 5-25 Unexpected resource instance key
    stack_data.one[0].id,
# error: STK0119 5-23 Missing resource instance key
# hint: for the instance that belongs to this one: stack_data.many[count.index].id
    stack_data.many.id,
# error: STK0119 5-23 Missing resource instance key
# hint: for the instance that belongs to this one: stack_data.each[each.key].id
    stack_data.each.id,
# error: STK0119 5-25 Unsupported attribute
# hint: did you mean "output"?
    stack_data.one.ouput,
# error: STK0119 5-28 Unsupported attribute
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
# error: STK0111 17-32 Invalid depends_on reference
# error: STK0120 55-70 Reference to undeclared resource
# hint: it is declared by a resource "stack_data" "nope" block
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
# error: STK0111 29-34 Invalid reference in replace_triggered_by expression
# hint: put the value into a stack_data resource and refer to that
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
# case: functions that are not there
locals {
# error: STK0211 7-11 Call to unknown function
# hint: did you mean "upper"?
  a = uper("x")
  b = try(nope(1), [for x in [1] : uper(x)])
# error: STK0211 26-31 Call to unknown function
# hint: did you mean "length"?
# error: STK0211 41-45 Call to unknown function
# error: STK0211 54-58 Call to unknown function
  c = { for k, v in {} : lenth(k) => "${nope(v)}" if nope(1) }
  d = provider::cloud::f(1)
}
# case: a local value may not use itself
locals {
# error: STK0118 23-30 Self-referencing local value
  a = [for x in [1] : local.a]
  b = local.a
}
# case: outputs of the root module are stored
# error: STK0105 1-11 Ephemeral output not allowed
output "o" {
  value     = 1
  ephemeral = true
}
