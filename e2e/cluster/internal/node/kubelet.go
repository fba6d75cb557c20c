package node

// kubelet runs the pods.
func kubelet(l Layout) Component {
	return Component{
		Name: "kubelet",
		Args: []string{
			"--config=" + l.Config("kubelet.yaml"),
			"--kubeconfig=" + l.Pki("kubelet.kubeconfig"),
			"--node-ip=" + l.NodeIP(),
			"--hostname-override=" + NodeName,
		},
		After: []func() error{listens(l.APIServer()), listens(l.ContainerdSocket())},
	}
}
