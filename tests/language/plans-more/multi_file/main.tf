
locals {
  a = "1"
}
