# case: labels
# error: STK0107 1-9 Missing name for variable
variable {
}
# error: STK0107 14-17 Extraneous label for variable
variable "a" "b" {
}
# error: STK0109 10-14 Invalid variable name
variable "1a" {
}
# error: STK0107 8-11 Extraneous label for locals
locals "x" {
}
# error: STK0107 1-22 Missing name for resource
resource "stack_data" {
}
# error: STK0109 8-13 Invalid output name
output "a b" {
  value = 1
}
# case: duplicates
variable "a" {
}
# error: STK0108 1-13 Duplicate variable declaration
variable "a" {
}
locals {
  l = 1
}
locals {
# error: STK0108 3-4 Duplicate local value definition
  l = 2
}
resource "stack_data" "r" {
}
# error: STK0108 1-26 Duplicate resource "stack_data" configuration
resource "stack_data" "r" {
}
output "o" {
  value = 1
}
# error: STK0108 1-11 Duplicate output definition
output "o" {
  value = 2
}
provider "cloud" {
  region = "x"
}
# error: STK0108 1-17 Duplicate provider configuration
provider "cloud" {
  region = "y"
}
provider "cloud" {
  alias  = "two"
  region = "z"
}
# case: arguments of variables
variable "v" {
# error: STK0105 3-8 Unsupported argument
  value     = 1
# error: STK0128 15-22 Unsuitable value type
  sensitive = "maybe"
# error: STK0105 3-13 Unsupported argument
# hint: did you mean "description"?
  desciption = "x"
}
# error: STK0109 10-17 Invalid variable name
variable "count" {
}
variable "w" {
  type    = number
# error: STK0114 13-18 Invalid default value for variable
  default = "abc"
}
variable "n" {
  type     = string
  nullable = false
# error: STK0114 14-18 Invalid default value for variable
  default  = null
}
variable "f" {
# error: STK0110 13-23 Function calls not allowed
  default = upper("a")
}
variable "g" {
# error: STK0110 13-18 Variables not allowed
  default = var.v
}
# case: types
variable "a" {
# error: STK0220 10-15 Invalid type specification
# hint: did you mean "string"?
  type = strin
}
variable "b" {
# error: STK0220 10-18 Invalid quoted type constraints
  type = "string"
}
variable "c" {
# error: STK0220 10-30 Invalid type specification
  type = list(string, number)
}
# case: rules need a condition and a message
variable "a" {
  default = 1
# error: STK0106 3-13 Missing required argument
  validation {
    condition = var.a == 1
  }
# error: STK0106 3-13 Missing required argument
  validation {
    error_message = "x"
  }
  validation {
# error: STK0131 21-25 Invalid validation expression
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
# error: STK0131 21-33 Invalid variable validation condition
    condition     = local.x == 1
    error_message = "x"
  }
}
locals {
  x = 1
}
# case: outputs
# error: STK0106 1-11 Missing required argument
output "a" {
}
output "b" {
  value = 1
# error: STK0105 3-8 Unsupported argument
  extra = 2
# error: STK0106 3-15 Missing required argument
  precondition {
    condition = var.v
  }
}
variable "v" {
  default = true
}
# case: settings
stack {
# error: STK0115 22-33 Invalid version constraint
  required_version = "yesterday"
  backend "local" {
# error: STK0110 12-17 Variables not allowed
    path = var.x
  }
# error: STK0108 3-15 Duplicate backend block
  backend "s3" {
  }
# error: STK0104 3-8 Unsupported block type
  cloud {
  }
}
# error: STK0108 1-6 Duplicate stack block
stack {
}
# case: checks
# error: STK0106 1-10 Zero assert blocks
check "c" {
}
check "d" {
# error: STK0112 3-25 Invalid data source in check
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
# error: STK0118 11-32 Reference to scoped resource
  value = data.cloud_image.i.id
}
