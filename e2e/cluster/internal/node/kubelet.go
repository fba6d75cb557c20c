package node

// kubelet runs the pods of a node.
func kubelet(m Member) Component {
	return Component{
		Name: "kubelet" + m.Suffix(),
		Args: []string{
			"--config=" + m.Config("kubelet"+m.Suffix()+".yaml"),
			"--kubeconfig=" + m.Pki("kubelet"+m.Suffix()+".kubeconfig"),
			"--root-dir=/var/lib/kubelet" + m.Suffix(),
			"--node-ip=" + m.NodeIP(),
			"--node-labels=topology.kubernetes.io/zone=" + m.Zone(),
			"--hostname-override=" + m.NodeName(),
		},
		After: []func() error{m.joined, listens(m.APIServer()), listens(m.ContainerdSocket())},
	}
}
