
locals {
  l = []
}
check "c" {
  assert {
    condition     = local.l[0] == 1
    error_message = "x"
  }
}
check "d" {
  assert {
    condition     = length(local.l) == 1
    error_message = upper(1, 2)
  }
}
