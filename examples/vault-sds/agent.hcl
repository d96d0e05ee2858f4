# Vault's agent beside Envoy (as a sidecar with a shared volume): it writes a file when a secret changes, by moving it into its place.
template_config {
  static_secret_render_interval = "1m"
}
template {
  source      = "/etc/vault/openai.yaml.ctmpl"
  destination = "/etc/envoy/secrets/openai.yaml"
  perms       = "0400"
}
template {
  source      = "/etc/vault/anthropic.yaml.ctmpl"
  destination = "/etc/envoy/secrets/anthropic.yaml"
  perms       = "0400"
}
