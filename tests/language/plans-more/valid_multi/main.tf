
variable "a" {
  type    = number
  default = 10
  validation {
    condition     = var.a >= 10
    error_message = "At least 10."
  }
  validation {
    condition     = var.a <= 20
    error_message = "At most 20, not ${var.a}."
  }
}
output "a" {
  value = var.a
}
