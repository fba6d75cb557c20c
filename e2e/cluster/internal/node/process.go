package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Supervisor is the name under which the first process of the namespaces runs.
const Supervisor = "atelier-cluster-supervisor"

// process is what /proc tells about one.
type process struct {
	pid, parent int
	args        []string
	// first says that it is number 1 of a PID namespace.
	first bool
}

// processes lists those that have a command line. One that ends meanwhile is left out.
func processes() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("failed to list processes: %w", err)
	}
	var found []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil || len(line) == 0 {
			continue
		}
		status, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "status"))
		if err != nil {
			continue
		}
		parent, first := parseStatus(string(status))
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		found = append(found, process{pid: pid, parent: parent, args: args, first: first})
	}
	return found, nil
}

// parseStatus reads /proc/PID/status: the parent, and whether the process is the first of its namespace.
func parseStatus(status string) (parent int, first bool) {
	for line := range strings.Lines(status) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "PPid:":
			parent, _ = strconv.Atoi(fields[1])
		case "NSpid:":
			first = len(fields) > 2 && fields[len(fields)-1] == "1"
		}
	}
	return parent, first
}

// findSupervisor looks for the supervisor of one cluster by its command line, so that no recorded number
// can be out of date. It returns 0 when there is none.
func findSupervisor(l Layout) (int, error) {
	all, err := processes()
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		// A child between fork and exec has the same command line, but is not the first process.
		if p.first && slices.Equal(p.args, supervisorArgs(l)) {
			return p.pid, nil
		}
	}
	return 0, nil
}

func supervisorArgs(l Layout) []string { return []string{Supervisor, "--dir", l.Dir} }

// findComponent returns the number that a component's process has outside of the namespace, or 0.
func findComponent(supervisor int, name string) (int, error) {
	all, err := processes()
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		if p.parent == supervisor && p.args[0] == name {
			return p.pid, nil
		}
	}
	return 0, nil
}

// Signal sends a signal, named like `KILL`, to a component. The supervisor restarts what dies.
func Signal(l Layout, component, name string) error {
	supervisor, err := findSupervisor(l)
	if err != nil {
		return err
	}
	if supervisor == 0 {
		return fmt.Errorf("failed to signal %s: the cluster in %s does not run", component, l.Dir)
	}
	number := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG"))
	if number == 0 {
		return fmt.Errorf("failed to signal %s: there is no signal %q", component, name)
	}
	pid, err := findComponent(supervisor, component)
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("failed to signal %s: no such component runs; there are %s", component, strings.Join(componentNames(l), ", "))
	}
	if err := syscall.Kill(pid, number); err != nil {
		return fmt.Errorf("failed to signal %s: %w", component, err)
	}
	return nil
}

func componentNames(l Layout) []string {
	var names []string
	for _, component := range Components(l) {
		// One of a node that nobody asked for.
		if strings.HasSuffix(component.Name, l.second().Suffix()) && l.second().joined() != nil {
			continue
		}
		names = append(names, component.Name)
	}
	return names
}

// kill ends a process and waits until it and, with it, everything in its namespace is gone.
func kill(pid int, patience time.Duration) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("failed to kill the supervisor: %w", err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		// A zombie has no command line: its namespace is empty, only its parent has not asked yet.
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || len(line) == 0 {
			return nil
		}
	}
	return fmt.Errorf("failed to end the supervisor: process %d still runs %s after it was killed", pid, patience)
}
