# case: mistakes in several blocks are reported together
variable "a" {
# error: STK0101 13-14 Invalid expression
  default = = 1
}
output "good" {
  value = 1
}
output "b" {
  value = [1, 2
# error: STK0101 1-2 Missing item separator
}
locals {
# error: STK0101 7-8 Invalid expression
# hint: strings stand in double quotes
  c = 'single'
}
# case: a block without end does not hide the others
# error: STK0102 1-13 Unclosed configuration block
variable "a" {
  default = 1
output "o" {
  value = undeclared
}
locals {
# error: STK0101 9-10 Missing newline after argument
  x = 1 1
}
# case: an argument may be set once
locals {
  a = 1
# error: STK0103 3-4 Attribute redefined
  a = 2
}
# case: one argument a line
variable "v" {
# error: STK0101 17-18 Missing newline after argument
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
# error: STK0105 3-7 Unsupported argument
  nope = 1
}
# case: arguments and unknown blocks at the top
# error: STK0105 1-4 Unsupported argument
# hint: values that are used in several places stand in a locals block
foo = 1
# error: STK0104 1-9 Unsupported block type
# hint: did you mean "variable"?
variabel "x" {
}
# error: STK0104 1-10 Unsupported block type
# hint: settings stand in a stack block; providers need no declaration
terraform {
  required_version = "1.0"
}
# error: STK0105 1-9 Unsupported argument
# hint: did you mean to define a block of type "resource"? Write it without the equals sign
resource = 1
# case: expressions that only a closer look refuses
locals {
  a = upper("a"
# error: STK0101 3-4 Missing argument separator
  b = "x"
}
locals {
# error: STK0101 11-11 Invalid multi-line string
  c = "${"
}
# case: a template with a mistake inside
output "o" {
# error: STK0101 19-20 Invalid expression
  value = "a ${1 +} b"
}
# case: statements that are none
locals {
# error: STK0101 4-5 Argument or block definition required
  a: 1
}
locals {
# error: STK0101 3-4 Invalid argument name
  "b" = 1
}
locals {
# error: STK0101 3-4 Argument or block definition required
  + 1
}
locals {
# error: STK0101 4-4 Argument or block definition required
  c
}
# error: STK0101 8-9 Unterminated block label
output "d {
  value = 1
}
# error: STK0101 10-11 Invalid block definition
output d = {
  value = 1
}
# error: STK0101 12-13 Invalid block definition
output "e" +
locals {
  f = {
    a = 1
  }
# error: STK0101 3-4 Missing newline after block definition
} g
locals {
  h = 2
}
# case: a heredoc without end
output "ok" {
  value = 1
}
locals {
# error: STK0101 7-12 Unterminated template string
  a = <<EOT
text
}
# case: one brace too many
locals {
  a = 1
}
# error: STK0101 1-2 Argument or block definition required
}
locals {
# error: STK0101 7-8 Invalid expression
  b = = 1
}
# case: comparisons and objects
locals {
# error: STK0101 5-6 Argument or block definition required
  a == 1
}
locals {
# error: STK0101 18-19 Missing key/value separator
  b = { c = 1, d }
}
locals {
# error: STK0101 17-18 Invalid expression
  c = [for x in : x]
}
locals {
# error: STK0101 15-15 Missing false expression in conditional
  d = true ? 1
}
# case: one line holds one argument
# error: STK0101 29-30 Invalid single-argument block definition
variable "a" { type = string, default = "x" }
# error: STK0101 39-40 Argument definition required
resource "stack_data" "b" { lifecycle { prevent_destroy = true } }
variable "c" { type = string }
variable "d" {}
variable "e" { # a comment
  type = string
}
# case: an object may repeat a key, a block may not
locals {
  a = { b = 1, b = 2 }
}
variable "v" {
# error: STK0220 31-32 Invalid type specification
  type = object({ a = string, a = number })
}
# case: labels are plain texts
# error: STK0101 8-9 Invalid string literal
output "a${1}" {
  value = 1
}
# error: STK0109 8-14 Invalid output name
output "a\"b" {
  value = 1
}
