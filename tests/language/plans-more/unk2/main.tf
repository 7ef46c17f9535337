
resource "terraform_data" "a" {}
locals {
  id = terraform_data.a.id
  ul = split(",", terraform_data.a.id)
}
output "o" {
  value = {
    a = length(local.ul)
    b = [for x in local.ul : x]
    c = { for x in local.ul : x => 1 }
    d = local.ul[0]
    e = local.ul[*]
    f = tolist(local.ul)
    g = toset(local.ul)
    h = concat(local.ul, ["x"])
    i = join(",", ["a", local.id])
    j = base64encode(local.id)
    k = md5(local.id)
    l = cidrhost(local.id, 1)
    m = jsondecode(local.id)
    n = yamldecode(local.id)
    o = csvdecode(local.id)
    p = local.id == "x" ? 1 : 2
    q = local.id == "x" ? "a" : "b"
    r = local.id == "x" ? [1] : [1, 2]
    s = !(local.id == "x")
    t = local.id == "x" && false
    u = chunklist(local.ul, 2)
    v = compact(local.ul)
    w = coalescelist(local.ul, ["x"])
    x = alltrue([for y in local.ul : y == "a"])
    y = anytrue([true, local.id == "x"])
    z = one([local.id])
  }
}
