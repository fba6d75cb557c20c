package node

// apiServer is kube-apiserver with an audit log of all writes.
func apiServer(l Layout) Component {
	return Component{
		Name: "kube-apiserver",
		Args: []string{
			"--advertise-address=" + l.NodeIP(),
			"--secure-port=6443",
			"--etcd-servers=http://" + l.Etcd(),
			"--service-cluster-ip-range=" + l.ServiceCIDR(),
			"--tls-cert-file=" + l.Pki("apiserver.crt"),
			"--tls-private-key-file=" + l.Pki("apiserver.key"),
			"--client-ca-file=" + l.Pki("ca.crt"),
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + l.Pki("service-account.key"),
			"--service-account-signing-key-file=" + l.Pki("service-account.key"),
			"--kubelet-client-certificate=" + l.Pki("apiserver-kubelet-client.crt"),
			"--kubelet-client-key=" + l.Pki("apiserver-kubelet-client.key"),
			"--kubelet-certificate-authority=" + l.Pki("ca.crt"),
			"--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file=" + l.Pki("front-proxy-ca.crt"),
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + l.Pki("front-proxy-client.crt"),
			"--proxy-client-key-file=" + l.Pki("front-proxy-client.key"),
			"--enable-aggregator-routing",
			"--audit-policy-file=" + l.Config("audit.yaml"),
			"--audit-log-path=" + l.Log("audit"),
			// Blocking: a write is in the log before its caller has the answer, so tests can count.
			"--audit-log-mode=blocking",
			// Never rotated: tests remember offsets.
			"--audit-log-maxsize=0",
		},
		After: []func() error{listens(l.Etcd())},
	}
}

// controllerManager is kube-controller-manager.
func controllerManager(l Layout) Component {
	config := l.Pki("kube-controller-manager.kubeconfig")
	return Component{
		Name: "kube-controller-manager",
		Args: []string{
			"--kubeconfig=" + config,
			"--authentication-kubeconfig=" + config,
			"--authorization-kubeconfig=" + config,
			"--bind-address=127.0.0.1",
			"--root-ca-file=" + l.Pki("ca.crt"),
			"--cluster-signing-cert-file=" + l.Pki("ca.crt"),
			"--cluster-signing-key-file=" + l.Pki("ca.key"),
			"--service-account-private-key-file=" + l.Pki("service-account.key"),
			"--use-service-account-credentials",
			"--flex-volume-plugin-dir=/var/lib/kubelet/volumeplugins",
			// Each of its controllers asks for a token of its own first; the default limit makes that take seconds.
			"--kube-api-qps=200",
			"--kube-api-burst=400",
			// Autoscalers look every 15 seconds otherwise, and metrics of started pods count after minutes.
			"--horizontal-pod-autoscaler-sync-period=2s",
			// There is one of it, and after a restart it should work at once.
			"--leader-elect=false",
		},
		After: []func() error{authorizes(l)},
	}
}

// scheduler is kube-scheduler.
func scheduler(l Layout) Component {
	config := l.Pki("kube-scheduler.kubeconfig")
	return Component{
		Name: "kube-scheduler",
		Args: []string{
			"--kubeconfig=" + config,
			"--authentication-kubeconfig=" + config,
			"--authorization-kubeconfig=" + config,
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
		},
		After: []func() error{authorizes(l)},
	}
}
