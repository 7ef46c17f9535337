
resource "terraform_data" "a" {
  count = 2
  input = count.index
  lifecycle {
    postcondition {
      condition     = self.input < 2 && self.id != ""
      error_message = "x"
    }
  }
}
