// Validates Kubernetes resources against the published CRDs: `node schemas.mjs NODE_MODULES`, with a JSON list on standard
// input. Prints what is wrong and exits with 1. tests/setup.sh schemas installs what it needs.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const packages = {
  "networking.istio.io": "istio",
  "monitoring.coreos.com": "prometheus-operator",
  "gateway.networking.k8s.io": "gateway-api",
  "gateway.envoyproxy.io": "envoy-gateway",
};

let faults = 0;
for (const resource of JSON.parse(readFileSync(0, "utf8"))) {
  const [group, version] = resource.apiVersion.split("/");
  const file = `@kubernetes-models/${packages[group]}/${group}/${version}/${resource.kind}.js`;
  try {
    const module = await import(pathToFileURL(resolve(process.argv[2], file)));
    new module[resource.kind](resource).validate();
  } catch (fault) {
    faults += 1;
    console.log(`${resource.kind} ${resource.metadata.name}: ${fault.message}`);
  }
}
process.exit(faults ? 1 : 0);
