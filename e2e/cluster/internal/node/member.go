package node

import (
	"fmt"
	"os"
	"path/filepath"
)

// Member is one node of a cluster. The first is there from the start; the second joins when somebody asks for it.
// What both share, and what is only the first one's, is the Layout's.
type Member struct {
	Layout
	// Second says which of the two it is.
	Second bool
}

// SecondTaint keeps pods off the second node that do not ask for it.
const SecondTaint = "atelier.dev/second"

func (l Layout) first() Member  { return Member{Layout: l} }
func (l Layout) second() Member { return Member{Layout: l, Second: true} }

// Suffix tells the second node's names from those of the first.
func (m Member) Suffix() string {
	if m.Second {
		return "-2"
	}
	return ""
}

// NodeName is the node's own name.
func (m Member) NodeName() string { return m.Layout.NodeName() + m.Suffix() }

// NodeIP is the node's own address.
func (m Member) NodeIP() string {
	if m.Second {
		return fmt.Sprintf("10.77.%d.3", m.Network)
	}
	return m.Layout.NodeIP()
}

// Cgroup is the root of its pods' cgroups.
func (m Member) Cgroup() string { return m.Layout.Cgroup() + m.Suffix() }

// ContainerdSocket is its container runtime's.
func (m Member) ContainerdSocket() string {
	return filepath.Join(m.Dir, "run/containerd"+m.Suffix(), "containerd.sock")
}

// HealthPort is where its kubelet tells that it lives. Both nodes share a loopback interface.
func (m Member) HealthPort() int {
	if m.Second {
		return 10258
	}
	return 10248
}

// Zone is the failure domain that it pretends to be in.
func (m Member) Zone() string {
	if m.Second {
		return "b"
	}
	return "a"
}

// Taint is what keeps pods away from it, if anything does.
func (m Member) Taint() string {
	if m.Second {
		return SecondTaint
	}
	return ""
}

// marker is there once the node has been asked for.
func (m Member) marker() string { return filepath.Join(m.Dir, "joined"+m.Suffix()) }

// joined checks that the node has been asked for.
func (m Member) joined() error {
	if !m.Second {
		return nil
	}
	_, err := os.Stat(m.marker())
	return err
}
