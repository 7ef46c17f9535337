
variable "v" {
  default = 1
}
module "m" {
  source = "./m"
  v      = var.v
}
output "o" {
  value = module.m.o
}
