package node

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hierarchy is one mounted cgroup file system.
type hierarchy struct {
	path    string
	version int
}

// hierarchies lists what is mounted, read from a file like /proc/self/mountinfo.
func hierarchies(mountinfo io.Reader) ([]hierarchy, error) {
	var found []hierarchy
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 {
			continue
		}
		switch kind, _, _ := strings.Cut(after, " "); kind {
		case "cgroup":
			found = append(found, hierarchy{fields[4], 1})
		case "cgroup2":
			found = append(found, hierarchy{fields[4], 2})
		}
	}
	return found, lines.Err()
}

func mountedHierarchies() ([]hierarchy, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("failed to list mounts: %w", err)
	}
	defer file.Close()
	found, err := hierarchies(file)
	if err != nil {
		return nil, fmt.Errorf("failed to list mounts: %w", err)
	}
	return found, nil
}

// createCgroups makes a node's directory in every hierarchy; the kubelet does not make its root itself.
func createCgroups(m Member) error {
	mounted, err := mountedHierarchies()
	if err != nil {
		return err
	}
	for _, h := range mounted {
		dir := filepath.Join(h.path, m.Cgroup())
		if h.version == 2 {
			if err := delegateControllers(h.path); err != nil {
				return err
			}
		}
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("failed to create a cgroup: %w", err)
		}
		if h.version == 2 {
			if err := delegateControllers(dir); err != nil {
				return err
			}
			continue
		}
		// In a cpuset of version 1 nothing can run before it has CPUs and memory nodes.
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := copyIfThere(filepath.Join(h.path, name), filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("failed to set up a cpuset: %w", err)
			}
		}
	}
	return nil
}

// delegateControllers lets the children of a cgroup of version 2 have all controllers that it has itself.
func delegateControllers(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("failed to list controllers: %w", err)
	}
	for controller := range strings.FieldsSeq(string(text)) {
		target := filepath.Join(dir, "cgroup.subtree_control")
		if err := os.WriteFile(target, []byte("+"+controller), 0); err != nil {
			return fmt.Errorf("failed to enable the cgroup controller %s: %w", controller, err)
		}
	}
	return nil
}

func copyIfThere(from, to string) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0)
}

// removeCgroups removes a node's directories, and whatever still runs in them.
func removeCgroups(m Member, patience time.Duration) error {
	mounted, err := mountedHierarchies()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for _, h := range mounted {
		dir := filepath.Join(h.path, m.Cgroup())
		for {
			err := removeTree(dir)
			if err == nil {
				break
			}
			// A process that was just killed keeps its cgroup busy for a moment.
			if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
				return fmt.Errorf("failed to remove a cgroup: %w", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// removeTree removes a cgroup after its children: the files in it are not to be removed, only directories.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	killMembers(dir)
	if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
	}
	return nil
}

// killMembers ends the processes of one cgroup. Usually there is none: they died with the supervisor.
func killMembers(dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return
	}
	for field := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			// One that is gone already is what we want.
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
