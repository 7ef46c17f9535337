
module "m" {
  source = "./m"
  a      = "abc"
  b      = [1]
}
