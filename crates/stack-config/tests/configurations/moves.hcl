# case: what moved is no longer declared
resource "stack_data" "a" {
}
resource "stack_data" "b" {
}
# error: STK0117 1-6 Moved object still exists
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
# error: STK0117 1-6 Ambiguous move statements
moved {
  from = stack_data.b
  to   = stack_data.c
}
# error: STK0117 1-6 Ambiguous move statements
moved {
  from = stack_data.a
  to   = stack_data.d
}
# case: moves in a circle
# error: STK0117 1-6 Cyclic dependency in move statements
moved {
  from = stack_data.a
  to   = stack_data.b
}
moved {
  from = stack_data.b
  to   = stack_data.a
}
# case: addresses of moves
# error: STK0117 1-6 Invalid "moved" addresses
moved {
  from = stack_data.a
  to   = module.m
}
moved {
# error: STK0117 10-24 Invalid expression
# hint: write the address without quotes
  from = "stack_data.a"
  to   = stack_data.b
}
moved {
# error: STK0117 10-29 Invalid address
  from = stack_data.a[var.x]
  to   = stack_data.b
}
# error: STK0106 1-6 Missing required argument
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
# error: STK0117 1-6 Redundant move statement
moved {
  from = stack_data.z
  to   = stack_data.z
}
# case: what was removed is no longer declared
# error: STK0117 1-26 Removed resource still exists
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
# error: STK0117 1-11 Removed module still exists
module "m" {
  source = "./m"
}
# file: m/main.hcl
locals {
}
# case: addresses of removed blocks
removed {
# error: STK0117 10-25 Resource instance keys not allowed
  from = stack_data.a[0]
}
removed {
# error: STK0117 10-28 Data source address not allowed
  from = data.cloud_image.i
}
# error: STK0106 1-8 Missing required argument
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
# error: STK0132 8-26 Invalid import address
  to = data.cloud_image.i
  id = "x"
}
import {
  to       = stack_data.a[each.key]
  id       = each.value
  for_each = var.missing
}
# error: STK0106 1-7 Missing required argument
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
# error: STK0132 8-23 Configuration for import target does not exist
  to = stack_data.nope
# error: STK0118 8-16 Reference to "each" in context without for_each
  id = each.key
}
resource "stack_data" "a" {
  for_each = {}
}
# case: one import for each instance
import {
  to = stack_data.a["x"]
  id = "1"
}
import {
  to = stack_data.a["y"]
  id = "2"
}
import {
# error: STK0132 8-25 Duplicate import configuration for "stack_data.a"
  to = stack_data.a["x"]
  id = "3"
}
resource "stack_data" "a" {
  for_each = {}
}
# case: a removed block may leave out what becomes of the objects
removed {
  from = stack_data.a
  lifecycle {
  }
}
