
resource "terraform_data" "src" {
  for_each = toset(["a", "b"])
  input    = each.key == "a" ? 1 : 1
}
resource "terraform_data" "dst" {
  for_each = toset(["a", "b"])
  lifecycle {
    replace_triggered_by = [terraform_data.src[each.key]]
  }
}
