
resource "terraform_data" "a" {
  for_each = toset(["a"])
}
output "o" {
  value = terraform_data.a["b"].id
}
