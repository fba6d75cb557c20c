package node

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Join starts the second node with images that the first one has. Only pods that tolerate its taint run there.
func Join(l Layout, images []string, out io.Writer) error {
	unlock, err := lock(l.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	second := l.second()
	// The supervisor waits for this file.
	if err := writeFile(second.marker(), nil); err != nil {
		return err
	}
	begun := time.Now()
	client, err := newClient(l)
	if err != nil {
		return err
	}
	if err := await(l, begun, listens(second.ContainerdSocket())); err != nil {
		return fmt.Errorf("failed to start containerd of the second node: %w", err)
	}
	if err := copyImages(l.first(), second, images); err != nil {
		return err
	}
	if err := await(l, begun, func() error { return client.nodeReady(second) }); err != nil {
		return fmt.Errorf("failed to get the second node ready: %w; its logs are in %s", err, filepath.Dir(l.Log("")))
	}
	fmt.Fprintf(out, "the node %s is ready (after %.1f s)\n", second.NodeName(), time.Since(begun).Seconds())
	return nil
}

// copyImages brings images from one node to another. They go by a file: ctr loses the end of what it reads from a
// pipe.
func copyImages(from, to Member, images []string) error {
	if len(images) == 0 {
		return nil
	}
	archive := filepath.Join(to.Dir, "images"+to.Suffix()+".tar")
	defer os.Remove(archive)
	export := ctr(from, append([]string{"images", "export", archive}, images...)...)
	for _, step := range []*exec.Cmd{export, ctr(to, "images", "import", archive)} {
		if err := step.Run(); err != nil {
			return fmt.Errorf("failed to copy %v to %s: %w", images, to.NodeName(), err)
		}
	}
	return nil
}

// ctr is a call of containerd's client.
func ctr(m Member, arguments ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(m.ContainerdDir, "ctr"),
		append([]string{"--address", m.ContainerdSocket(), "--namespace", "k8s.io"}, arguments...)...)
	command.Stderr = os.Stderr
	return command
}
