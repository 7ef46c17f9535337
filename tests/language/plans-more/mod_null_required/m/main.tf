
variable "a" {
  type     = string
  nullable = false
}
