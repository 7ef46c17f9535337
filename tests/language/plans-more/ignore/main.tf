
resource "terraform_data" "a" {
  input            = { x = 1, y = 2 }
  triggers_replace = 1
}
