
resource "terraform_data" "a" {
  input = sensitive("x")
}
output "o" {
  value     = terraform_data.a.output
  sensitive = true
}
output "p" {
  value = nonsensitive(terraform_data.a.input)
}
