
variable "p" {
  default   = "x"
  sensitive = true
}
resource "terraform_data" "a" {
  lifecycle {
    precondition {
      condition     = var.p == "y"
      error_message = "p is ${var.p}"
    }
  }
}
