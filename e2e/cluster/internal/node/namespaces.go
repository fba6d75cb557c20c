package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespaces are those that a cluster has of its own.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET

// privateDirs are directories that kubelet, containerd and CNI plugins write to, each with its stand-in in
// the cluster's directory. All other files are the machine's.
var privateDirs = []struct{ path, standIn string }{
	{"/run", "run"},
	{"/var/lib", "lib"},
	{"/var/log", "podlogs"},
}

// privateSettings are those of the whole kernel that the kubelet insists on, with the values it wants. Covered by
// files that say so they satisfy it, and the machine keeps its own.
var privateSettings = map[string]string{
	"/proc/sys/vm/overcommit_memory":      "1",
	"/proc/sys/vm/panic_on_oom":           "0",
	"/proc/sys/kernel/panic":              "10",
	"/proc/sys/kernel/panic_on_oops":      "1",
	"/proc/sys/kernel/keys/root_maxkeys":  "1000000",
	"/proc/sys/kernel/keys/root_maxbytes": "25000000",
}

// isolateMounts gives this process's mount namespace a /proc of its own and puts private directories in place.
func isolateMounts(l Layout) error {
	// Nothing that is mounted here shows outside; all processes in here see each other's mounts.
	for _, propagation := range []uintptr{unix.MS_SLAVE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
			return fmt.Errorf("failed to isolate mounts: %w", err)
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("failed to mount /proc: %w", err)
	}
	for _, private := range privateDirs {
		if err := mountPrivate(l, private.path, filepath.Join(l.Dir, private.standIn)); err != nil {
			return err
		}
	}
	for setting, value := range privateSettings {
		file := l.Config("settings" + setting)
		if err := writeFile(file, []byte(value)); err != nil {
			return err
		}
		if err := unix.Mount(file, setting, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("failed to mount over %s: %w", setting, err)
		}
	}
	return nil
}

// mountPrivate covers a directory with its stand-in. Our own directories stay visible if they lie below it.
func mountPrivate(l Layout, path, standIn string) error {
	kept := map[string]int{}
	for _, dir := range []string{l.Dir, l.ContainerdDir} {
		if !strings.HasPrefix(dir, path+"/") {
			continue
		}
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("failed to open %s: %w", dir, err)
		}
		defer unix.Close(fd)
		kept[dir] = fd
	}
	if err := os.MkdirAll(standIn, 0o755); err != nil {
		return fmt.Errorf("failed to create a directory: %w", err)
	}
	if err := unix.Mount(standIn, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("failed to mount over %s: %w", path, err)
	}
	for dir, fd := range kept {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("failed to create a directory: %w", err)
		}
		if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("failed to keep %s visible: %w", dir, err)
		}
	}
	return nil
}

// mountsBelow lists the mount points under a directory, the deepest last, from a text like /proc/self/mountinfo.
func mountsBelow(mountinfo, dir string) []string {
	var found []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		// The kernel writes a blank as \040.
		point := strings.ReplaceAll(fields[4], `\040`, " ")
		if strings.HasPrefix(point, dir+"/") {
			found = append(found, point)
		}
	}
	return found
}
