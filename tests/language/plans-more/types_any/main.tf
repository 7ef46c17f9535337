
variable "a" {
  type    = any
  default = null
}
variable "b" {
  type    = set(any)
  default = ["x", 1]
}
variable "c" {
  type    = map(list(number))
  default = {}
}
variable "d" {
  type    = tuple([string, optional_is_no_name])
  default = null
}
output "o" {
  value = [var.a, var.b, var.c]
}
