package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// containerd is the container runtime.
func containerd(l Layout) Component {
	return Component{
		Name: "containerd",
		Path: filepath.Join(l.ContainerdDir, "containerd"),
		Args: []string{"--config", l.Config("containerd.toml")},
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

// Import brings docker or OCI archives into the node, where pods find their images by name.
func Import(l Layout, archives []string) error {
	for _, archive := range archives {
		ctr := exec.Command(filepath.Join(l.ContainerdDir, "ctr"),
			"--address", l.ContainerdSocket(), "--namespace", "k8s.io", "images", "import", archive)
		ctr.Stdout, ctr.Stderr = os.Stdout, os.Stderr
		if err := ctr.Run(); err != nil {
			return fmt.Errorf("failed to import %s: %w", archive, err)
		}
	}
	return nil
}
