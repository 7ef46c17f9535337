# case: arguments of a module
module "m" {
  source = "./m"
# error: STK0105 3-7 Unsupported argument
  nope   = 2
# error: STK0120 12-23 Reference to undeclared input variable
# hint: this variable can be declared with a variable "missing" {} block
  x      = var.missing
}
# error: STK0106 1-11 Missing required argument
module "n" {
  source = "./m"
# error: STK0105 3-4 Unsupported argument
  z      = 1
}
output "o" {
# error: STK0119 26-39 Unsupported attribute
# hint: what a module gives is declared in its output blocks; module.m has none named "nope"
# error: STK0119 41-65 Unsupported attribute
# hint: what a module gives is declared in its output blocks; module.m has none named "stack_data"
  value = [module.m.out, module.m.nope, module.m.stack_data.a.id, module.n[0].out]
}
# file: m/main.hcl
variable "x" {
}
variable "y" {
  default = 1
}
output "out" {
  value = var.x
}
# case: sources
# error: STK0106 1-11 Missing required argument
module "a" {
}
module "b" {
# error: STK0116 12-29 Unsupported module source
# hint: copy the module into the repository and name its folder, such as ./modules/name
  source = "registry/module"
}
module "c" {
# error: STK0116 12-23 Unreadable module directory
# hint: the path is relative to the folder of the calling module
  source = "./missing"
}
module "d" {
  source  = "./m"
# error: STK0105 3-10 Unsupported argument
# hint: modules are local folders, which have no versions
  version = "1.0"
}
module "e" {
# error: STK0110 12-17 Variables not allowed
  source = var.x
}
module "m" {
  source = "./m"
}
# error: STK0108 1-11 Duplicate module call
module "m" {
  source = "./m"
}
# file: m/main.hcl
locals {
# error: STK0101 17-17 Invalid attribute name
  broken = nope.
}
# case: a module that calls itself
module "m" {
  source = "./m"
}
# file: m/main.hcl
module "again" {
# error: STK0116 12-18 Module calls itself
  source = "../m"
}
# case: iteration
module "m" {
  source   = "./m"
  for_each = toset(["a"])
  x        = each.key
}
module "n" {
  source = "./m"
  count  = 2
# error: STK0118 12-20 Reference to "each" in context without for_each
  x      = each.key
}
output "o" {
# error: STK0119 12-30 Unsupported attribute
# hint: what a module gives is declared in its output blocks; module.m has none named "nope"
  value = [module.m["a"].nope, module.m["a"].out, module.n[0].out, module.n[*].out]
}
# file: m/main.hcl
variable "x" {
}
output "out" {
  value = var.x
}
# case: providers that are passed on
provider "cloud" {
  alias  = "west"
  region = "w"
}
module "m" {
  source    = "./m"
# error: STK0113 71-81 Mismatched provider
  providers = { cloud = cloud.west, cloud.other = cloud.east, stack = cloud.west }
}
module "n" {
  source    = "./m"
# error: STK0113 15-27 Invalid providers argument
  providers = [cloud.west]
}
# file: m/main.hcl
resource "cloud_instance" "a" {
  image    = "x"
  provider = cloud.other
}
# case: a provider that is not passed on
provider "cloud" {
  alias  = "west"
  region = "w"
}
module "m" {
  source = "./m"
}
# file: m/main.hcl
resource "cloud_instance" "a" {
  image    = "x"
# error: STK0113 14-24 Provider configuration not present
# hint: the module block must pass it: providers = { cloud.west = … }
  provider = cloud.west
}
# case: settings and imports belong to the root
module "m" {
  source = "./m"
}
# file: m/main.hcl
# error: STK0104 1-6 Stack block in a called module
stack {
}
# case: imports in a called module
module "m" {
  source = "./m"
}
# file: m/main.hcl
# error: STK0132 1-7 Invalid import configuration
import {
  to = stack_data.a
  id = "x"
}
resource "stack_data" "a" {
}
# case: outputs of a counted module
module "m" {
  source = "./m"
  count  = 1
}
output "o" {
# error: STK0119 12-24 Unsupported attribute
# hint: for the first instance: module.m[0].out; for all of them: module.m[*].out
  value = [module.m.out, module.m[0].out]
}
# file: m/main.hcl
output "out" {
  value = 1
}
