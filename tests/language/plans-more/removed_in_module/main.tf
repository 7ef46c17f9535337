
module "m" {
  source = "./m"
}
