
resource "terraform_data" "a" {}
module "m" {
  source   = "./m"
  for_each = toset([terraform_data.a.id])
}
module "n" {
  source = "./m"
  count  = terraform_data.a.id == "x" ? 1 : 0
}
