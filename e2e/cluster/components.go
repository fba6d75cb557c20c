package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"atelier.dev/e2e/cluster/internal/node"
	"atelier.dev/e2e/cluster/internal/volumes"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // the log format `json`
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of API clients
	_ "k8s.io/component-base/metrics/prometheus/version"  // the metric with the version
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components maps the names under which the supervisor calls this program to what they run.
var components = map[string]func(){
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          command(func() *cobra.Command { return apiserver.NewAPIServerCommand() }),
	"kube-controller-manager": command(func() *cobra.Command { return controllermanager.NewControllerManagerCommand() }),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubelet":                 command(newKubelet),
	"kubelet-2":               command(newKubelet),
	"kube-proxy":              command(func() *cobra.Command { return proxy.NewProxyCommand() }),
	"coredns":                 coreDNS,
	"volumes":                 makeVolumes,
}

func newKubelet() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }

// command runs one of Kubernetes' commands as its own program does.
func command(build func() *cobra.Command) func() {
	return func() { os.Exit(cli.Run(build())) }
}

// makeVolumes runs the provisioner with the kubeconfig and the directory that the arguments name.
func makeVolumes() {
	if err := volumes.Run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "volumes:", err)
		os.Exit(1)
	}
}

func kubectl() {
	keepCache(os.Getenv("KUBECONFIG"))
	os.Exit(cli.Run(kubectlcmd.NewDefaultKubectlCommand()))
}

// keepCache lets kubectl remember what a cluster of ours offers in that cluster's directory: there it goes with
// the cluster, and the next one at the same address is not taken for it.
func keepCache(kubeconfig string) {
	layout, err := node.Load(filepath.Dir(kubeconfig))
	if err != nil || layout.Kubeconfig() != kubeconfig || os.Getenv("KUBECACHEDIR") != "" {
		return
	}
	if err := os.Setenv("KUBECACHEDIR", layout.KubeCache()); err != nil {
		fmt.Fprintln(os.Stderr, "atelier-cluster: failed to move kubectl's cache:", err)
	}
}
