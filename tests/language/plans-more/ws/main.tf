
output "o" {
  value = [terraform.workspace, path.module]
}
