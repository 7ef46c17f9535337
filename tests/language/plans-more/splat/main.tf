
resource "terraform_data" "a" {
  count = 2
  input = { n = count.index, l = [count.index] }
}
resource "terraform_data" "s" {
  input = "one"
}
output "o" {
  value = [terraform_data.a[*].input.n, terraform_data.a.*.input.l, terraform_data.s[*].input, [for x in terraform_data.a : x.output.n]]
}
