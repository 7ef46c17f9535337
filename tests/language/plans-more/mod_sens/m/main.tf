
variable "p" {}
output "p" {
  value     = var.p
  sensitive = true
}
output "len" {
  value = length(var.p)
}
