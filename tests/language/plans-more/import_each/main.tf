
import {
  for_each = { a = "11111111-2222-4333-8444-555555555555", b = "11111111-2222-4333-8444-666666666666" }
  to       = terraform_data.a[each.key]
  id       = each.value
}
resource "terraform_data" "a" {
  for_each = toset(["a", "b"])
}
