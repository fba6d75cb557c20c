// Command atelier-cluster runs a real Kubernetes cluster of one node, or two, on this machine.
//
// It is one program for everything: called by the name of a Kubernetes component it is that component.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"atelier.dev/e2e/cluster/internal/node"
)

const usage = `usage:
  atelier-cluster up --dir DIR --containerd-dir DIR   start a cluster, or reuse the one that runs
  atelier-cluster down --dir DIR                      end it and remove every trace of it
  atelier-cluster status --dir DIR                    what runs; succeeds if the cluster is ready
  atelier-cluster import --dir DIR ARCHIVE...         bring container images in
  atelier-cluster join --dir DIR IMAGE...             start a second node, tainted, with images of the first
  atelier-cluster signal --dir DIR COMPONENT SIGNAL   for tests of faults, like: kube-apiserver KILL
  atelier-cluster kubectl ARGUMENT...                 kubectl of the cluster's version
`

func main() {
	if component, ok := components[filepath.Base(os.Args[0])]; ok {
		component()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "kubectl" {
		os.Args = os.Args[1:]
		kubectl()
		return
	}
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "atelier-cluster:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if arguments[0] == node.Supervisor {
		arguments = append([]string{"", "supervise"}, arguments[1:]...)
	}
	if len(arguments) < 2 {
		return errors.New(usage)
	}
	verb := arguments[1]
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	dir := flags.String("dir", "", "directory of the cluster")
	containerd := flags.String("containerd-dir", "", "directory of containerd, containerd-shim-runc-v2 and ctr")
	if err := flags.Parse(arguments[2:]); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("failed to find the cluster: set --dir")
	}
	switch verb {
	case "up":
		return node.Up(*dir, *containerd, os.Stdout)
	case "supervise":
		return node.Supervise(*dir)
	case "down":
		return node.Down(*dir, os.Stdout)
	case "status":
		return node.Status(*dir, os.Stdout)
	}
	layout, err := node.Load(*dir)
	if err != nil {
		return err
	}
	switch {
	case verb == "import" && flags.NArg() > 0:
		return node.Import(layout, flags.Args())
	case verb == "join":
		return node.Join(layout, flags.Args(), os.Stdout)
	case verb == "signal" && flags.NArg() == 2:
		return node.Signal(layout, flags.Arg(0), flags.Arg(1))
	}
	return errors.New(usage)
}
