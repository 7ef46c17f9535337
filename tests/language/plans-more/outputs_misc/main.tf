
locals {
  a = { x = 1, y = [1, "a", null, true], z = { n = null } }
}
output "a" {
  value = local.a
}
output "s" {
  value     = sensitive({ p = "q" })
  sensitive = true
}
output "n" {
  value = null
}
output "set" {
  value = toset(["b", "a"])
}
output "num" {
  value = 1 / 3
}
output "big" {
  value = 123456789012345678901234567890
}
output "h" {
  value = <<-EOT
    a
      b ${1 + 1}
    EOT
}
