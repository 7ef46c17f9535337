
variable "v" {}
output "o" {
  value = var.v
  precondition {
    condition     = var.v > 0
    error_message = "v must be positive, not ${var.v}"
  }
}
