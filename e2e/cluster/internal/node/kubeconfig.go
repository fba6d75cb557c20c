package node

import (
	"encoding/base64"
	"fmt"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: atelier
clusters:
- name: atelier
  cluster:
    server: https://%s
    certificate-authority-data: %s
users:
- name: %[3]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
contexts:
- name: atelier
  context:
    cluster: atelier
    user: %[3]s
`

func kubeletClient(m Member) subject {
	return subject{name: "system:node:" + m.NodeName(), groups: []string{"system:nodes"}}
}

// writeKubeconfigs gives every client of the API server an identity of its own.
func writeKubeconfigs(l Layout, ca *authority) error {
	for path, who := range map[string]subject{
		l.Kubeconfig(): {name: "admin", groups: []string{"system:masters"}},
		l.Pki("kube-controller-manager.kubeconfig"): {name: "system:kube-controller-manager"},
		l.Pki("kube-scheduler.kubeconfig"):          {name: "system:kube-scheduler"},
		l.Pki("kube-proxy.kubeconfig"):              {name: "system:kube-proxy"},
		l.Pki("coredns.kubeconfig"):                 {name: "system:coredns"},
		l.Pki("volumes.kubeconfig"):                 {name: "atelier:volumes"},
		l.Pki("kubelet.kubeconfig"):                 kubeletClient(l.first()),
		l.Pki("kubelet-2.kubeconfig"):               kubeletClient(l.second()),
	} {
		client, err := ca.issue(who)
		if err != nil {
			return err
		}
		encode := base64.StdEncoding.EncodeToString
		text := fmt.Sprintf(kubeconfig, l.APIServer(), encode(ca.cert), who.name, encode(client.cert), encode(client.key))
		if err := writeFile(path, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}
