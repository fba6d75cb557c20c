package main

import (
	"fmt"
	"os"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"       // the plugins that the Corefile names
	_ "github.com/coredns/coredns/plugin/cache"      //
	_ "github.com/coredns/coredns/plugin/errors"     //
	_ "github.com/coredns/coredns/plugin/hosts"      //
	_ "github.com/coredns/coredns/plugin/kubernetes" //
)

// coreDNS runs CoreDNS with the Corefile that the first argument names.
func coreDNS() {
	if err := serveNames(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "coredns:", err)
		os.Exit(1)
	}
}

func serveNames(corefile string) error {
	text, err := os.ReadFile(corefile)
	if err != nil {
		return fmt.Errorf("failed to read the Corefile: %w", err)
	}
	caddy.AppName = "CoreDNS"
	caddy.TrapSignals()
	instance, err := caddy.Start(caddy.CaddyfileInput{Filepath: corefile, Contents: text, ServerTypeName: "dns"})
	if err != nil {
		return fmt.Errorf("failed to start: %w", err)
	}
	dnsserver.Quiet = true
	instance.Wait()
	return nil
}
