
resource "terraform_data" "a" {
  count = sensitive(1)
}
