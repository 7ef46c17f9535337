# case: labels
variable {
}
variable "a" "b" {
}
variable "1a" {
}
locals "x" {
}
resource "stack_data" {
}
output "a b" {
  value = 1
}
# case: duplicates
variable "a" {
}
variable "a" {
}
locals {
  l = 1
}
locals {
  l = 2
}
resource "stack_data" "r" {
}
resource "stack_data" "r" {
}
output "o" {
  value = 1
}
output "o" {
  value = 2
}
provider "cloud" {
  region = "x"
}
provider "cloud" {
  region = "y"
}
provider "cloud" {
  alias  = "two"
  region = "z"
}
# case: arguments of variables
variable "v" {
  value     = 1
  sensitive = "maybe"
  desciption = "x"
}
variable "count" {
}
variable "w" {
  type    = number
  default = "abc"
}
variable "n" {
  type     = string
  nullable = false
  default  = null
}
variable "f" {
  default = upper("a")
}
variable "g" {
  default = var.v
}
# case: types
variable "a" {
  type = strin
}
variable "b" {
  type = "string"
}
variable "c" {
  type = list(string, number)
}
# case: rules need a condition and a message
variable "a" {
  default = 1
  validation {
    condition = var.a == 1
  }
  validation {
    error_message = "x"
  }
  validation {
    condition     = true
    error_message = "x"
  }
  validation {
    condition     = local.x == 1
    error_message = "x"
  }
}
locals {
  x = 1
}
# case: a rule that does not look at its variable
variable "a" {
  default = 1
  validation {
    condition     = local.x == 1
    error_message = "x"
  }
}
locals {
  x = 1
}
# case: outputs
output "a" {
}
output "b" {
  value = 1
  extra = 2
  precondition {
    condition = var.v
  }
}
variable "v" {
  default = true
}
# case: settings
stack {
  required_version = "yesterday"
  backend "local" {
    path = var.x
  }
  backend "s3" {
  }
  cloud {
  }
}
stack {
}
# case: checks
check "c" {
}
check "d" {
  data "cloud_image" "i" {
    name  = "x"
    count = 2
  }
  assert {
    condition     = data.cloud_image.i.id != ""
    error_message = "none"
  }
}
output "o" {
  value = 1
}
# case: a data source of a check is its own
provider "cloud" {
  region = "x"
}
check "d" {
  data "cloud_image" "i" {
    name = "x"
  }
  assert {
    condition     = data.cloud_image.i.id != ""
    error_message = "none"
  }
}
output "o" {
  value = data.cloud_image.i.id
}
