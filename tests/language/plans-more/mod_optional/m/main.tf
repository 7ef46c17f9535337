
variable "o" {
  type = object({ a = number, b = optional(string, "dflt"), c = optional(object({ d = optional(bool, true) }), {}) })
}
variable "l" {
  type = list(object({ n = string, p = optional(number, 80), q = optional(list(string)) }))
}
output "r" {
  value = { o = var.o, l = var.l }
}
