package node

// Component is one long-running process of the cluster.
type Component struct {
	// Name is the process's name, its log's name and what `signal` calls it.
	Name string
	// Path of the program; empty means this one, which holds all of Kubernetes.
	Path string
	// Args without the program's name.
	Args []string
	// After lists what must be so before it can start; each returns nil once it is.
	After []func() error
}

// Components lists all processes of the cluster in the order in which they become useful.
func Components(l Layout) []Component {
	return []Component{
		etcd(l),
		containerd(l.first()),
		containerd(l.second()),
		apiServer(l),
		controllerManager(l),
		scheduler(l),
		kubelet(l.first()),
		kubelet(l.second()),
		kubeProxy(l),
		coreDNS(l),
		volumes(l),
	}
}
