#!/bin/bash
# verify.sh   proves that the sandbox's cluster carries a whole Istio installation: installs it with Helm as for
# production, sends TLS from a pod with a sidecar through the egress gateway, and removes all of it again.
# Needs: stack-sandbox up cluster stripe mesh; a cluster that has no Istio. Environment: SANDBOX_HOME
set -euo pipefail
cd "$(dirname "$0")/verify"
HOME_FOLDER=${SANDBOX_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/stack/sandbox}
export KUBECONFIG=$HOME_FOLDER/run/kubeconfig
WORK=$(mktemp -d)
export HELM_CACHE_HOME=$WORK/cache HELM_CONFIG_HOME=$WORK/config HELM_DATA_HOME=$WORK/data
K=$HOME_FOLDER/bin/kubectl
H=$HOME_FOLDER/bin/helm
REPOSITORY=http://127.0.0.1:18090 VERSION=1.31.0
NETNS=stack-verify LINK=stackverify ADDRESS=172.31.250.99
BROKER=ip-172-31-250-99.us-east-2.compute.internal
SERVER=
BEGUN=$(date +%s%N)
say() { printf '[%6.1f s] %s\n' "$((($(date +%s%N) - BEGUN) / 100000000))e-1" "$*"; }
fail() { say "FAILED: $*"; exit 1; }

if $K get namespace istio-system >/dev/null 2>&1; then echo "istio-system is there already: this wants a fresh cluster" >&2; exit 1; fi

clean() {
  local status=$?
  $K delete -f egress.yaml --ignore-not-found >/dev/null 2>&1 || true
  $K delete namespace verify-shop --ignore-not-found >/dev/null 2>&1 || true
  for release in istio-egress istio-ingress istiod istio-base; do $H uninstall $release -n istio-system >/dev/null 2>&1 || true; done
  $K delete namespace istio-system --ignore-not-found >/dev/null 2>&1 || true
  $K get crd -o name | grep 'istio[.]io' | xargs -r $K delete >/dev/null || true
  [ -z "$SERVER" ] || kill "$SERVER" 2>/dev/null || true
  ip link delete $LINK 2>/dev/null || true
  ip netns delete $NETNS 2>/dev/null || true
  rm -rf "$WORK"
  say "removed again"
  exit $status
}
trap clean EXIT
trap 'exit 130' INT TERM

# A TLS server in the VPC, outside of the cluster.
ip netns add $NETNS
ip link add $LINK type veth peer name eth0 address 02:ac:1f:00:fa:63 netns $NETNS
ip link set $LINK master stackbr0 up
ip -n $NETNS address add $ADDRESS/16 dev eth0
ip -n $NETNS link set eth0 up
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/key.pem" -out "$WORK/ca.pem" -days 30 -subj "/CN=$BROKER" \
  -addext "subjectAltName=DNS:$BROKER" 2>/dev/null
ip netns exec $NETNS openssl s_server -accept $ADDRESS:5671 -cert "$WORK/ca.pem" -key "$WORK/key.pem" -www >/dev/null 2>&1 &
SERVER=$!

install() {
  local release=$1 chart=$2
  shift 2
  $H upgrade --install "$release" "$chart" --repo $REPOSITORY --version $VERSION -n istio-system --create-namespace \
    --reset-values --wait --timeout 120s "$@" > "$WORK/helm.log" 2>&1 || { tail -3 "$WORK/helm.log"; fail "helm $release"; }
  say "helm: $release"
}
closed() { # how many validating webhooks are in force
  $K get validatingwebhookconfiguration -o jsonpath='{range .items[*]}{range .webhooks[*]}{.failurePolicy}:{.clientConfig.caBundle}{"\n"}{end}{end}' |
    grep -c '^Fail:.' || true
}
install istio-base base --set defaultRevision=default
install istiod istiod -f values-istiod.yaml
$K wait -n istio-system --for=condition=Available deployment/istiod --timeout=120s >/dev/null
for _ in $(seq 300); do [ "$(closed)" -lt 2 ] || break; sleep 0.2; done
[ "$(closed)" -ge 2 ] || fail "the webhooks do not close"
say "webhooks are in force"
install istio-ingress gateway -f values-ingress.yaml
install istio-egress gateway -f values-egress.yaml

$K apply -f shop.yaml >/dev/null
cp "$HOME_FOLDER/run/stripe-ca.pem" "$WORK/stripe.pem"
$K create configmap ca -n verify-shop --from-file="$WORK/ca.pem" --from-file="$WORK/stripe.pem" >/dev/null
$K rollout status deployment/shop -n verify-shop --timeout=120s >/dev/null
say "pod with a sidecar"
request() { # CA URL: the status of an HTTPS request from the pod
  $K exec -n verify-shop deployment/shop -c app -- curl -s -m 8 --cacert "/ca/$1" -o /dev/null -w '%{http_code}' "$2" 2>/dev/null || true
}
until_status() { # STATUS CA URL
  local answer=
  for _ in $(seq 60); do answer=$(request "$2" "$3"); [ "$answer" != "$1" ] || return 0; sleep 0.5; done
  fail "$3 answers $answer instead of $1"
}
until_status 000 ca.pem https://$BROKER:5671/
until_status 000 stripe.pem https://api.stripe.com/v1/charges
say "without egress objects nothing leaves"
$K apply -f egress.yaml >/dev/null
until_status 200 ca.pem https://$BROKER:5671/
until_status 401 stripe.pem https://api.stripe.com/v1/charges
say "with egress objects both answer"
gateway() { $K logs -n istio-system deployment/istio-egressgateway -c istio-proxy --tail=-1; }
for cluster in "outbound|5671||$BROKER" "outbound|443||api.stripe.com"; do
  for _ in $(seq 40); do gateway | grep -qF "$cluster" && break; sleep 0.5; done
  line=$(gateway | grep -F "$cluster" | tail -1) || fail "the gateway's log does not name $cluster"
  say "gateway: $line"
done
counter=$($K exec -n istio-system deployment/istio-egressgateway -c istio-proxy -- pilot-agent request GET clusters |
  grep -F "outbound|5671||$BROKER" | sed -n 's/.*::cx_total:://p' | head -1)
[ "${counter:-0}" -ge 1 ] || fail "the gateway counts no connection"
say "gateway: cx_total $counter"
refused=$($K logs -n istio-system deployment/istiod --tail=-1 | grep -c 'ACK ERROR' || true)
[ "$refused" = 0 ] || fail "the proxies refused $refused configurations"
say "ok"
