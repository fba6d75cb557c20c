package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// endPatience is how long the kernel may take to end all processes and to let go of cgroups.
const endPatience = 30 * time.Second

// Down ends a cluster and removes every trace of it. It does so as well after a crash, and twice.
func Down(dir string, out io.Writer) error {
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	layout, err := Load(dir)
	if errors.Is(err, ErrNoCluster) {
		fmt.Fprintf(out, "there is no cluster in %s\n", layout.Dir)
		return nil
	}
	if err != nil {
		return err
	}
	if err := clear(layout); err != nil {
		return err
	}
	fmt.Fprintf(out, "removed the cluster in %s\n", layout.Dir)
	return nil
}

// clear ends what runs and removes what is left, in an order in which it can be repeated after any crash.
func clear(l Layout) error {
	supervisor, err := findSupervisor(l)
	if err != nil {
		return err
	}
	if supervisor != 0 {
		if err := kill(supervisor, endPatience); err != nil {
			return err
		}
	}
	for _, member := range []Member{l.first(), l.second()} {
		if err := removeCgroups(member, endPatience); err != nil {
			return err
		}
	}
	if err := removeLink(l); err != nil {
		return err
	}
	if err := unmountBelow(l.Dir); err != nil {
		return err
	}
	return removeDir(l)
}

// unmountBelow guards the removal of the directory: whatever somebody mounted in it is not to be removed.
func unmountBelow(dir string) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("failed to list mounts: %w", err)
	}
	points := mountsBelow(string(text), dir)
	for _, point := range slices.Backward(points) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("failed to unmount %s: %w", point, err)
		}
	}
	return nil
}

// removeDir removes the directory, and the state that marks it as ours last.
func removeDir(l Layout) error {
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return fmt.Errorf("failed to list %s: %w", l.Dir, err)
	}
	for _, entry := range entries {
		path := filepath.Join(l.Dir, entry.Name())
		if path == l.stateFile() {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("failed to remove the cluster's files: %w", err)
		}
	}
	for _, path := range []string{l.stateFile(), l.Dir} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("failed to remove the cluster's directory: %w", err)
		}
	}
	return nil
}
