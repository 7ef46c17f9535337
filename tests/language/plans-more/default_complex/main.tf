
variable "o" {
  type = object({
    name = string
    tags = optional(map(string), { a = "b" })
    list = optional(list(object({ x = optional(number, 1) })), [{}])
    nest = optional(object({ y = optional(string, "z"), w = optional(bool) }))
  })
  default = { name = "n" }
}
output "o" {
  value = var.o
}
