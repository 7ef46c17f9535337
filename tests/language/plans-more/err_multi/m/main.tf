
variable "need" {}
