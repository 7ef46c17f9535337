
variable "t" {
  ephemeral = true
  default   = "x"
}
output "o" {
  value = var.t
}
