package node

// Component is one long-running process of the cluster.
type Component struct {
	// Name is the process's name, its log's name and what `signal` calls it.
	Name string
	// Path of the program; empty means this one, which holds all of Kubernetes.
	Path string
	// Args without the program's name.
	Args []string
	// After lists the addresses (`host:port` or a Unix socket's path) that must accept connections first.
	After []string
}

// Components lists all processes of the cluster in the order in which they become useful.
func Components(l Layout) []Component {
	return []Component{
		etcd(l),
		containerd(l),
		apiServer(l),
		controllerManager(l),
		scheduler(l),
		kubelet(l),
		kubeProxy(l),
		coreDNS(l),
	}
}
