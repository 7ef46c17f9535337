
module "m" {
  source = "./m"
  v      = "bad"
}
