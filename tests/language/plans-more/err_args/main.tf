
output "a" {
  value = upper()
}
output "b" {
  value = substr("abc", "x", 1)
}
output "c" {
  value = [1, 2][5]
}
output "d" {
  value = { a = 1 }.b
}
output "e" {
  value = 1 + "x"
}
output "f" {
  value = true + 1
}
output "g" {
  value = "a" < "b"
}
output "h" {
  value = !"x"
}
output "i" {
  value = [for x in 5 : x]
}
output "j" {
  value = null.foo
}
output "k" {
  value = "${[1]}"
}
output "l" {
  value = { for x in ["a", "a"] : x => 1 }
}
