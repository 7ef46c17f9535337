
output "s" {
  value = sensitive("x")
}
