
resource "terraform_data" "a" {
  input = 1
}
resource "terraform_data" "b" {
  lifecycle {
    precondition {
      condition     = terraform_data.a.output == 2
      error_message = "a must be 2"
    }
  }
}
output "o" {
  value = terraform_data.b.id
}
