
locals {
  m = { for i in range(3) : "k${i}" => i if i != 1 }
}
resource "terraform_data" "a" {
  for_each = local.m
  input    = "${each.key}=${each.value}"
}
resource "terraform_data" "b" {
  for_each = terraform_data.a
  input    = each.value.input
}
output "ids" {
  value = keys(terraform_data.b)
}
