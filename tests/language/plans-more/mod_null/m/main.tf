
variable "a" {
  default = "x"
}
variable "b" {
  default  = "y"
  nullable = false
}
variable "c" {
  type = list(string)
}
output "r" {
  value = { a = var.a, b = var.b, c = var.c }
}
