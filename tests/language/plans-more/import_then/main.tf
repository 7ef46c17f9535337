
import {
  to = module.m.terraform_data.a[0]
  id = "11111111-2222-4333-8444-555555555555"
}
module "m" {
  source = "./m"
}
