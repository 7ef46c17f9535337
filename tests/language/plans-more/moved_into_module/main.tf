
resource "terraform_data" "x" {
  input = 1
}
resource "terraform_data" "l" {
  count = 2
  input = count.index
}
