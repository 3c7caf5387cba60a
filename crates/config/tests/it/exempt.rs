//! Files of Prometheus's tests that are not judged yet, each with its reason.

/// Good files that are refused, and the mechanisms they need. Service discovery beyond static, file,
/// HTTP and DNS is refused by name until it is built.
pub(crate) const NEED_MORE_DISCOVERY: &[&str] = &[
    "conf.good.yml",
    "roundtrip.good.yml",
    // Names scrape_configs/scrape_config_files2.good.yml, which wants vultr.
    "scrape_config_files_glob.good.yml",
    "kubernetes_empty_apiserver.good.yml",
    "kubernetes_kubeconfig_without_apiserver.good.yml",
    "kubernetes_selectors_endpoints.good.yml",
    "kubernetes_selectors_ingress.good.yml",
    "kubernetes_selectors_node.good.yml",
    "kubernetes_selectors_pod.good.yml",
    "kubernetes_selectors_service.good.yml",
    "prometheus-digitalocean.yml",
    "prometheus-docker.yml",
    "prometheus-dockerswarm.yml",
    "prometheus-eureka.yml",
    "prometheus-hetzner.yml",
    "prometheus-ionos.yml",
    "prometheus-kubernetes.yml",
    "prometheus-linode.yml",
    "prometheus-marathon.yml",
    "prometheus-nomad.yml",
    "prometheus-outscale.yml",
    "prometheus-ovhcloud.yml",
    "prometheus-puppetdb.yml",
    "prometheus-scaleway.yml",
    "prometheus-stackit.yml",
    "prometheus-uyuni.yml",
    "prometheus-vultr.yml",
];

/// Why a bad file does not count as rightly refused.
pub(crate) const NEED_MORE_DISCOVERY_BAD: &str =
    "refused, but only because their service discovery is not supported yet";
