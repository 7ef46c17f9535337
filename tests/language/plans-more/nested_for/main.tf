
locals {
  users = [{ n = "a", g = ["x", "y"] }, { n = "b", g = ["y"] }]
}
output "by_group" {
  value = { for p in flatten([for u in local.users : [for g in u.g : { g = g, n = u.n }]]) : p.g => p.n... }
}
output "m" {
  value = merge([for u in local.users : { (u.n) = u.g }]...)
}
output "s" {
  value = { for k, v in { a = 1, b = 2 } : upper(k) => v * 10 if v > 1 }
}
