
module "a" {
  source = "./a"
  count  = 2
  p      = "r${count.index}"
}
output "o" {
  value = module.a[*].o
}
