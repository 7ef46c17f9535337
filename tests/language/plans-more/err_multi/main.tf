
locals {
  a = var.missing1
}
resource "terraform_data" "x" {
  input = local.missing2
  nope  = 1
}
module "m" {
  source = "./m"
  bad    = 1
}
output "z" {
  value = module.m.zip
}
