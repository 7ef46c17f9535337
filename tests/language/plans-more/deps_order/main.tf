
resource "terraform_data" "a" {
  input      = 1
  depends_on = [terraform_data.b]
}
resource "terraform_data" "b" {
  input = [for i in range(3) : i]
}
output "o" {
  value = terraform_data.a.output
}
