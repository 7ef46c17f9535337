
resource "terraform_data" "old" {
  input = 1
}
