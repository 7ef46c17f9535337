
variable "n" {
  default = 1
}
resource "terraform_data" "a" {
  input = var.n
  lifecycle {
    precondition {
      condition     = var.n > 0
      error_message = "n must be positive."
    }
    postcondition {
      condition     = self.output == var.n
      error_message = "odd"
    }
  }
}
output "o" {
  value = 1
  precondition {
    condition     = var.n < 10
    error_message = "too big"
  }
}
