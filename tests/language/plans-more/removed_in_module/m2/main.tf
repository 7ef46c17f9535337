
removed {
  from = terraform_data.old
  lifecycle {
    destroy = false
  }
}
