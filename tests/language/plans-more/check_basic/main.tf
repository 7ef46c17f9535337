
resource "terraform_data" "a" {
  input = 1
}
check "ok" {
  assert {
    condition     = terraform_data.a.input == 1
    error_message = "bad"
  }
  assert {
    condition     = terraform_data.a.output == 1
    error_message = "bad2"
  }
}
