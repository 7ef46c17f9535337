
resource "terraform_data" "a" {
  input            = null
  triggers_replace = [null, { a = null }]
}
resource "terraform_data" "b" {
  triggers_replace = []
  input            = {}
}
output "o" {
  value = [terraform_data.a.output, terraform_data.b.output]
}
