#!/bin/sh
# writes go.mod for building Kubernetes' commands from the module proxy
K=${1:-v1.36.3}; S=v0.${K#v1.}
SRC=$(go mod download -json k8s.io/kubernetes@$K | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
{
echo "module sandbox.local/kubernetes"
echo
echo "go 1.26.0"
echo
echo "godebug default=go1.26"
echo
echo "require k8s.io/kubernetes $K"
echo
echo "tool ("
for c in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do echo "	k8s.io/kubernetes/cmd/$c"; done
echo ")"
echo
echo "replace ("
sed -n 's#^\t\(k8s.io/[a-z-]*\) => ./staging/.*#\1#p' "$SRC" | while read m; do echo "	$m => $m $S"; done
echo ")"
} > go.mod
