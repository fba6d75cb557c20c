package node

// etcd is the API server's store.
func etcd(l Layout) Component {
	return Component{
		Name: "etcd",
		Args: []string{
			"--name=atelier",
			"--data-dir=" + l.Dir + "/etcd",
			"--listen-client-urls=http://" + l.Etcd(),
			"--advertise-client-urls=http://" + l.Etcd(),
			"--listen-peer-urls=http://127.0.0.1:2380",
			"--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=atelier=http://127.0.0.1:2380",
			// The page cache outlives every process; only a crash of the whole machine loses data, and the cluster with it.
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
	}
}
