package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// containerd is the container runtime of a node.
func containerd(m Member) Component {
	return Component{
		Name:  "containerd" + m.Suffix(),
		Path:  filepath.Join(m.ContainerdDir, "containerd"),
		Args:  []string{"--config", m.Config("containerd" + m.Suffix() + ".toml")},
		After: []func() error{m.joined},
	}
}

// containerdPrograms must lie in the containerd directory.
var containerdPrograms = []string{"containerd", "containerd-shim-runc-v2", "ctr"}

// checkContainerd fails early and clearly when a program is missing.
func checkContainerd(dir string) error {
	if dir == "" {
		return errors.New("failed to find containerd: set --containerd-dir to the directory of containerd, containerd-shim-runc-v2 and ctr")
	}
	for _, name := range containerdPrograms {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("failed to find containerd in --containerd-dir: %w", err)
		}
	}
	return nil
}

// Import brings docker or OCI archives into the first node, where pods find their images by name.
func Import(l Layout, archives []string) error {
	for _, archive := range archives {
		load := ctr(l.first(), "images", "import", archive)
		load.Stdout = os.Stdout
		if err := load.Run(); err != nil {
			return fmt.Errorf("failed to import %s: %w", archive, err)
		}
	}
	return nil
}
