
locals {
  a = 1
}
