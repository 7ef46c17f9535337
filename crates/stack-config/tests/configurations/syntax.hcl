# case: mistakes in several blocks are reported together
variable "a" {
  default = = 1
}
output "good" {
  value = 1
}
output "b" {
  value = [1, 2
}
locals {
  c = 'single'
}
# case: a block without end does not hide the others
variable "a" {
  default = 1
output "o" {
  value = undeclared
}
locals {
  x = 1 1
}
# case: an argument may be set once
locals {
  a = 1
  a = 2
}
# case: one argument a line
variable "v" {
  type = string default = 1
}
# case: braces in strings, heredocs and comments do not count
locals {
  a = "}}} ${"{"} {{{"
  # }
  b = <<-EOT
    }}}
  EOT
}
variable "x" {
  nope = 1
}
# case: arguments and unknown blocks at the top
foo = 1
variabel "x" {
}
terraform {
  required_version = "1.0"
}
resource = 1
# case: expressions that only a closer look refuses
locals {
  a = upper("a"
  b = "x"
}
locals {
  c = "${"
}
# case: a template with a mistake inside
output "o" {
  value = "a ${1 +} b"
}
