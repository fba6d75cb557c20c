// Package node runs a Kubernetes cluster of one node, or two, in namespaces of its own.
//
// `Up` starts a supervisor that is the first process of a new PID, mount and network namespace;
// everything else is its child. So killing that one process ends every process, mount and
// interface of the cluster at once, and what is left to clean up is a handful of directories.
package node

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	provisioner "atelier.dev/e2e/cluster/internal/volumes"
)

// Networks is how many clusters one machine can run side by side.
const Networks = 256

// longestDir keeps DIR/run/containerd-2/containerd.sock within the 107 bytes of a Unix socket's address.
const longestDir = 107 - len("/run/containerd-2/containerd.sock.ttrpc")

// Layout says where a cluster keeps its files and which addresses it has.
type Layout struct {
	// Dir holds all state of the cluster and is removed with it.
	Dir string `json:"-"`
	// ContainerdDir holds containerd, its shim and ctr.
	ContainerdDir string `json:"containerdDir"`
	// Network numbers the cluster's address ranges: 10.77.N.0/29, 10.78.N.0/24 and 10.79.N.0/24.
	Network int `json:"network"`
}

// ErrNoCluster says that a directory holds no cluster.
var ErrNoCluster = errors.New("no cluster there")

// Load reads the layout of an existing cluster.
func Load(dir string) (Layout, error) {
	layout, err := at(dir)
	if err != nil {
		return layout, err
	}
	text, err := os.ReadFile(layout.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return layout, fmt.Errorf("failed to find a cluster in %s: %w", layout.Dir, ErrNoCluster)
	}
	if err != nil {
		return layout, fmt.Errorf("failed to read the cluster's state: %w", err)
	}
	if len(text) == 0 {
		// `up` was killed as it began to write; it had started nothing yet.
		return layout, nil
	}
	if err := json.Unmarshal(text, &layout); err != nil {
		return layout, fmt.Errorf("failed to parse %s: %w", layout.stateFile(), err)
	}
	return layout, nil
}

// at checks a directory's path.
func at(dir string) (Layout, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return Layout{}, fmt.Errorf("failed to resolve %s: %w", dir, err)
	}
	if len(absolute) > longestDir {
		return Layout{}, fmt.Errorf("failed to use %s: sockets lie in it, so its path may have at most %d bytes", absolute, longestDir)
	}
	return Layout{Dir: absolute}, nil
}

// save marks the directory as a cluster's.
func (l Layout) save() error {
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("failed to write the cluster's state: %w", err)
	}
	return writeFile(l.stateFile(), append(text, '\n'))
}

func (l Layout) stateFile() string { return filepath.Join(l.Dir, "cluster.json") }

// Kubeconfig is the administrator's, usable from the machine's own network.
func (l Layout) Kubeconfig() string { return filepath.Join(l.Dir, "kubeconfig") }

// KubeCache is where kubectl and helm remember what the API server offers.
func (l Layout) KubeCache() string { return filepath.Join(l.Dir, "kube-cache") }

// Log is where a component writes.
func (l Layout) Log(component string) string {
	return filepath.Join(l.Dir, "logs", component+".log")
}

// Pki is the path of a certificate, a key or a component's kubeconfig.
func (l Layout) Pki(name string) string { return filepath.Join(l.Dir, "pki", name) }

// Config is the path of a component's configuration.
func (l Layout) Config(name string) string { return filepath.Join(l.Dir, "config", name) }

// Volumes is where the volumes of claims lie.
func (l Layout) Volumes() string { return filepath.Join(l.Dir, "volumes") }

// id tells clusters on one machine apart by their directory.
func (l Layout) id() string {
	sum := sha256.Sum256([]byte(l.Dir))
	return hex.EncodeToString(sum[:4])
}

// Cgroup is the name of the cluster's directory in every cgroup hierarchy.
func (l Layout) Cgroup() string { return "atelier-" + l.id() }

// HostLink is the machine's end of the veth pair.
func (l Layout) HostLink() string { return "atl-" + l.id() }

// NodeName is the name of the first node.
func (l Layout) NodeName() string { return "atelier" }

// Provisioner is who makes volumes for the default StorageClass.
func (l Layout) Provisioner() string { return provisioner.Provisioner }

// HostIP is the machine's address in the cluster's network: pods reach the machine there.
func (l Layout) HostIP() string { return fmt.Sprintf("10.77.%d.1", l.Network) }

// NodeIP is the first node's address: the machine reaches the API server there.
func (l Layout) NodeIP() string { return fmt.Sprintf("10.77.%d.2", l.Network) }

// ServiceCIDR is the range of ClusterIPs.
func (l Layout) ServiceCIDR() string { return fmt.Sprintf("10.78.%d.0/24", l.Network) }

// APIServiceIP is the ClusterIP of the Service `kubernetes`.
func (l Layout) APIServiceIP() string { return fmt.Sprintf("10.78.%d.1", l.Network) }

// DNSServiceIP is the ClusterIP of the cluster's name server.
func (l Layout) DNSServiceIP() string { return fmt.Sprintf("10.78.%d.10", l.Network) }

// PodCIDR is the range of the pods.
func (l Layout) PodCIDR() string { return fmt.Sprintf("10.79.%d.0/24", l.Network) }

// APIServer is the address that every client uses.
func (l Layout) APIServer() string { return l.NodeIP() + ":6443" }

// Etcd is the address of the API server's store.
func (l Layout) Etcd() string { return "127.0.0.1:2379" }

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("failed to create a directory: %w", err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("failed to write a file: %w", err)
	}
	return nil
}
