
module "m" {
  source = "./m"
  p      = sensitive("x")
}
output "o" {
  value     = module.m
  sensitive = true
}
output "len" {
  value = nonsensitive(module.m.len)
}
