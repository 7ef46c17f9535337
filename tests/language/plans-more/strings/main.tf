
locals {
  n = 3
}
output "o" {
  value = [
    "%{ for i in range(local.n) }${i},%{ endfor }",
    "%{ if local.n > 2 }big%{ else }small%{ endif }",
    <<EOT
%{ for k, v in { a = 1, b = 2 } ~}
${k} = ${v}
%{ endfor ~}
done
EOT
    ,
    "$${x} %%{y}",
    "tab\there \u00e9 \"q\"",
    format("%03d|%-5s|%5.1f", 7, "ab", 3.14159),
  ]
}
