
module "m" {
  source   = "./m"
  for_each = { a = 1, b = 2 }
  x        = each.value
}
output "all" {
  value = { for k, m in module.m : k => m.y }
}
output "one" {
  value = module.m["a"].y
}
