package node

// kubeProxy turns Services into nftables rules.
func kubeProxy(l Layout) Component {
	return Component{
		Name: "kube-proxy",
		Args: []string{
			"--kubeconfig=" + l.Pki("kube-proxy.kubeconfig"),
			"--hostname-override=" + l.NodeName(),
			"--proxy-mode=nftables",
			"--cluster-cidr=" + l.PodCIDR(),
			"--healthz-bind-address=127.0.0.1:10256",
			// These belong to the machine: kube-proxy may not set them here, and exits when it tries in vain.
			"--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-established=0",
			"--conntrack-tcp-timeout-close-wait=0",
			"--oom-score-adj=0",
		},
		After: []func() error{authorizes(l)},
	}
}

// volumes makes volumes for claims, as a storage driver does.
func volumes(l Layout) Component {
	return Component{
		Name:  "volumes",
		Args:  []string{l.Pki("volumes.kubeconfig"), l.Volumes()},
		After: []func() error{exists(l, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/atelier:volumes")},
	}
}

// coreDNS is the cluster's name server, as a process beside the kubelet instead of a pod.
func coreDNS(l Layout) Component {
	return Component{
		Name: "coredns",
		Args: []string{l.Config("Corefile")},
		// Refused once, it would answer without knowing anything until it tries again.
		After: []func() error{exists(l, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:coredns")},
	}
}
