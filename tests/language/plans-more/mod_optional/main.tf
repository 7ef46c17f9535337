
module "m" {
  source = "./m"
  o      = { a = "1" }
  l      = [{ n = "x" }, { n = "y", p = 5 }]
}
output "r" {
  value = module.m.r
}
