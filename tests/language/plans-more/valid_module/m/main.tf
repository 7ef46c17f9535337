
variable "v" {
  type = string
  validation {
    condition     = var.v == "good"
    error_message = "must be good"
  }
}
