
output "o" {
  value = templatefile("t.tftpl", { names = ["a", "b"], port = 80 })
}
output "p" {
  value = [file("t.tftpl"), filemd5("${path.module}/t.tftpl"), fileexists("./nope"), path.module, path.root, basename(path.cwd) != ""]
}
