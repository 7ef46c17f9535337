
variable "p" {}
resource "terraform_data" "t" {
  count = 2
  input = "${var.p}-${count.index}"
}
output "o" {
  value = terraform_data.t[*].output
}
