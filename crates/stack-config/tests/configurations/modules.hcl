# case: arguments of a module
module "m" {
  source = "./m"
  nope   = 2
  x      = var.missing
}
module "n" {
  source = "./m"
  z      = 1
}
output "o" {
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
module "a" {
}
module "b" {
  source = "registry/module"
}
module "c" {
  source = "./missing"
}
module "d" {
  source  = "./m"
  version = "1.0"
}
module "e" {
  source = var.x
}
module "m" {
  source = "./m"
}
module "m" {
  source = "./m"
}
# file: m/main.hcl
locals {
  broken = nope.
}
# case: a module that calls itself
module "m" {
  source = "./m"
}
# file: m/main.hcl
module "again" {
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
  x      = each.key
}
output "o" {
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
  providers = { cloud = cloud.west, cloud.other = cloud.east, stack = cloud.west }
}
module "n" {
  source    = "./m"
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
  provider = cloud.west
}
# case: settings and imports belong to the root
module "m" {
  source = "./m"
}
# file: m/main.hcl
stack {
}
# case: imports in a called module
module "m" {
  source = "./m"
}
# file: m/main.hcl
import {
  to = stack_data.a
  id = "x"
}
resource "stack_data" "a" {
}
