variable "name" {
  description = "Name of the instance, its security group and its key pair; unique in the region."
  type        = string

  validation {
    condition     = length(var.name) <= 200 && !startswith(var.name, "sg-")
    error_message = "The name has at most 200 characters and does not start with \"sg-\"."
  }
}

variable "instance_type" {
  description = "Type of the instance."
  type        = string
  default     = "t2.xlarge"
}

variable "volume_gib" {
  description = "Size of the root volume in GiB (gp3)."
  type        = number
  default     = 60
}

variable "ami" {
  description = "Image to boot from; null: the newest one of Ubuntu 24.04 (amd64) from Canonical. It counts when the instance is made: a newer image by itself replaces nothing."
  type        = string
  default     = null
}

variable "ami_owner" {
  description = "Account that the Ubuntu image belongs to. China and GovCloud have their own."
  type        = string
  default     = "099720109477"
}

variable "ami_name" {
  description = "Name of the Ubuntu image, with * for the part that changes."
  type        = string
  default     = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
}

variable "ssh_user" {
  description = "User that the image makes for the first login."
  type        = string
  default     = "ubuntu"
}

variable "vpc_id" {
  description = "VPC; null: the region's default one."
  type        = string
  default     = null
}

variable "subnet_id" {
  description = "Subnet; null: the default one of the availability zone."
  type        = string
  default     = null
}

variable "availability_zone" {
  description = "Availability zone whose default subnet is taken where no subnet is named."
  type        = string
  default     = null
}

variable "ingress" {
  description = "Who may reach what: for each service its port and the networks (CIDR) it is open to."
  type = map(object({
    port    = number
    sources = set(string)
  }))
}

variable "protect" {
  description = "Whether plans that would destroy or replace the instance are refused: what it holds would be lost."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of all objects."
  type        = map(string)
  default     = {}
}
