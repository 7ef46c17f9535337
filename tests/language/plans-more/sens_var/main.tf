
variable "p" {
  default   = "hunter2"
  sensitive = true
}
resource "terraform_data" "a" {
  input = { p = var.p, q = "open" }
}
output "q" {
  value     = terraform_data.a.output
  sensitive = true
}
output "l" {
  value = nonsensitive(length(var.p))
}
