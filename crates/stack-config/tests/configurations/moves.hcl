# case: what moved is no longer declared
resource "stack_data" "a" {
}
resource "stack_data" "b" {
}
moved {
  from = stack_data.a
  to   = stack_data.b
}
# case: one source and one destination
resource "stack_data" "c" {
}
moved {
  from = stack_data.a
  to   = stack_data.c
}
moved {
  from = stack_data.b
  to   = stack_data.c
}
moved {
  from = stack_data.a
  to   = stack_data.d
}
# case: moves in a circle
moved {
  from = stack_data.a
  to   = stack_data.b
}
moved {
  from = stack_data.b
  to   = stack_data.a
}
# case: addresses of moves
moved {
  from = stack_data.a
  to   = module.m
}
moved {
  from = "stack_data.a"
  to   = stack_data.b
}
moved {
  from = stack_data.a[var.x]
  to   = stack_data.b
}
moved {
  from = stack_data.x
}
# case: a move to itself and between instances
resource "stack_data" "a" {
  count = 1
}
moved {
  from = stack_data.a
  to   = stack_data.a[0]
}
moved {
  from = stack_data.z
  to   = stack_data.z
}
# case: what was removed is no longer declared
resource "stack_data" "a" {
}
removed {
  from = stack_data.a
  lifecycle {
    destroy = false
  }
}
removed {
  from = module.m
}
module "m" {
  source = "./m"
}
# file: m/main.hcl
locals {
}
# case: addresses of removed blocks
removed {
  from = stack_data.a[0]
}
removed {
  from = data.cloud_image.i
}
removed {
  lifecycle {
  }
}
# case: imports
import {
  to = stack_data.nope
  id = "x"
}
import {
  to = data.cloud_image.i
  id = "x"
}
import {
  to       = stack_data.a[each.key]
  id       = each.value
  for_each = var.missing
}
import {
  to = stack_data.a["x"]
}
resource "stack_data" "a" {
  for_each = {}
}
# case: the key of an import is no part of its name
import {
  to       = stack_data.a[each.key]
  id       = each.value
  for_each = { x = "1" }
}
import {
  to = stack_data.nope
  id = each.key
}
resource "stack_data" "a" {
  for_each = {}
}
