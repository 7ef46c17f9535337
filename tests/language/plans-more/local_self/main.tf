
locals {
  a = local.a
}
