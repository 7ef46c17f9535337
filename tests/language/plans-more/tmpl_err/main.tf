
output "o" {
  value = templatefile("main.tf", 5)
}
output "p" {
  value = file("nope.txt")
}
output "q" {
  value = templatestring(local.t, {})
}
locals {
  t = "$${missing}"
}
