
resource "terraform_data" "a" {
  input = { a = [1, 2, { b = "c" }], d = null }
}
resource "terraform_data" "b" {
  input = terraform_data.a.output
}
