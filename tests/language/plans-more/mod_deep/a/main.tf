
variable "p" {}
module "b" {
  source   = "../b"
  for_each = toset(["x", "y"])
  p        = "${var.p}-${each.key}"
}
output "o" {
  value = { for k, v in module.b : k => v.o }
}
