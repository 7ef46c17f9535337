
variable "n" {
  default = 1
}
resource "terraform_data" "a" {
  lifecycle {
    precondition {
      condition     = var.n
      error_message = "x"
    }
    precondition {
      condition     = var.n == 1 ? null : true
      error_message = "x"
    }
  }
}
