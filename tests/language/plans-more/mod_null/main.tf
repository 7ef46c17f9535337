
module "m" {
  source = "./m"
  a      = null
  b      = null
  c      = null
}
output "r" {
  value = module.m.r
}
